"""The comparison behind `make check-spark` and `make check-duckdb` finds what differs; shown on two small generations.

Add a kind of difference when the comparison could miss it. Must not build a shop, nor need Spark or another release.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest

from tests import whole_builds
from tests.releases import check as releases
from tests.spark import check as spark
from userops_pipeline.ground.home import Home
from userops_pipeline.publish import generations

ROWS = "select * from (values ('u1', 1.50::decimal(18,2)), ('u2', null)) as t (user_id, amount)"


def published(folder: Path, orders: str, *others: str, warned: int = 0) -> generations.Generation:
    with duckdb.connect() as warehouse:
        warehouse.execute(f"create schema marts; create table marts.orders as {orders}")
        for other in others:
            warehouse.execute(f"create table marts.{other} as select 1 as a")
        return generations.publish(
            Home(folder),
            warehouse,
            tables=[generations.PublishedTable("marts", name) for name in ("orders", *others)],
            as_of=date(2026, 3, 1),
            window_from=date(2026, 3, 1),
            first_on=date(2026, 3, 1),
            sources=["shop"],
            business_zone="UTC",
            checks=[generations.CheckResult(name="one", passed=not warned, severity="warn", rows_failed=warned)],
            config_hash=folder.name,
            rulebook_json="{}",
        )


def test_equal_tables_are_equal_whatever_the_order_of_their_rows(tmp_path: Path) -> None:
    assert whole_builds.differing(published(tmp_path / "a", ROWS), published(tmp_path / "b", f"{ROWS} order by user_id desc")) == []


@pytest.mark.parametrize(
    ("other", "columns"),
    [
        (ROWS.replace("1.50", "1.51"), ["amount"]),
        (ROWS.replace("'u2'", "'u3'"), ["user_id"]),
        (f"{ROWS} union all select 'u2', null", ["user_id"]),
        (f"select user_id, amount::decimal(18,3) as amount from ({ROWS})", []),
    ],
    ids=["value", "key", "row twice", "type"],
)
def test_a_difference_is_found_with_its_column(tmp_path: Path, other: str, columns: list[str]) -> None:
    found = whole_builds.differing(published(tmp_path / "a", ROWS), published(tmp_path / "b", other))
    assert [difference.table for difference in found] == ["orders"]
    assert set(columns) <= set(found[0].columns)


def test_a_table_of_one_engine_only_is_found(tmp_path: Path) -> None:
    found = whole_builds.differing(published(tmp_path / "a", ROWS, "extra"), published(tmp_path / "b", ROWS))
    assert [difference.table for difference in found] == ["extra"]


def test_what_differs_is_told_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left, right = published(tmp_path / "a", ROWS, "same"), published(tmp_path / "b", ROWS.replace("1.50", "1.51"), "same")
    assert whole_builds.told(left, right, {"one": "3 s", "other": "4 s"}) == 1
    said = capsys.readouterr().out
    assert "1 of 2 published tables are equal (since 2026-03-01; one 3 s, other 4 s)" in said
    assert "✗ orders: 2 rows by one, 2 by other; different in amount" in said


def test_steps_are_the_products_own_commands_up_to_the_last_night() -> None:
    sample, demo = whole_builds.steps_of("sample_shop"), whole_builds.steps_of("demo_shop", date(2026, 1, 20))
    assert [step.command for step in demo] == [
        ["backfill", "--from", "2026-01-01", "--to", "2026-01-19"],
        ["nightly", "--date", "2026-01-20"],
    ]
    assert sample[0].command[-1] == "2026-03-11" and sample[-1].command == ["nightly", "--date", "2026-03-14", "--full-refresh"]


def test_of_two_warehouses_each_model_that_differs_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not published too, whatever the order of rows, and also where only a type is another."""
    made = {"a": (ROWS, "1", "1"), "b": (f"{ROWS} order by user_id desc", "2", "1::bigint")}
    homes = [Home(tmp_path / name) for name in made]
    for home, (rows, value, typed) in zip(homes, made.values(), strict=True):
        home.warehouse.parent.mkdir(parents=True)
        with duckdb.connect(str(home.warehouse)) as warehouse:
            for schema, query in (
                ("raw", "select 7 as a"),
                ("staging", rows),
                ("intermediate", f"select {value} as a"),
                ("marts", f"select {typed} as a"),
            ):
                warehouse.execute(f"create schema {schema}; create table {schema}.made as {query}")
        with duckdb.connect(str(home.warehouse)) as warehouse:
            warehouse.execute(f"update raw.made set a = {value}")
    assert releases.told_models(homes) == 2
    said = capsys.readouterr().out
    assert "1 of 3 tables of models hold the same rows" in said
    assert [line for line in said.splitlines() if "✗" in line] == ["  ✗ intermediate.made", "  ✗ marts.made"]


def test_a_test_with_another_verdict_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left, right = published(tmp_path / "a", ROWS), published(tmp_path / "b", ROWS, warned=3)
    assert releases.told_verdicts([left, left]) == 0
    assert releases.told_verdicts([left, right]) == 1
    assert "✗ one" in capsys.readouterr().out


def test_a_release_is_not_held_against_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / f"duckdb-{duckdb.__version__}.dist-info").mkdir()
    monkeypatch.setattr("sys.argv", ["check", "--other", str(tmp_path), "sample_shop"])
    assert releases.main() == 2
    assert "there is nothing to compare" in capsys.readouterr().out


def test_without_java_nothing_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert spark.main() == 2
    assert "Spark needs Java 17" in capsys.readouterr().out
