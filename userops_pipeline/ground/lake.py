"""The lake: how the conformed files are read, for whoever needs them in SQL.

Here live the scans of raw, quarantine and accounting, and the questions people ask of quarantine.
Add a scan here when a new kind of file enters the lake; must not write (lake_files does) nor show a record's values.
"""

from __future__ import annotations

import glob
from dataclasses import dataclass
from datetime import date

import duckdb

from userops_pipeline.ground.home import Home
from userops_pipeline.ground.sql import quoted

# Each contract table has one without a row, after all nights, so that it can be read where no source fills it.
EMPTY_FILE = "empty.parquet"


def _hive_scan(folders: list[str]) -> str:
    files = ", ".join(quoted(f"{folder}/*.parquet") for folder in folders)
    return f"read_parquet([{files}], hive_partitioning=true, hive_types={{'arrived_on': 'DATE'}})"


def raw_scan(home: Home, table: str, since: date | None = None) -> str:
    """The conformed rows of a contract table, of all nights or of those from `since` on.

    A filter on arrived_on skips whole nights as well, but leaves DuckDB expecting no rows of what remains; nights named do not.
    """
    folder = home.raw / table
    plain = glob.escape(str(folder))  # a home's own path may hold what is a wildcard to DuckDB
    if since is None:
        return _hive_scan([f"{plain}/*"])
    return _hive_scan([f"{plain}/{place.name}" for place in sorted(folder.glob("arrived_on=*")) if place.name >= f"arrived_on={since}"])


def accounting_scan(home: Home) -> str:
    """Rows in, kept, quarantined and duplicate per source, table and night."""
    return _hive_scan([f"{glob.escape(str(home.accounting))}/*"])


@dataclass(frozen=True)
class QuarantineReason:
    """Rows set aside for one reason, with one place to look at; never a value."""

    table: str
    column: str | None
    reason: str
    rows: int
    first_night: date
    last_night: date
    example_file: str
    example_row: int


def quarantined(
    home: Home, *, table: str | None = None, night: date | None = None, source: str | None = None, between: tuple[date, date] | None = None
) -> list[QuarantineReason]:
    """What waits in quarantine, of all nights, of one or of those `between` two, most frequent reason first."""
    nights = f"arrived_on={night}" if night else "*"
    if not any(home.quarantine.glob(f"*/{nights}/*.parquet")):
        return []
    scan = f"read_parquet({quoted(f'{glob.escape(str(home.quarantine))}/*/{nights}/*.parquet')}, hive_partitioning=false)"
    asked = [f"{column} = {quoted(value)}" for column, value in (("table_name", table), ("source_name", source)) if value]
    asked += [f"arrived_on between date '{between[0]}' and date '{between[1]}'"] if between else []
    only = f"where {' and '.join(asked)}" if asked else ""
    with duckdb.connect(config=home.spill()) as connection:
        rows = connection.execute(
            f"select table_name, column_name, reason, count(*), min(arrived_on), max(arrived_on), "
            f"min(row(arrived_on, source_file, source_row))[2], min(row(arrived_on, source_file, source_row))[3] "
            f"from {scan} {only} group by all order by count(*) desc, table_name, column_name, reason"
        ).fetchall()
    return [QuarantineReason(*row) for row in rows]


def nights_in_quarantine(home: Home) -> list[date]:
    """Nights that have a row in quarantine, in order: the ones a replay conforms again."""
    return sorted({date.fromisoformat(path.parent.name.removeprefix("arrived_on=")) for path in home.quarantine.glob("*/*/*.parquet")})
