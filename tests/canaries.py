"""Canaries: texts planted with a person, and the search for them in every byte of a folder.

Here lives how a file is opened to its last layer: as it lies, unpacked, as the values of a table. Add a format here when a home gains one.
Must not hold what is allowed to be found: a test says that.
"""

from __future__ import annotations

import csv
import gzip
import io
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as parquet

from userops_pipeline.ground import contract
from userops_pipeline.ground.sql import identifier


@dataclass
class Scan:
    """What a search looked at and found: the canaries by file, relative to the folder."""

    files: int = 0
    bytes: int = 0
    hits: dict[str, list[str]] = field(default_factory=dict)


def scan(folder: Path, canaries: Iterable[str], skip: Iterable[Path] = ()) -> Scan:
    """Search every file under a folder for every canary: its bytes in UTF-8, UTF-16 and GB18030, what is packed in them, and the values of tables."""
    words = {}
    for canary in canaries:
        for form in {canary, canary.encode("unicode_escape").decode("ascii")}:  # as JSON writes it, too
            for encoding in ("utf-8", "utf-16-le", "utf-16-be", "gb18030"):
                words[form.encode(encoding).lower()] = canary
    found = Scan()
    left_out = set(skip)
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink() or path in left_out:
            continue
        found.files += 1
        hits: set[str] = set()
        for content in (path.name.encode(), *_layers(path)):
            found.bytes += len(content)
            lower = content.lower()  # of many words each by itself is found many times faster than all of them by one pattern
            hits |= {canary for word, canary in words.items() if word in lower}
        if hits:
            found.hits[str(path.relative_to(folder))] = sorted(hits)
    return found


def _layers(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    yield content
    if content.startswith(b"\x1f\x8b"):
        yield gzip.decompress(content)
    elif content.startswith(b"PAR1"):
        yield from _parquet(path)
    elif content.startswith(b"SQLite format 3"):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as con:
            yield "\n".join(con.iterdump()).encode("utf-8", errors="replace")
    elif content[8:12] == b"DUCK":
        yield from _duckdb(path)


def _parquet(path: Path) -> Iterator[bytes]:
    with parquet.ParquetFile(path) as file:
        yield repr(file.metadata.to_dict()).encode()
        for batch in file.iter_batches():
            yield _text(pa.Table.from_batches([batch]))


def _duckdb(path: Path) -> Iterator[bytes]:
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        for schema, table in tables:
            rows = connection.execute(f'select * from "{schema}"."{table}"').fetchall()
            yield "\n".join(str(value) for row in rows for value in row if isinstance(value, str | bytes)).encode()


def _text(table: pa.Table) -> bytes:
    return "\n".join(str(value) for column in table.columns for value in column.to_pylist() if isinstance(value, str | bytes)).encode()


# -- a shop that fills every table of the contract -----------------------------------------------------------------

WORDS = {"page": "home", "currency": "EUR", "channel": "email", "kind": "review", "action": "add"}
PERSON = "CANARY-U1"
MAIL, PHONE = "canary-anna@example.com", "+8613800138000"


def every_table() -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """(what source.yml adds, mappings, the first night's files by name) of a shop with two users and a row of each in every table.

    Every text of the person's rows that the contract leaves free is a canary of its own; of each table one more record of theirs is set
    aside. Tables that know no user hold a row of nobody's, and one that mentions the person's address.
    """
    files, mappings, drops = {}, {}, {}
    for table in contract.tables().values():
        names = [column.name for column in table.columns]
        files[table.name] = {"path": f"{{night}}/{table.name}.csv", "columns": names}
        mappings[table.name] = f"select {', '.join(map(identifier, names))}, _file, _row, _night from {table.name}"
        rows = [{column.name: _value(table, column, person) for column in table.columns} for person in ("U2", PERSON)]
        if not any(column.refers == "users.user_id" or column.name == "user_id" for column in table.columns):
            rows[1] = {**rows[1], next(c.name for c in table.columns if c.type == "text"): f"for {MAIL}"}
        times = [column.name for column in table.columns if column.type in ("timestamp", "date")]
        if times:
            rows.append({**rows[1], times[0]: "no time"})
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        drops[f"{table.name}.csv"] = text.getvalue()
    document = {"files": files, "tables": {name: {"each": name} for name in files}, "gate": {"quarantine_share": 1, "orphan_share": 1}}
    return document, mappings, drops


def _value(table: contract.Table, column: contract.Column, person: str) -> str:
    is_canary = person == PERSON
    known = column.known or getattr(column, "only", ())
    if column.name in ("merged_into", "excluded_as"):
        return ""
    if column.name in ("user_id", "inviter_id", "invitee_id"):
        return person
    if column.name == "email":
        return MAIL if is_canary else "ben@example.com"
    if column.name == "phone":
        return PHONE if is_canary else "+8613900139000"
    if column.name == "contact_point":
        return MAIL if is_canary else "ben@example.com"
    if known:
        return "subscribed" if "subscribed" in known else known[0]
    if column.refers is not None:
        target, key = column.refers.split(".")
        shared = target in ("products", "campaigns")
        return f"{target}-{key}" if shared or not is_canary else f"CANARY-{target}-{key}"
    match column.type:
        case "timestamp":
            return "2026-02-20 10:00:00"
        case "date":
            return "1990-02-20" if column.name == "birth_date" else "2026-02-20"
        case "boolean":
            return "false"
        case "text" if column.name in WORDS:
            return WORDS[column.name]
        case "text":
            return f"{'CANARY-' if is_canary else ''}{table.name}-{column.name}"
        case _:
            return "1"
