"""Files that were made to harm: too long, too wide, packed to nothing, nested, named or linked to elsewhere. Each ends with its sentence.

Here stands every attack on reading and landing. Add a file that was met, or thought of; the bounds are small here, so that the tests are.
Must not show what good files give: tests/intake does.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from userops_pipeline.ground.home import Home, UserOpsError, fault_of_machine
from userops_pipeline.intake import landing, reading
from userops_pipeline.intake.reading import FileRefused, Reading
from userops_pipeline.intake.source import File

NIGHT = "2026-03-02"
HEAD = "order_id,user_id,at,amount,currency,status\n"
ROW = "o1,u1,2026-03-02 10:00:00,1.00,CNY,completed\n"
PERSON = "Anna Canary,anna@canary.example,+4915112345678,12 Canary Street,7,x\n"


def read(tmp_path: Path, content: bytes, name: str = "a.csv", **declared: Any) -> int:
    path = tmp_path / name
    path.write_bytes(content)
    with duckdb.connect() as connection:
        file = File(**({"path": name, "columns": ("id", "name", "city")} | declared))
        found = Reading(path, file, "label", connection, tmp_path)
        found.close()
    return found.rows


def parquet(tmp_path: Path, query: str) -> bytes:
    with duckdb.connect() as connection:
        connection.execute(f"copy ({query}) to '{tmp_path / 'made.parquet'}' (format parquet, compression zstd)")
    return (tmp_path / "made.parquet").read_bytes()


# -- nothing that stands in a file is repeated ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "declared"),
    [
        ("no_header.csv", PERSON.encode(), {}),
        ("twice.csv", b"id,name,city,anna@canary.example,anna@canary.example\n", {}),
        ("extra.csv", b"id,name,city,+4915112345678,Anna Canary,anna@canary.example\n", {}),
        ("one.csv", b"Anna Canary;anna@canary.example\n", {}),
        ("stray.csv", b'id,name,city\n1,"Anna" Canary,x\n', {}),
        ("keys.jsonl", b'{"id":1,"name":2,"city":3,"anna@canary.example":4,"Anna Canary":5}\n', {"format": "jsonl"}),
        ("cut.jsonl", b'{"id":1,"name":"Anna Canary', {"format": "jsonl"}),
    ],
)
def test_a_refusal_says_nothing_of_what_stands_in_the_file(tmp_path: Path, name: str, content: bytes, declared: dict[str, Any]) -> None:
    with pytest.raises(FileRefused) as refusal:
        read(tmp_path, content, name, **declared)
    assert not [word for word in ("anna", "Anna", "canary", "Canary", "+49") if word in str(refusal.value)], refusal.value


def test_a_column_that_was_added_is_named_when_the_header_is_one(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="1 columns source.yml does not declare: loyalty_level \\(column 4\\)"):
        read(tmp_path, b"id,name,city,loyalty_level\n1,a,b,c\n")


def test_what_is_refused_leaves_no_value_in_any_note_of_the_home(shop: Any) -> None:
    shop.drop(NIGHT, "orders.csv", PERSON)
    (outcome,) = shop.land(NIGHT)
    assert outcome.outcome == "refused"
    notes = [path.read_text() for path in shop.home.root.rglob("*.json")]
    assert notes and not [note for note in notes if "anary" in note]


# -- bounds --------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds a thousandth as large."""
    for name, bound in {"BLOCK": 1 << 10, "MAX_RECORD": 8 << 10, "MAX_HEADER": 1 << 12, "MAX_COLUMNS": 20, "RATIO_FROM": 64 << 10}.items():
        monkeypatch.setattr(reading, name, bound)


LONG = b"x" * 20_000


@pytest.mark.parametrize(
    ("name", "content", "declared", "sentence"),
    [
        ("long.csv", b"id,name,city\n1," + LONG + b",c\n", {}, "a record is longer than 8 MiB, near line 2"),
        ("lines.csv", b'id,name,city\n1,"' + b"x\n" * 10_000 + b'",c\n', {}, "a record is longer than 8 MiB"),
        ("commas.csv", b"id,name,city\n" + b"," * 20_000 + b"\n", {}, "a record is longer than 8 MiB"),
        ("long.jsonl", b'{"id":1,"name":2,"city":"' + LONG + b'"}\n', {"format": "jsonl"}, "a record is longer than 8 MiB"),
        ("header.csv", b"id,name,city," + b"x" * 5000 + b"\n1,a,b,c\n", {}, "its header is longer than 4 KiB"),
        ("wide.csv", ",".join(f"c{n}" for n in range(30)).encode() + b"\n", {}, "it has 30 columns, more than 20"),
        ("wide.jsonl", json.dumps({f"c{n}": n for n in range(30)}).encode(), {"format": "jsonl"}, "columns, more than 20"),
        ("large.csv", b"id,name,city\n" + b"1,a,b\n" * 20, {"max_bytes": 100}, "it is larger than 100 bytes"),
        (
            "large.csv.gz",
            gzip.compress(b"id,name,city\n" + b"1,a,b\n" * 200, mtime=0),
            {"max_bytes": 200},
            "it unpacks to more than 200 bytes",
        ),
        ("bomb.csv.gz", gzip.compress(b"id,name,city\n" + b"1,a,b\n" * 60_000, mtime=0), {}, "it unpacks to more than 250 times its size"),
    ],
)
def test_what_is_too_much_is_refused_while_it_is_read(
    small: None, tmp_path: Path, name: str, content: bytes, declared: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(FileRefused, match=sentence):
        read(tmp_path, content, name, **declared)
    assert not list(tmp_path.glob("normalised*")), "the working copy is gone"


def test_a_parquet_file_of_one_value_a_million_times_is_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = parquet(tmp_path, "select 1 as id, repeat('x', 1000) as name, 'y' as city from range(500000)")
    with pytest.raises(FileRefused, match="250 times its size"):
        read(tmp_path, content, "bomb.parquet", format="parquet")
    monkeypatch.setattr(reading, "MAX_RECORD", 100)
    with pytest.raises(FileRefused, match="a value is longer"):
        read(tmp_path, parquet(tmp_path, "select 1 as id, repeat('x', 1000) as name, 'y' as city"), "long.parquet", format="parquet")


def test_a_header_of_two_thousand_names_is_read_and_one_of_twenty_thousand_refused_as_fast(tmp_path: Path) -> None:
    names = ["id", "name", "city", *(f"c{number}" for number in range(19_997))]
    begun = time.process_time()
    with pytest.raises(FileRefused, match="it has 20000 columns, more than 2000"):
        read(tmp_path, (",".join(names) + "\n").encode(), extra_columns="keep")
    assert time.process_time() - begun < 2
    assert read(tmp_path, (",".join(names[:2000]) + "\n" + "x," * 1999 + "x\n").encode(), extra_columns="keep") == 1


def test_json_nested_as_deep_as_a_line_allows_is_read_or_refused_and_nothing_dies(tmp_path: Path) -> None:
    for depth in (1_000, 1_000_000):
        content = b'{"id":1,"name":' + b"[" * depth + b"]" * depth + b',"city":2}\n'
        try:
            assert read(tmp_path, content, "deep.jsonl", format="jsonl") == 1
        except FileRefused:
            assert depth > 1_000


# -- records that are not what they seem ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("1,a,b\n2,c, d,\n", "another number of values"),
        ("1,a,b\n2,c,d,,\n", "another number of values"),
        ("1,a,b,\n2,c,d,\n", "another number of values"),
        ('1,"a",b\n2,c,d,\n', "another number of values"),
        ('1,"a",b\n2,c\n', "another number of values"),
        ('1,a,"b\n2,c,d\n3,e,f"\n', "holds whole records"),
        ('1,a,"b\r\n2,c,d"\r\n', "holds whole records"),
        ('1,"a,b\n2,c",d\n', "holds whole records"),
        ('"1,a,b\n2",c,d\n', "holds whole records"),
    ],
)
def test_values_that_would_stand_in_another_column_or_record_refuse_the_file(tmp_path: Path, rows: str, sentence: str) -> None:
    with pytest.raises(FileRefused, match=sentence):
        read(tmp_path, ("id,name,city\n" + rows).encode())


@pytest.mark.parametrize(
    "text", ["two\nlines", "a list, of things\n1, 2, 3", "Main Street 1\n10115 Berlin,DE", "a,b\nc,d\ne", "\n", "x\n\ny"]
)
def test_text_of_several_lines_is_no_swallowed_record(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, f'id,name,city\n1,"{text}",c\n2,b,"{text}"\n'.encode()) == 2


def test_a_json_record_that_names_a_key_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="1 records name a key twice"):
        read(tmp_path, b'{"id":1,"name":"a","city":"b"}\n{"id":1,"name":"a","name":"z","city":"b"}\n', "a.jsonl", format="jsonl")


# -- names, links, places ------------------------------------------------------------------------------------------


def test_a_linked_folder_on_the_way_to_a_file_is_refused(shop: Any, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "orders.csv").write_text(HEAD + ROW)
    (shop.drops / NIGHT).symlink_to(elsewhere)
    with pytest.raises(UserOpsError, match="it is a link, or lies in a folder that is one"):
        shop.land(NIGHT)
    assert not list(shop.home.landing.rglob("*.csv"))


def test_a_link_deep_in_the_way_is_refused_and_the_root_itself_may_be_one(new_shop: Callable[..., Any], tmp_path: Path) -> None:
    files = {"orders": {"path": "*/{night}/orders*", "columns": HEAD.strip().split(",")}}
    shop = new_shop(files=files, tables={"orders": {"each": "orders"}})
    real = tmp_path / "real"
    (real / "in" / NIGHT).mkdir(parents=True)
    (real / "in" / NIGHT / "orders.csv").write_text(HEAD + ROW)
    shop.document["root"] = {"path": str(tmp_path / "link")}
    shop.configure()
    (tmp_path / "link").symlink_to(real)
    assert [outcome.outcome for outcome in shop.land(NIGHT)] == ["landed"]
    (real / "more").symlink_to(real / "in")
    with pytest.raises(UserOpsError, match="lies in a folder that is one"):
        shop.land(NIGHT)


def test_a_pipe_is_refused_without_waiting_for_its_writer(shop: Any) -> None:
    shop.drop(NIGHT, "users.csv", "x")
    os.mkfifo(shop.drops / NIGHT / "orders.csv")
    with pytest.raises(UserOpsError, match="it is a folder, a pipe or a device"):
        shop.land(NIGHT)


def test_a_name_as_long_as_the_disk_allows_is_refused_with_a_sentence(shop: Any) -> None:
    shop.drop(NIGHT, "orders" + "é" * 100 + ".csv", HEAD + ROW)
    with pytest.raises(UserOpsError, match="its name is longer than 200 bytes"):
        shop.land(NIGHT)


def test_a_name_that_is_an_address_is_not_repeated(shop: Any) -> None:
    shop.drop(NIGHT, "orders anna@canary.example.csv", HEAD + ROW)
    with pytest.raises(UserOpsError, match="the 1. file in the order of names") as refusal:
        shop.land(NIGHT)
    assert "canary" not in str(refusal.value)


def test_a_home_whose_path_holds_wildcards_is_a_home_like_any_other(tmp_path: Path, new_shop: Callable[..., Any]) -> None:
    (tmp_path / "we shop [prod]*?{a}").mkdir()
    shop = new_shop(name="we shop [prod]*?{a}/x", mappings={})
    shop.document["tables"]["orders"]["known_keys"] = "skip"
    shop.configure()
    shop.drop("2026-03-01", "orders.csv", HEAD + ROW.replace("03-02", "03-01"))
    shop.drop(NIGHT, "orders.csv", HEAD + ROW.replace("03-02", "03-01"))
    shop.run("2026-03-01", NIGHT)
    assert shop.ask("select count(*) from {orders}") == [(1,)]


# -- cost ----------------------------------------------------------------------------------------------------------


def test_the_manifests_of_a_night_are_read_once_however_many_files_it_has(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read_ones = []
    told = landing.Manifest.model_validate_json
    monkeypatch.setattr(landing.Manifest, "model_validate_json", lambda text: read_ones.append(1) or told(text))
    for number in range(12):
        shop.drop(NIGHT, f"orders{number}.csv", HEAD + ROW.replace("o1", f"o{number}"))
    assert len(shop.land(NIGHT)) == 12
    assert not read_ones, "none was there before"
    assert {outcome.outcome for outcome in shop.land(NIGHT)} == {"seen"}
    assert len(read_ones) == 12


# -- the machine ---------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_nothing_half_written_and_a_sentence(shop: Any) -> None:
    shop.drop(NIGHT, "orders.csv", HEAD + ROW * 20_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(OSError) as full:
            shop.land(NIGHT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "The disk is full" in str(fault_of_machine(full.value))
    assert not [path for path in shop.home.root.rglob("*") if path.is_file()]
    assert [outcome.outcome for outcome in shop.land(NIGHT)] == ["landed"]


STOPPED_WHILE_READING = """
import os, signal, sys
from datetime import date
from pathlib import Path
from userops_pipeline.intake import landing, reading
from userops_pipeline.ground.home import Home
from userops_pipeline.intake.source import load_source
signal.signal(signal.SIGTERM, signal.default_int_handler)
def stop(*_):
    os.kill(os.getpid(), getattr(signal, sys.argv[3]))
reading.Reading._count = stop
with Home(Path(sys.argv[1])).writer_lock("a run"):
    landing.land(Home(Path(sys.argv[1])), load_source(sys.argv[2]), [date(2026, 3, 2)])
"""


def test_what_a_run_that_was_ended_left_is_private_and_gone_with_the_next(shop: Any) -> None:
    shop.drop(NIGHT, "orders.csv", HEAD + ROW.replace("completed", '"completed"'))

    def ended_by(name: str) -> list[str]:
        command = [sys.executable, "-c", STOPPED_WHILE_READING, str(shop.home.root), str(shop.folder), name]
        assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode != 0
        return sorted(path.name for path in shop.home.root.rglob("*") if path.name.startswith("normalised") or ".part." in path.name)

    assert ended_by("SIGTERM") == []
    assert len(ended_by("SIGKILL")) == 2, "what no process can tidy up"
    assert not shop.home.root.stat().st_mode & 0o077
    with shop.home.writer_lock("the next run"):
        pass
    assert not [path for path in (shop.home.root / "lake").rglob("*") if path.is_file()]


def test_the_scratch_of_a_process_that_lives_is_left_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with subprocess.Popen(["sleep", "60"]) as other:
        theirs = home.root / "lake" / f".reading-{other.pid}-x"
        theirs.mkdir(parents=True)
        home.sweep()
        assert theirs.is_dir()
        other.send_signal(signal.SIGKILL)
    home.sweep()
    assert not theirs.exists()


@pytest.mark.soak
def test_bombs_are_refused_in_bounded_memory(tmp_path: Path) -> None:
    """A record of 500 MB without an end, 3 MB that unpack to 3 GB: peak memory of a process that reads them."""
    (tmp_path / "record.csv").write_bytes(b"id,name,city\n1," + b"x" * 500_000_000)
    with gzip.open(tmp_path / "bomb.csv.gz", "wb", 9) as handle:
        handle.write(b"id,name,city\n")
        for _ in range(3000):
            handle.write(b"1,a,b\n" * 170_000)
    script = (
        "import sys,re,duckdb; from pathlib import Path; from userops_pipeline.intake.reading import *; from userops_pipeline.intake.source import File\n"
        "p=Path(sys.argv[1])\n"
        "try: Reading(p, File(path=p.name, columns=('id','name','city')), 'l', duckdb.connect(), p.parent)\n"
        "except FileRefused as e: print(e)\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    for name, sentence in (("record.csv", "longer than 8 MiB"), ("bomb.csv.gz", "250 times its size")):
        said = subprocess.run([sys.executable, "-c", script, str(tmp_path / name)], capture_output=True, text=True, check=True).stdout
        assert sentence in said
        assert int(said.split()[-1]) < 300_000, "KiB"
