"""The files of the lake: written aside in a fixed order, so that equal rows are equal bytes, then renamed into place.

Here lives how raw, quarantine, accounting and profiles become Parquet files; add here when the lake gains a kind of file.
Must not decide which rows a file holds (conform does), nor read one (lake does).
"""

from __future__ import annotations

import os
import shutil
from datetime import date
from pathlib import Path

import duckdb

from userops_pipeline.ground import contract
from userops_pipeline.ground.home import Home
from userops_pipeline.ground.lake import EMPTY_FILE
from userops_pipeline.ground.sql import quoted
from userops_pipeline.intake.source import Source


def write_partitions(
    connection: duckdb.DuckDBPyConnection, name: str, target: Path, source: str, scratch: Path, order: str
) -> list[tuple[Path, Path]]:
    """Write a table as one Parquet file per night, in a fixed order, under scratch."""
    (rows,) = connection.execute(f"select count(*) from {name}").fetchone() or (0,)
    if rows == 0:
        return []
    threads = connection.execute("select current_setting('threads')").fetchone()
    connection.execute("set threads = 1")  # one writer: one file per night, rows in order, equal bytes on every machine
    connection.execute(
        f"copy (select * from {name} order by arrived_on, {order}) to {quoted(str(scratch))} "
        "(format parquet, compression zstd, partition_by (arrived_on), write_partition_columns true)"
    )
    connection.execute(f"set threads = {threads[0] if threads else 1}")
    written = []
    for folder in sorted(scratch.iterdir()):
        parts = sorted(folder.glob("*.parquet"))
        for number, part in enumerate(parts):
            suffix = "" if number == 0 else f".{number}"
            written.append((part, target / folder.name / f"{source}{suffix}.parquet"))
    return written


def move_into_place(home: Home, source: Source, nights: list[date], written: list[tuple[Path, Path]]) -> None:
    """Rename every new file into the lake and remove what these nights no longer hold."""
    places = {place for _, place in written}
    for part, place in written:
        place.parent.mkdir(parents=True, exist_ok=True)
        os.chmod(part, 0o600)
        os.replace(part, place)
    for night in nights:
        folder = f"arrived_on={night.isoformat()}"
        for root in (*home.raw.glob("*"), *home.quarantine.glob("*"), home.profiles):
            for old in (root / folder).glob("*.parquet"):
                # Up to its first dot a file is named for its source; another source may begin with the same letters.
                if old.name.partition(".")[0] == source.name and old not in places:
                    old.unlink()
                    if not any(old.parent.iterdir()):
                        shutil.rmtree(old.parent)


def ensure_empty_tables(home: Home) -> None:
    """Every contract table exists, empty where no source fills it, so that everything built on it builds.

    The empty file stands after all nights: DuckDB takes the rows of the first file for those of every other, and with none expected
    it would keep the larger side of every join in memory.
    """
    with duckdb.connect(config=home.spill()) as connection:
        for table in contract.tables().values():
            place = home.raw / table.name / "arrived_on=9999-12-31" / EMPTY_FILE
            place.parent.mkdir(parents=True, exist_ok=True)
            part = place.with_name(f".empty.{os.getpid()}.part")
            connection.execute(f"copy ({contract.empty_select(table)}) to {quoted(str(part))} (format parquet)")
            os.replace(part, place)
