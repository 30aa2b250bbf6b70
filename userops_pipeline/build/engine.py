"""The engine: which of the two builds the tables, and what passes between the home and Spark before and after its build.

Here live the SQL statements that show raw and the clock to Spark, and those that bring its tables to where publishing reads them; dbt runs them.
Add here when Spark must be told, or must hand over, something else. Must not open a connection to Spark (dbt has one) nor hold a rule.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Literal

import duckdb

from userops_pipeline.ground import contract
from userops_pipeline.ground.home import Home, UserOpsError
from userops_pipeline.ground.sql import identifier, quoted

Engine = Literal["duckdb", "spark"]
Columns = Mapping[str, str]  # SQL type by column name, in the order of the table
ACCOUNTING_COLUMNS: Columns = {
    "source_name": "VARCHAR",
    "table_name": "VARCHAR",
    "arrived_on": "DATE",
    "rows_in": "BIGINT",
    "rows_kept": "BIGINT",
    "rows_quarantined": "BIGINT",
    "rows_duplicate": "BIGINT",
}
SCHEMAS = ("raw", "staging", "intermediate", "marts", "exports")


def engine() -> Engine:
    """`USEROPS_ENGINE`; also the name of dbt's target.

    Raises:
        UserOpsError: there is no such engine.
    """
    name = os.environ.get("USEROPS_ENGINE") or "duckdb"
    if name == "duckdb":
        return "duckdb"
    if name == "spark":
        return "spark"
    raise UserOpsError(f"USEROPS_ENGINE is {name!r}; there are two engines, duckdb and spark.")


def before_build(home: Home, *, full: bool) -> list[str]:
    """What Spark must be told before dbt starts: the lake's tables as views. A full build forgets all earlier tables."""
    statements = [f"drop schema if exists {schema} cascade" for schema in SCHEMAS] if full else []
    statements.append("create schema if not exists raw")
    for table in contract.tables().values():
        statements += _lake_table(table.name, contract.raw_columns(table), home.raw / table.name)
    statements += _lake_table("load_accounting", ACCOUNTING_COLUMNS, home.accounting)
    return statements


def clock_view(row: Mapping[str, date | datetime | str]) -> str:
    """What Spark must be told before each leg: its clock."""
    kinds = {datetime: "timestamp", date: "date", str: ""}
    return "create or replace view raw.clock as select " + ", ".join(f"{kinds[type(said)]}'{said}' as {name}" for name, said in row.items())


def _lake_table(name: str, columns: Columns, folder: Path) -> list[str]:
    """An external table: dropping it never touches the lake. Created anew so that Spark sees tonight's files; arrived_on stands in the files."""
    listed = ", ".join(f"`{column}` {'string' if sql_type == 'VARCHAR' else sql_type}" for column, sql_type in columns.items())
    return [
        f"drop table if exists raw.{name}",
        f"create table raw.{name} ({listed}) using parquet options (recursiveFileLookup 'true') location '{folder.as_uri()}'",
    ]


def after_build(home: Home, tables: Mapping[tuple[str, str], Columns]) -> list[str]:
    """What Spark must do when dbt has built: write every table (schema, name) that is published as Parquet into the home."""
    return [
        f"insert overwrite directory '{_handed_over(home, schema, name)}' using parquet "
        f"select /*+ coalesce(1) */ {', '.join(f'`{column}`' for column in columns)} from {schema}.{name}"
        for (schema, name), columns in tables.items()
    ]


def _handed_over(home: Home, schema: str, name: str) -> str:
    return (home.spark / "handed_over" / schema / name).as_uri()


def show(home: Home, warehouse: duckdb.DuckDBPyConnection, tables: Mapping[tuple[str, str], Columns]) -> None:
    """Show the tables Spark handed over in the warehouse, with the types of their contract, as if DuckDB had built them."""
    for (schema, name), columns in tables.items():
        files = f"{glob.escape(str(home.spark / 'handed_over' / schema / name))}/*.parquet"
        listed = ", ".join(f"cast({identifier(column)} as {sql_type}) as {identifier(column)}" for column, sql_type in columns.items())
        warehouse.execute(f"create schema if not exists {identifier(schema)}")
        warehouse.execute(
            f"create or replace view {identifier(schema)}.{identifier(name)} as select {listed} from read_parquet({quoted(files)})"
        )
