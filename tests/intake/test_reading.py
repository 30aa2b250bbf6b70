"""A file is read whole and exactly, or refused in one sentence: every encoding, every format, every way of being cut."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from userops_pipeline.ground.home import sha256_of
from userops_pipeline.intake.reading import FileRefused, Reading, check_sidecar
from userops_pipeline.intake.source import File

COLUMNS = ["id", "name"]


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def read(connection: duckdb.DuckDBPyConnection, path: Path, content: bytes, **declared: Any) -> list[tuple]:
    """Records of the content, with the proof that the count told at landing is the count read later."""
    path.write_bytes(content)
    reading = Reading(path, File(**({"path": path.name, "columns": COLUMNS} | declared)), "label", connection, path.parent)
    try:
        rows = connection.execute(f"select id, name, _file, _row from ({reading.select}) order by _row").fetchall()
    finally:
        reading.close()
    assert reading.rows == len(rows)
    assert [row[2:] for row in rows] == [("label", number + 1) for number in range(len(rows))]
    return [row[:2] for row in rows]


def as_csv(records: list[tuple[str, str]], end: str = "\n", delimiter: str = ",") -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, delimiter=delimiter)
    writer.writerows([COLUMNS, *records])
    return text.getvalue()


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    delimiter=st.sampled_from([",", ";", "\t"]),
)
def test_any_text_comes_back_exactly(connection: Any, tmp_path: Path, records: list, encoding: str, end: str, delimiter: str) -> None:
    """But for a text of several lines with delimiters in it: with two columns it may be what two lost quotes swallowed, and is refused."""
    assume(not any(delimiter in value and ("\n" in value or "\r" in value) for record in records for value in record))
    # every value quoted, so that line ends and quotes in values are told from those of the file
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([COLUMNS, *records])
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    assert read(connection, tmp_path / "any.csv", text.getvalue().encode(encoding), encoding=declared, delimiter=delimiter) == records


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from('ab",\r\n '), max_size=40))
def test_a_file_of_stray_quotes_is_read_as_the_csv_module_reads_it_or_refused(connection: Any, tmp_path: Path, body: str) -> None:
    content = "id,name\n" + body
    try:
        rows = read(connection, tmp_path / "stray.csv", content.encode())
    except FileRefused:
        return
    expected = [record for record in csv.reader(io.StringIO(content, newline=""), strict=True) if record][1:]
    assert [[value or "" for value in row] for row in rows] == expected


def test_a_quote_hidden_by_a_stray_one_does_not_swallow_the_records_after_it(connection: Any, tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="not well-formed CSV"):
        read(connection, tmp_path / "hidden.csv", b'id,name\n1,5" pipe\n2,"open\n3,x\n')


@pytest.mark.parametrize(
    ("format_", "name", "content"),
    [
        ("csv", "a.csv", as_csv([("1", "a"), ("2", "b")]).encode()),
        ("csv", "a.csv.gz", gzip.compress(as_csv([("1", "a"), ("2", "b")]).encode(), mtime=0)),
        ("csv", "quoted.csv.gz", gzip.compress(b'id,name\r\n"1","a"\r\n2,b', mtime=0)),
        ("jsonl", "a.jsonl", b'{"id": 1, "name": "a"}\n{"name": "b", "id": "2"}\n'),
        ("jsonl", "a.jsonl.gz", gzip.compress(b'{"id": 1, "name": "a"}\n{"name": "b", "id": "2"}', mtime=0)),
        ("jsonl", "bom.jsonl", b'\xef\xbb\xbf{"id": 1, "name": "a"}\n{"name": "b", "id": "2"}'),
    ],
)
def test_every_format_gives_the_same_text(connection: Any, tmp_path: Path, format_: str, name: str, content: bytes) -> None:
    assert read(connection, tmp_path / name, content, format=format_) == [("1", "a"), ("2", "b")]


def test_json_values_are_text_without_loss_and_null_stays_null(connection: Any, tmp_path: Path) -> None:
    lines = [{"id": 12345678901234567890, "name": None}, {"id": "007", "name": {"k": ["é", 1.50]}}, {"id": True, "name": "a\nb"}]
    content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    assert read(connection, tmp_path / "a.jsonl", content, format="jsonl") == [
        ("12345678901234567890", None),
        ("007", '{"k":["é",1.5]}'),
        ("true", "a\nb"),
    ]


def test_parquet_floats_are_plain_decimals_and_times_are_iso(connection: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    connection.execute(f"copy (select unnest([0.1 + 0.2, 1e-5, 1e7, 2.675]) as id, timestamp '2026-03-02 10:00:00' as name) to '{path}'")
    rows = read(connection, path, path.read_bytes(), format="parquet")
    assert [str(float(row[0])) for row in rows] == ["0.3", "1e-05", "10000000.0", "2.675"]
    assert all("e" not in row[0] for row in rows)
    assert {row[1] for row in rows} == {"2026-03-02 10:00:00"}


@pytest.mark.parametrize(
    ("format_", "name", "content", "sentence"),
    [
        ("csv", "a.csv", b"", "the file is empty"),
        ("csv", "a.csv", b"id,name\n1\n", "another number of values"),
        ("csv", "a.csv", b"id,name\n1,a,x\n", "another number of values"),
        ("csv", "a.csv", b'id,name\n1,"a"b\n', "not well-formed CSV"),
        ("csv", "a.csv", b"id;name\n1;a\n", "separated by another character"),
        ("csv", "a.csv.gz", b"id,name\n1,a\n", "cannot be unpacked"),
        ("csv", "a.csv.gz", gzip.compress(as_csv([("1", "a")] * 99).encode(), mtime=0)[:-12], "cannot be unpacked"),
        ("jsonl", "a.jsonl", b'{"id": 1, "name": "a"}\n{"id": 2, "na', "a line is not a JSON object near line"),
        ("jsonl", "a.jsonl", b'{"id": 1, "name": "a"}\n[1, 2]\n', "every line must be one JSON object"),
        ("jsonl", "a.jsonl", b'{"id": 1}\n', "the column name is missing"),
        ("jsonl", "a.jsonl", b'{"id": 1, "name": "a", "more": 1}\n', "does not declare: more"),
        ("parquet", "a.parquet", b"PAR1 nothing PAR1", "not a whole Parquet file"),
        ("parquet", "a.parquet", b"id,name\n", "not a whole Parquet file"),
    ],
)
def test_what_cannot_be_trusted_is_refused_in_one_sentence(
    connection: Any, tmp_path: Path, format_: str, name: str, content: bytes, sentence: str
) -> None:
    with pytest.raises(FileRefused, match=sentence) as refusal:
        read(connection, tmp_path / name, content, format=format_)
    assert str(refusal.value).startswith(f"{name}: ")
    assert "\n" not in str(refusal.value)


def test_a_cut_anywhere_never_loads_a_cut_record(connection: Any, tmp_path: Path) -> None:
    """A cut inside the last value is the one that only a sidecar can see; there the record count stays true."""
    whole = as_csv([(str(number), f"name {number}") for number in range(4)]).encode()
    records = [(str(number), f"name {number}") for number in range(4)]
    for end in range(9, len(whole)):
        try:
            rows = read(connection, tmp_path / "cut.csv", whole[:end])
        except FileRefused:
            continue
        assert rows[:-1] == records[: len(rows) - 1] if rows else True


def test_a_sidecar_that_agrees_lets_pass_and_one_that_does_not_refuses(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"id,name\n")
    sidecar = tmp_path / "a.csv.sha256"
    sidecar.write_text(f"{hashlib.sha256(b'id,name').hexdigest()}  a.csv\n")
    file = File(path="a.csv", columns=("id",))
    with pytest.raises(FileRefused, match=r"not what a\.csv\.sha256 states"):
        check_sidecar(path, file, sha256_of(path))
    sidecar.write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  a.csv\n")
    check_sidecar(path, file, sha256_of(path))


def test_a_header_of_a_million_characters_is_refused_without_repeating_it(connection: Any, tmp_path: Path) -> None:
    with pytest.raises(FileRefused) as refusal:
        read(connection, tmp_path / "wide.csv", b"id,name," + b"x" * 1_000_000 + b"\n1,a,b\n")
    assert len(str(refusal.value)) < 300


def test_a_file_packed_to_nothing_is_read_in_bounded_memory(connection: Any, tmp_path: Path) -> None:
    packed = gzip.compress(b"id,name\n1," + b" " * 60_000_000, 9)
    assert len(packed) < 100_000
    tracemalloc.start()
    with pytest.raises(FileRefused, match="longer than 8 MiB"):
        read(connection, tmp_path / "bomb.csv.gz", packed)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60_000_000
