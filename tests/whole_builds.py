"""Whole builds that must come out equal: which shops are built by which steps, and where what was published differs.

Here lives what `make check-spark` (two engines) and `make check-duckdb` (two releases of one) share. Add a step when a new kind of build must be equal.
Must not know a table or a rule, nor who built; nor repair a difference: equal means the same content hash in both manifests.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from userops_pipeline import cli
from userops_pipeline.ground.home import Home
from userops_pipeline.intake.source import load_source
from userops_pipeline.publish import generations

SAMPLE, DEMO = "sample_shop", "demo_shop"
SIMULATED = "--users 20000 --days 120 --dirt 0.01"  # as in `make demo`


@dataclass(frozen=True)
class Step:
    """A build: the first and last of its nights, whether from scratch, and how many nights a leg of it makes (nothing said: all at once)."""

    name: str
    first: date
    last: date
    from_scratch: bool = False
    nights_at_once: str = ""

    @property
    def command(self) -> list[str]:
        """The product's own command that does it."""
        nights = (
            ["nightly", "--date", str(self.last)]
            if self.first == self.last
            else ["backfill", "--from", str(self.first), "--to", str(self.last)]
        )
        return [*nights, *(["--full-refresh"] if self.from_scratch else [])]


def steps_of(shop: str, last: date | None = None) -> list[Step]:
    """Everything up to an eve, then single nights: of most shops the last one, by default the one that the source states."""
    source = load_source(shop)
    last = last or source.last_night
    assert last is not None, f"{shop} states no last night"
    nights = [last]
    if shop == SAMPLE:
        # The nights of the 12th and 13th bring late rows and begin days earlier (the 6th, the 10th); the 14th brings none.
        nights = [date(2026, 3, 12), date(2026, 3, 13), date(2026, 3, 14)]
    steps = [Step("everything up to the eve", source.first_night, nights[0] - timedelta(days=1))]
    steps += [Step(f"night {night}", night, night) for night in nights]
    if shop == SAMPLE:
        steps.append(
            Step("the same night from scratch, in legs of five nights", nights[-1], nights[-1], from_scratch=True, nights_at_once="5")
        )
    return steps


def simulate(folder: Path, options: str = SIMULATED) -> date:
    """Write the demo where its source looks; gives its last night."""
    os.environ["USEROPS_DEMO_SHOP"] = str(folder)
    cli.main.main(["simulate", *options.split(), "--out", str(folder)], standalone_mode=False)
    return max(date.fromisoformat(night.name) for night in (folder / "drops").iterdir())


@dataclass(frozen=True)
class Differing:
    """A table that two builds published differently: rows of each, and the columns that hold the difference."""

    table: str
    rows: tuple[int | None, int | None]
    columns: list[str]


def differing(left: generations.Generation, right: generations.Generation) -> list[Differing]:
    """Every table whose content hash is not the same in both generations, or that only one has."""
    hashes = left.manifest.content_hashes(), right.manifest.content_hashes()
    found = []
    for table in sorted(hashes[0].keys() | hashes[1].keys()):
        if hashes[0].get(table) == hashes[1].get(table):
            continue
        files = [generation.manifest.files.get(f"{table}.parquet") for generation in (left, right)]
        columns = _columns(left.path / f"{table}.parquet", right.path / f"{table}.parquet") if all(files) else []
        found.append(Differing(table, (files[0].rows if files[0] else None, files[1].rows if files[1] else None), columns))
    return found


def _columns(left: Path, right: Path) -> list[str]:
    """Columns whose values, as a bag, are not the same."""
    with duckdb.connect() as connection:
        names = [row[0] for row in connection.execute(f"describe select * from read_parquet('{left}')").fetchall()]
        listed = ", ".join(f"sum(hash(columns.{name}))" for name in names)
        first, second = (
            connection.execute(f"select {listed} from read_parquet('{path}') as columns").fetchone() or () for path in (left, right)
        )
    return [name for name, one, other in zip(names, first, second, strict=True) if one != other]


def told(left: generations.Generation, right: generations.Generation, used: dict[str, str]) -> int:
    """Say how many tables are equal, and of every other one what differs; `used` is what each build took, by who built. Gives how many differ."""
    different, tables = differing(left, right), left.manifest.content_hashes().keys() | right.manifest.content_hashes().keys()
    one, other = used
    print(
        f"  {len(tables) - len(different)} of {len(tables)} published tables are equal "
        f"(since {right.manifest.window_from}; {', '.join(f'{who} {took}' for who, took in used.items())})",
        flush=True,
    )
    for table in different:
        where = ", ".join(table.columns) or "their types"
        print(f"  ✗ {table.table}: {table.rows[0]} rows by {one}, {table.rows[1]} by {other}; different in {where}", flush=True)
    return len(different)


def unit_tests(home: Home) -> tuple[int, int]:
    """How many of dbt's unit tests pass on this home's engine, and of how many; the nightly build leaves them out."""
    from userops_pipeline.build import dbt

    outcome = dbt.invoke(home, ["--quiet", "test", "--select", "test_type:unit"])
    verdicts = [str(result.status) for result in outcome.result.results] if outcome.result else []
    return verdicts.count("pass"), len(verdicts)
