"""The contract: the one canonical shape of raw data, read from contract.yml.

Here lives what follows from the shape of a table alone: its typed columns, its DuckDB schema, its dbt source and staging YAML.
Add here when another consumer needs to be derived from the contract; a new table or column goes into contract.yml and nowhere else.
Must not hold anything about a single source, a file, or a business rule.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

CONTRACT_FILE = Path(__file__).with_name("contract.yml")

ColumnType = Literal["text", "integer", "money", "number", "share", "timestamp", "date", "boolean"]

SQL_TYPES: dict[ColumnType, str] = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "money": "DECIMAL(18,2)",
    "number": "DECIMAL(18,4)",
    "share": "DECIMAL(9,6)",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
    "boolean": "BOOLEAN",
}

# What every raw row carries beside its contract columns, with the DuckDB type.
LINEAGE_COLUMNS: dict[str, tuple[str, str]] = {
    "arrived_on": ("DATE", "Night the row arrived in"),
    "source_name": ("VARCHAR", "Source folder the row came through"),
    "source_file": ("VARCHAR", "Landed file the row came from"),
    "source_row": ("BIGINT", "Record number in that file, counted from 1 without the header"),
    "version": ("VARCHAR", "Which version of the record it is, as the mapping says and in a form that sorts; null where it does not say"),
}


class Column(BaseModel):
    """One column of a contract table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    type: ColumnType
    about: str
    required: bool = False
    personal: bool = False
    sensitive: bool = False
    refers: str | None = None
    known: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    strictest: bool = False
    format: Literal["phone", "email", "contact_point", "id", "currency"] | None = None
    restates: bool = False
    ahead: bool = False
    moment: bool = False
    dated_by: str | None = None
    alike: tuple[str, ...] = ()
    min: str | int | float | None = None
    max: str | int | float | None = None

    @property
    def sql_type(self) -> str:
        return SQL_TYPES[self.type]


class RowCheck(BaseModel):
    """A condition every typed row must meet, and the reason it is set aside with where it does not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sql: str
    reason: str


class Table(BaseModel):
    """One contract table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    at: str | None = None
    lateness: int = 0
    stitch: int = 0
    staged: Literal["whole", "window"] = "whole"
    versions: bool = False
    check: tuple[RowCheck, ...] = Field(default=())

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    @property
    def moments(self) -> dict[str, tuple[str, ...]]:
        """By the column that dates it, what else staging has of each fact a row tells of: the row's own first, then the later ones."""
        if self.at is None:
            return {}
        dates = {column.name: self.at if column.dated_by is None else column.dated_by for column in self.columns if not column.personal}
        names = [self.at, *(column.name for column in self.columns if column.moment)]
        return {name: tuple(column for column, by in dates.items() if by == name and column not in names) for name in names}

    @property
    def business_date_column(self) -> str | None:
        """`ordered_at` gives `ordered_on`; None for a dimension."""
        return None if self.at is None else self.at.removesuffix("_at") + "_on"


@functools.cache
def tables() -> dict[str, Table]:
    """All contract tables by name, in the order of contract.yml."""
    document: dict[str, Any] = yaml.safe_load(CONTRACT_FILE.read_text(encoding="utf-8"))
    return {
        name: Table(
            name=name,
            **{**body, "columns": tuple(Column(name=key, **column) for key, column in body["columns"].items())},
        )
        for name, body in document["tables"].items()
    }


def raw_columns(table: Table) -> dict[str, str]:
    """DuckDB type by column name of the raw table: lineage columns first, then the contract's own."""
    return {
        **{name: sql_type for name, (sql_type, _) in LINEAGE_COLUMNS.items()},
        **{column.name: column.sql_type for column in table.columns},
    }


def empty_select(table: Table) -> str:
    """A query with the raw table's columns and types and no row."""
    casts = ", ".join(f'cast(null as {sql_type}) as "{name}"' for name, sql_type in raw_columns(table).items())
    return f"select {casts} where false"


def staging_columns(table: Table) -> list[tuple[str, str, str]]:
    """(name, DuckDB type, description) of stg_<table>: no personal columns, the business date added after its timestamp."""
    rows: list[tuple[str, str, str]] = []
    for column in table.columns:
        if column.personal:
            continue
        rows.append((column.name, column.sql_type, column.about))
        if column.name == table.at and table.business_date_column:
            rows.append((table.business_date_column, "DATE", f"Business date of {column.name}"))
    rows.append(("arrived_on", "DATE", "Night this version of the row arrived in"))
    return rows


def _marks(column: Column) -> dict[str, Any]:
    """What a reader must be told of a column: that it names a person, says what a rule may not use without a reason, or which of its words
    are alike."""
    marks: dict[str, Any] = {name: True for name in ("personal", "sensitive") if getattr(column, name)}
    return {**marks, "alike": list(column.alike)} if column.alike else marks


def dbt_yaml() -> str:
    """The YAML of dbt's raw sources and staging models: documentation and key tests, nothing a person has to write twice."""
    sources = []
    models = []
    for table in tables().values():
        sources.append(
            {
                "name": table.name,
                "description": f"{table.grain[0].upper()}{table.grain[1:]} and delivered version.",
                "config": {
                    "meta": {
                        "key": list(table.key),
                        "at": table.at,
                        "lateness": table.lateness,
                        "stitch": table.stitch,
                        "staging": [column.name for column in table.columns if not column.personal],
                    }
                },
                "columns": [
                    {"name": name, "data_type": sql_type.lower(), "description": about}
                    for name, (sql_type, about) in LINEAGE_COLUMNS.items()
                ]
                + [
                    {
                        "name": column.name,
                        "data_type": column.sql_type.lower(),
                        "description": column.about,
                        **({"config": {"meta": marks}} if (marks := _marks(column)) else {}),
                    }
                    for column in table.columns
                ],
            }
        )
        columns = []
        is_view = table.staged == "window"  # a test of a view is the view once more, and this one leaves one row of a key itself
        sensitive = {column.name for column in table.columns if column.sensitive}
        personal_key = any(table.column(name).personal for name in table.key)
        for name, sql_type, about in staging_columns(table):
            tests: list[Any] = []
            if table.key == (name,) and not is_view:
                tests = ["not_null"] if table.at else ["not_null", "unique"]
            columns.append(
                {
                    "name": name,
                    "data_type": sql_type.lower(),
                    "description": about,
                    **({"config": {"meta": {"sensitive": True}}} if name in sensitive else {}),
                    **({"data_tests": tests} if tests else {}),
                }
            )
        model: dict[str, Any] = {
            "name": f"stg_{table.name}",
            "description": f"{table.grain[0].upper()}{table.grain[1:]}: its latest version as of the clock"
            + (", of the business dates this run recomputes." if table.staged == "window" else "."),
            "columns": columns,
        }
        if (len(table.key) > 1 or table.at) and not personal_key and not is_view:
            since = {"recomputed_by": table.business_date_column} if table.at else {}
            model["data_tests"] = [{"unique_together": {"arguments": {"columns": list(table.key), **since}}}]
        models.append(model)
    document = {
        "version": 2,
        "sources": [
            {
                "name": "raw",
                "schema": "raw",
                "description": "What arrived, conformed to the contract; written by the conform step only.",
                "tables": sources,
            }
        ],
        "models": models,
    }
    header = "# Generated from userops_pipeline/ground/contract.yml by `make contract`; a test fails when the two differ.\n"
    return header + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=140)
