"""The files of a generation: tables exported as Parquet, the tables that describe them, and the hashes that hold them to it.

Here lives how one file is written and what is remembered of it, so that equal content gives equal bytes and equal hashes.
Add here when every generation needs another table or page about itself; which tables are published is decided by the dbt schema.
Must not hold when a generation becomes visible, is trusted or deleted: that is generations.py.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
from pydantic import BaseModel, ConfigDict

from userops_pipeline.ground.home import UserOpsError, sha256_of, write_atomically
from userops_pipeline.ground.leaks import REMEDY, addresses_in
from userops_pipeline.ground.sql import identifier, quoted
from userops_pipeline.publish import dictionary
from userops_pipeline.publish.dictionary import ColumnDoc, TableDoc

MARTS, EXPORTS = "marts", "exports"
NOT_PLAIN = ("[", "STRUCT", "MAP", "UNION", "VARIANT", "TIME ZONE")

# The tables every generation adds to the marts.
OWN_TABLES = {
    doc.name: doc
    for doc in (
        TableDoc(
            name="generation",
            description="One row: the generation the tables beside it belong to.",
            label="本次发布",
            subject="published",
            columns=(
                ColumnDoc("generation_id", "VARCHAR", "Name of the generation: its night and a hash of its content"),
                ColumnDoc("as_of", "DATE", "Business date the tables are true for"),
                ColumnDoc("window_from", "DATE", "First night that this build computed again"),
                ColumnDoc("first_on", "DATE", "First business date of the source"),
                ColumnDoc("published_at", "TIMESTAMP", "When the generation was written (UTC)"),
                ColumnDoc("sources", "VARCHAR", "Sources behind it, separated by commas"),
                ColumnDoc("business_zone", "VARCHAR", "Time zone of all business dates"),
                ColumnDoc("config_hash", "VARCHAR", "Hash of the configuration the run used"),
                ColumnDoc("schema_version", "INTEGER", "Version of the published layout"),
                ColumnDoc("userops_version", "VARCHAR", "Version of userops_pipeline"),
                ColumnDoc("dbt_version", "VARCHAR", "Version of dbt-core"),
                ColumnDoc("duckdb_version", "VARCHAR", "Version of DuckDB"),
                ColumnDoc("python_version", "VARCHAR", "Version of Python"),
                ColumnDoc("table_count", "BIGINT", "Published tables, without this one and published_tables"),
                ColumnDoc("row_count", "BIGINT", "Rows of those tables together"),
                ColumnDoc("check_passed_count", "BIGINT", "Checks that passed"),
                ColumnDoc("check_warned_count", "BIGINT", "Checks that failed and only warn"),
                ColumnDoc("check_failed_count", "BIGINT", "Blocking checks that failed: always 0 in a published generation"),
            ),
        ),
        TableDoc(
            name="published_tables",
            description="One row per published table, without this one and generation.",
            label="已发布的表",
            subject="published",
            columns=(
                ColumnDoc("table_name", "VARCHAR", "Name of the table"),
                ColumnDoc("description", "VARCHAR", "What one row is, and what the table is for"),
                ColumnDoc("label", "VARCHAR", "Chinese name"),
                ColumnDoc("row_count", "BIGINT", "Rows"),
                ColumnDoc("content_hash", "VARCHAR", "Hash of the rows whatever their order: equal hash, equal content"),
            ),
        ),
        TableDoc(
            name="data_dictionary",
            description="One row per column of every published table.",
            label="数据字典",
            subject="published",
            columns=(
                ColumnDoc("table_name", "VARCHAR", "Name of the table"),
                ColumnDoc("column_name", "VARCHAR", "Name of the column"),
                ColumnDoc("position", "INTEGER", "Place of the column in its table, from 1"),
                ColumnDoc("data_type", "VARCHAR", "DuckDB type"),
                ColumnDoc("description", "VARCHAR", "What it means"),
                ColumnDoc("label", "VARCHAR", "Chinese name"),
                ColumnDoc("rule", "VARCHAR", "Condition that makes it true, where the column is a rule"),
            ),
        ),
    )
}


class GenerationError(UserOpsError):
    """A generation that may not be published, read or made current."""


@dataclass(frozen=True)
class PublishedTable:
    """A table of the warehouse to publish; rows are written in the order of `order_by`, then of all other columns."""

    schema: str
    name: str
    order_by: tuple[str, ...] = ()


class PublishedFile(BaseModel):
    """One file of a generation; rows and content_hash only where it is a table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str
    bytes: int
    rows: int | None = None
    content_hash: str | None = None


def write_tables(
    building: Path, warehouse: duckdb.DuckDBPyConnection, tables: Sequence[PublishedTable]
) -> tuple[dict[str, PublishedFile], dict[str, dict[str, str]]]:
    """Export every table; gives the files by name, and name → type of the columns by table of the marts."""
    files: dict[str, PublishedFile] = {}
    columns: dict[str, dict[str, str]] = {}
    with contextlib.closing(warehouse.cursor()) as cursor:
        for table in tables:
            source = f"{identifier(table.schema)}.{identifier(table.name)}"
            try:
                types = {row[0]: row[1] for row in cursor.execute(f"describe {source}").fetchall()}
            except duckdb.CatalogException:
                raise GenerationError(f"Table {table.schema}.{table.name} is not in the warehouse; build it before publishing.") from None
            for column, data_type in types.items():
                if any(word in data_type for word in NOT_PLAIN):
                    raise GenerationError(
                        f"Column {table.schema}.{table.name}.{column} is {data_type}; published tables hold plain columns "
                        "and UTC timestamps without zone. Cast it in the model."
                    )
            missing = [column for column in table.order_by if column not in types]
            if missing:
                raise GenerationError(f"Table {table.schema}.{table.name} cannot be ordered by {', '.join(missing)}: no such column.")
            relative = f"{table.name}.parquet" if table.schema == MARTS else f"{EXPORTS}/{table.name}.parquet"
            order = ", ".join(f"{identifier(column)} nulls last" for column in dict.fromkeys((*table.order_by, *types)))
            _copy(cursor, f"select {', '.join(map(identifier, types))} from {source} order by {order}", building / relative)
            if table.schema == EXPORTS:
                (building / relative).chmod(0o600)
            else:
                _refuse_addresses(cursor, table, types, building / relative)
                columns[table.name] = types
            files[relative] = _table_file(cursor, building / relative)
    return files, columns


def _refuse_addresses(cursor: duckdb.DuckDBPyConnection, table: PublishedTable, types: Mapping[str, str], path: Path) -> None:
    """What everybody reads holds nobody's address, whatever column it came through."""
    for column, rows in addresses_in(cursor, scan(path), [name for name, data_type in types.items() if data_type == "VARCHAR"]):
        raise GenerationError(
            f"Nothing was published: column {table.schema}.{table.name}.{column} holds what looks like e-mail addresses or phone numbers "
            f"in {rows} row(s), but {REMEDY}."
        )


def write_dictionary_table(building: Path, described: Sequence[TableDoc]) -> dict[str, PublishedFile]:
    rows = [
        (table.name, column.name, position, column.data_type, column.description, column.label, column.rule)
        for table in described
        for position, column in enumerate(table.columns, start=1)
    ]
    return {"data_dictionary.parquet": _write_rows(building, "data_dictionary", rows)}


def write_own_tables(
    building: Path,
    generation_id: str,
    published_at: datetime,
    body: Mapping[str, Any],
    files: Mapping[str, PublishedFile],
    described: Sequence[TableDoc],
) -> dict[str, PublishedFile]:
    by_table = {path.removesuffix(".parquet"): file for path, file in files.items() if not path.startswith(EXPORTS)}
    verdicts = [check.verdict for check in body["checks"]]
    generation = (
        generation_id,
        body["as_of"],
        body["window_from"],
        body["first_on"],
        published_at.replace(tzinfo=None),
        ", ".join(body["sources"]),
        body["business_zone"],
        body["config_hash"],
        body["schema_version"],
        *(body["versions"][name] for name in ("userops", "dbt", "duckdb", "python")),
        len(by_table),
        sum(file.rows or 0 for file in by_table.values()),
        *(verdicts.count(verdict) for verdict in ("passed", "warned", "failed")),
    )
    published = [
        (table.name, table.description, table.label, by_table[table.name].rows, by_table[table.name].content_hash)
        for table in sorted(described, key=lambda table: table.name)
        if table.name in by_table
    ]
    return {
        "generation.parquet": _write_rows(building, "generation", [generation]),
        "published_tables.parquet": _write_rows(building, "published_tables", published),
    }


def _write_rows(building: Path, table: str, rows: Sequence[tuple[Any, ...]]) -> PublishedFile:
    """Write one of the own tables with the types its description promises."""
    columns = OWN_TABLES[table].columns
    path = building / f"{table}.parquet"
    with contextlib.closing(duckdb.connect()) as memory:
        memory.execute(f"create table rows ({', '.join(f'{identifier(column.name)} {column.data_type}' for column in columns)})")
        if rows:
            marks = ", ".join([f"({', '.join('?' * len(columns))})"] * len(rows))
            memory.execute(f"insert into rows values {marks}", [value for row in rows for value in row])
        _copy(memory, "select * from rows", path)
        return _table_file(memory, path)


def write_pages(
    building: Path, generation_id: str, files: Mapping[str, PublishedFile], described: Sequence[TableDoc], rulebook_json: str
) -> dict[str, PublishedFile]:
    row_counts = {path.removesuffix(".parquet"): file.rows or 0 for path, file in files.items()}
    pages = {
        "rulebook.json": rulebook_json,
        "dictionary.md": dictionary.as_markdown(described, row_counts, generation_id),
        "dictionary.html": dictionary.as_html(described, row_counts, generation_id),
    }
    for name, text in pages.items():
        write_atomically(building / name, text.encode())
    return {name: _file(building / name) for name in pages}


def _copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(f"copy ({query}) to {quoted(str(path))} (format parquet, compression zstd)")
    sync(path)


def scan(path: Path) -> str:
    return f"read_parquet({quoted(glob.escape(str(path.resolve())))}, hive_partitioning = false)"


def _table_file(connection: duckdb.DuckDBPyConnection, path: Path) -> PublishedFile:
    rows, content_hash = content_of(connection, scan(path))
    return _file(path, rows=rows, content_hash=content_hash)


def content_of(connection: duckdb.DuckDBPyConnection, relation: str) -> tuple[int, str]:
    """Rows of a relation, and a hash of its columns, types and rows that neither their order nor the DuckDB version changes."""
    columns = [row[:2] for row in connection.execute(f"describe select * from {relation}").fetchall()]
    row = connection.execute(
        "select count(*), sum((h & 18446744073709551615)::ubigint), sum((h >> 64)::ubigint) "
        f"from (select md5_number(to_json(t)::varchar) as h from (select * from {relation}) as t)"
    ).fetchone()
    assert row is not None
    return row[0], digest([columns, row])[:32]


def _file(path: Path, *, rows: int | None = None, content_hash: str | None = None) -> PublishedFile:
    return PublishedFile(sha256=sha256_of(path), bytes=path.stat().st_size, rows=rows, content_hash=content_hash)


def digest(document: Any) -> str:
    """SHA-256 over the one JSON text of a document."""
    return hashlib.sha256(json.dumps(document, default=str, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def sync(*paths: Path) -> None:
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
