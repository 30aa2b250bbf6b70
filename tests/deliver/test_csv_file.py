"""The CSV files: their layout, what a spreadsheet makes of them, and that they are written once."""

from __future__ import annotations

import csv
import stat
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from userops_pipeline.deliver.delivery import DeliveryReport, deliver
from userops_pipeline.deliver.destinations.base import KeepsFullList
from userops_pipeline.deliver.destinations.csv_file import CsvFile, safe_cell
from userops_pipeline.ground.home import Home

Publish = Callable[..., tuple[Any, str, date]]


@pytest.fixture
def spec(make_list: Callable[..., Any]) -> Any:
    return make_list(tool="csv_file", fields={"first_name": "name", "e_mail": "email"})


@pytest.fixture
def send(home: Home, publish: Publish, spec: Any) -> Callable[..., DeliveryReport]:
    def send(night: int, names: dict[str, Any], **more: Any) -> DeliveryReport:
        people = {f"{who}@x.org": {"first_name": name, "e_mail": f"{who}@x.org"} for who, name in names.items()}
        (report,) = deliver(home, *publish(night, people, spec=spec, **more), [spec], {"csv_file": CsvFile(home.exports)})
        return report

    return send


def read(file: Path) -> list[list[str]]:
    with open(file, encoding="utf-8-sig", newline="") as handle:
        return list(csv.reader(handle))


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(f.relative_to(folder)): (f.stat().st_mtime_ns, f.read_bytes()) for f in folder.rglob("*.csv")}


def test_each_date_has_the_full_list_and_the_difference(home: Home, send: Any) -> None:
    send(0, {"a": "Ann", "b": "Bob", "c": "Cy"})
    send(1, {"b": "Bobby", "c": "Cy", "d": "李雷"})

    first, second = home.exports / "win_back" / "2026-03-01", home.exports / "win_back" / "2026-03-02"
    assert sorted(f.name for f in first.iterdir()) == ["added.csv", "full.csv"]
    assert read(first / "added.csv") == read(first / "full.csv")
    assert read(second / "full.csv") == [["e_mail", "first_name"], ["b@x.org", "Bobby"], ["c@x.org", "Cy"], ["d@x.org", "李雷"]]
    assert read(second / "added.csv") == [["e_mail", "first_name"], ["d@x.org", "李雷"]]
    assert read(second / "updated.csv") == [["e_mail", "first_name"], ["b@x.org", "Bobby"]]
    assert read(second / "removed.csv") == [["e_mail"], ["a@x.org"]]


def test_files_are_for_excel_and_for_their_owner_only(home: Home, send: Any) -> None:
    send(0, {"a": "李雷"})
    file = home.exports / "win_back" / "2026-03-01" / "full.csv"
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (file.parent, file.parent.parent)} == {0o700}


def test_a_second_delivery_of_the_same_state_writes_nothing(home: Home, send: Any) -> None:
    send(0, {"a": "Ann"})
    before = files(home.exports)
    assert send(0, {"a": "Ann"}).outcome == "nothing"
    assert files(home.exports) == before


def test_a_night_without_change_has_its_full_list_and_no_difference(home: Home, send: Any) -> None:
    send(0, {"a": "Ann"})
    assert send(1, {"a": "Ann"}).outcome == "nothing"
    assert [f.name for f in (home.exports / "win_back" / "2026-03-02").iterdir()] == ["full.csv"]


def test_a_rebuilt_night_adds_a_further_difference_and_keeps_the_first(home: Home, send: Any) -> None:
    send(0, {"a": "Ann"})
    send(0, {"a": "Ann", "b": "Bob"}, rebuilt="_again")
    folder = home.exports / "win_back" / "2026-03-01"
    assert [row[0] for row in read(folder / "added.csv")[1:]] == ["a@x.org"]
    assert [row[0] for row in read(folder / "added-2.csv")[1:]] == ["b@x.org"]
    assert len(read(folder / "full.csv")) == 3


def test_a_full_list_that_was_lost_is_written_again(home: Home, send: Any) -> None:
    send(0, {"a": "Ann"})
    full = home.exports / "win_back" / "2026-03-01" / "full.csv"
    full.unlink()
    send(0, {"a": "Ann"})
    assert len(read(full)) == 2


def test_a_disk_that_takes_no_file_is_told_and_healed_next_time(home: Home, send: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("userops_pipeline.deliver.destinations.csv_file.write_atomically", full)
    report = send(0, {"a": "Ann"})
    assert (report.outcome, report.sent) == ("incomplete", 0) and "file_ENOSPC" in report.sentence
    monkeypatch.undo()
    assert send(0, {"a": "Ann"}).sent == 1
    assert sorted(f.name for f in (home.exports / "win_back" / "2026-03-01").iterdir()) == ["added.csv", "full.csv"]


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1",
        "=cmd|' /C calc'!A0",
        "\uff1d1+1",
        "\uff0b1",
        "\uff0dx",
        "\uff20x",
        "-",
        "+",
        "+86 138",
        "-1.5.2",
    ],
)
def test_a_cell_that_a_spreadsheet_would_run_is_made_text(cell: str) -> None:
    assert safe_cell(cell) == f"'{cell}"


@pytest.mark.parametrize(
    "cell", ["+8613812345678", "+4915112345678", "-12.50", "-3", "0", "12", "-1e-05", "a=b", "Ann", "o'Hara", "", "李雷"]
)
def test_phones_numbers_and_plain_text_are_left_alone(cell: str) -> None:
    assert safe_cell(cell) == cell


@pytest.mark.parametrize(("value", "text"), [(None, ""), (True, "true"), (-3, "-3"), (12.5, "12.5"), ([1, "李"], '[1, "李"]')])
def test_values_of_other_types_have_one_spelling(value: Any, text: str) -> None:
    assert safe_cell(value) == text


def test_a_name_full_of_commas_quotes_and_line_ends_survives_the_file(home: Home, send: Any) -> None:
    awkward = 'Ann, "A"; \r\n=1+1\té 😀'
    send(0, {"a": awkward})
    assert read(home.exports / "win_back" / "2026-03-01" / "full.csv")[1] == ["a@x.org", awkward]


def test_a_cell_does_not_fall_apart_where_the_semicolon_separates(home: Home, send: Any) -> None:
    send(0, {"a": "Ann;=1+1"})
    assert b'"Ann;=1+1"' in (home.exports / "win_back" / "2026-03-01" / "full.csv").read_bytes()


def test_a_file_left_half_written_by_a_crash_is_cleared_away(home: Home, send: Any) -> None:
    folder = home.exports / "win_back" / "2026-03-01"
    folder.mkdir(parents=True)
    (folder / ".added.csv.123.part").write_text("half")
    send(0, {"a": "Ann"})
    assert sorted(f.name for f in folder.iterdir()) == ["added.csv", "full.csv"]


def test_the_files_promise_to_show_the_full_list(home: Home) -> None:
    assert isinstance(CsvFile(home.exports), KeepsFullList)
