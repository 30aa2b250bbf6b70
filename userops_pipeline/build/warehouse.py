"""The warehouse: the private DuckDB file dbt builds in, its views on the lake, and the clock that says what to rebuild.

Here lives how a build learns its night, its window and its legs, and how a build that died is taken up again.
Add here when dbt needs to be told something before it starts; must not compute anything a model could.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import itertools
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from userops_pipeline.build.engine import Columns, engine, show
from userops_pipeline.ground import contract
from userops_pipeline.ground.contract import Table
from userops_pipeline.ground.home import PACKAGE_DIR, Home, UserOpsError
from userops_pipeline.ground.lake import accounting_scan, raw_scan
from userops_pipeline.ground.sealing import seal
from userops_pipeline.intake import lake_proof
from userops_pipeline.intake.nights import Night, Reach, conformed_nights
from userops_pipeline.intake.source import Source

# What the tables of the step `score` follow from, beside dbt's project.
SCORING = [
    *sorted((PACKAGE_DIR / "stats").glob("*.py")),
    *sorted((PACKAGE_DIR / "conclude").glob("*.py")),
]
# The window of a build from nothing: facts of any age.
EVERYTHING = date.min
# What dbt's profile sets on every connection; a further one must be named here, or the sealed warehouse refuses it.
DBT_SETTINGS = ("memory_limit", "preserve_insertion_order")
# Rows of a table with a row per user and night that one leg of a build makes at most: 41 million of them spill 9 GB to disk.
USER_NIGHTS = 50_000_000


@dataclass(frozen=True)
class Clock:
    """The night a build is for, and the first business date it must recompute: `EVERYTHING` where it starts anew.

    `window_from` is that of the earliest fact that differs, `rows_from` the earliest date of a row that tells of one: a coupon used last
    night differs from last night on, and stands where it was issued.
    """

    as_of: date
    window_from: date
    rows_from: date
    first_on: date
    business_zone: str
    full: bool
    nights_from: date | None = None  # of a leg
    nights_to: date | None = None

    @property
    def facts_from_at(self) -> datetime:
        """When `window_from` begins, in UTC without saying so."""
        return self._begins(self.window_from)

    @property
    def rows_from_at(self) -> datetime:
        """When `rows_from` begins, in UTC without saying so."""
        return self._begins(self.rows_from)

    def _begins(self, day: date) -> datetime:
        """The first time the day's clocks show midnight, or show anything, where they skip it."""
        if day == EVERYTHING:
            return datetime.min
        return datetime.combine(day, time.min, ZoneInfo(self.business_zone)).astimezone(UTC).replace(tzinfo=None)

    def row(self) -> dict[str, date | datetime | str]:
        """By column of the source `run.clock`; without a leg its nights are those of the whole window."""
        return {
            "as_of": self.as_of,
            "window_from": self.window_from,
            "first_on": self.first_on,
            "business_zone": self.business_zone,
            "facts_from_at": self.facts_from_at,
            "rows_from": self.rows_from,
            "rows_from_at": self.rows_from_at,
            "nights_from": self.nights_from or self.window_from,
            "nights_to": self.nights_to or self.as_of,
        }


def project_hash(home: Home) -> str:
    """Changes when anything the tables follow from, beside the data, changes: models, macros, rules, tests, contract, engine, statistics."""
    digest = hashlib.sha256(f"{engine()} {duckdb.__version__} {importlib.metadata.version('scipy')}".encode())
    files = [contract.CONTRACT_FILE, *SCORING]
    files += [path for path in home.project.rglob("*") if path.suffix in (".sql", ".yml")]
    for path in sorted(files):
        digest.update(str(path.relative_to(path.parents[2])).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@contextmanager
def _open(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    home.make()
    home.warehouse.parent.mkdir(mode=0o700, exist_ok=True)
    with duckdb.connect(str(home.warehouse)) as connection:
        home.warehouse.chmod(0o600)
        yield connection


def _included(home: Home) -> tuple[dict[tuple[str, date], Night], Reach | None, str | None]:
    """What the warehouse was built from: its nights, how far a broken build may have reached back, and its project hash."""
    if not home.warehouse.is_file():
        return {}, None, None
    with _open(home) as connection:
        exists = connection.execute(
            "select count(*) from information_schema.columns where table_schema = 'raw' and table_name = 'built' and column_name = 'dirty_rows_from'"
        ).fetchone()
        if not exists or exists[0] == 0:
            return {}, None, None
        row = connection.execute("select nights, project_hash, dirty_from, dirty_rows_from from raw.built").fetchone()
    if row is None:
        return {}, None, None
    nights = [
        Night(
            entry["source"],
            date.fromisoformat(entry["night"]),
            entry["content_hash"],
            Reach(date.fromisoformat(entry["window_from"]), date.fromisoformat(entry["rows_from"])),
            "",
        )
        for entry in json.loads(row[0])
    ]
    return {(night.source, night.night): night for night in nights}, Reach(row[2], row[3]) if row[2] else None, row[1]


def _clock(home: Home, sources: list[Source], as_of: date, full: bool) -> Clock:
    """The night's clock: its window follows from what differs between the nights the warehouse was built from and the nights the lake
    holds up to `as_of`. An added or removed night reaches back to its own earliest change, a night whose content changed to the beginning.

    Raises:
        UserOpsError: the lake holds no night up to `as_of`.
    """
    known = {(night.source, night.night): night for night in conformed_nights(home)}
    target = {key: night for key, night in known.items() if night.night <= as_of}
    if not target:
        raise UserOpsError(f"The lake holds no night up to {as_of}; run `userops nightly --date {as_of}` or a later date first.")
    included, dirty, project = _included(home)
    if full or not included or project != project_hash(home) or (engine() == "spark" and dirty):
        reached, full = Reach(EVERYTHING, EVERYTHING), True
    else:
        reached = Reach(as_of, as_of).or_further(dirty)
        for key in included.keys() | target.keys():
            old, new = included.get(key), target.get(key)
            if old is None or new is None:
                for night in (old, known.get(key)):  # what is taken away may follow other versions by now
                    reached = reached.or_further(night and night.reach)
            elif old.content_hash != new.content_hash:
                reached = Reach(EVERYTHING, EVERYTHING)
    first_on = min(source.first_night for source in sources)
    return Clock(as_of, reached.window_from, reached.rows_from, first_on, sources[0].business_zone, full)


def legs(home: Home, clock: Clock, nights_at_once: int | None = None) -> list[Clock]:
    """The clock of every leg of a build, in their order: that of the whole window alone, unless it is long.

    Tables with a row per user and night are as long as the window, so nights of a long one are made in legs that memory and disk hold;
    what is known of users is the same in every leg. `nights_at_once` is `USEROPS_NIGHTS_AT_ONCE` by default, else what `USER_NIGHTS`
    leaves for the users known so far.

    Raises:
        UserOpsError: the setting is no number of nights.
    """
    begins = max(clock.window_from, clock.first_on)
    nights = (clock.as_of - begins).days + 1
    length = nights_at_once or _nights_at_once()
    if length is None and nights > 1:
        with duckdb.connect(config=home.spill()) as connection:
            found = connection.execute(
                f"select count(distinct user_id) from {raw_scan(home, 'users')} where arrived_on <= ?", [clock.as_of]
            ).fetchone()
        length = max(1, USER_NIGHTS // max(found[0] if found else 0, 1))
    count = -(-nights // length) if length else 1
    bounds = [begins + timedelta(days=nights * number // count) for number in range(count + 1)]
    return [replace(clock, nights_from=first, nights_to=last - timedelta(days=1)) for first, last in itertools.pairwise(bounds)]


def begin_leg(home: Home, leg: Clock) -> None:
    """Write the leg's clock; the window stays noted as half done until the build has finished its last leg."""
    with _open(home) as connection:
        write_clock(connection, leg)


def _nights_at_once() -> int | None:
    said = os.environ.get("USEROPS_NIGHTS_AT_ONCE")
    if not said:
        return None
    if not said.isdecimal() or int(said) == 0:
        raise UserOpsError(f"USEROPS_NIGHTS_AT_ONCE is {said!r}; it must be how many nights one build makes, 1 or more.")
    return int(said)


def prepare_build(home: Home, sources: list[Source], as_of: date, *, full: bool = False) -> Clock:
    """Write the clock and the views on raw, so that dbt can start; says which window must be recomputed. What dbt will read is held against
    what was accounted for: every file that is read whole or lies in the window to its last byte, the others by their size.

    A changed project (a rule, a model) or a first build starts from an empty file, and so does one on Spark after a build that died:
    Parquet has no transactions.

    Raises:
        UserOpsError: the lake holds no night up to `as_of`, or is not what was accounted for.
    """
    clock = _clock(home, sources, as_of, full)
    _prove(home, clock)
    if clock.full:
        home.warehouse.unlink(missing_ok=True)
        home.warehouse.with_name(home.warehouse.name + ".wal").unlink(missing_ok=True)
    home.scored.unlink(missing_ok=True)
    with _open(home) as connection:
        connection.begin()
        connection.execute("create schema if not exists raw")
        for table in contract.tables().values():
            columns = ", ".join(f'"{name}"' for name in contract.raw_columns(table))
            since = _read_since(clock, table) if table.at and not clock.full else None
            connection.execute(f"create or replace view raw.{table.name} as select {columns} from {raw_scan(home, table.name, since)}")
        connection.execute(
            "create or replace view raw.load_accounting as select source_name, table_name, arrived_on, rows_in, rows_kept, "
            f"rows_quarantined, rows_duplicate from {accounting_scan(home)}"
        )
        write_clock(connection, clock)
        connection.execute(
            "create table if not exists raw.built (nights varchar, dirty_from date, dirty_rows_from date, project_hash varchar)"
        )
        if connection.execute("select 1 from raw.built").fetchone() is None:
            connection.execute("insert into raw.built values ('[]', null, null, ?)", [project_hash(home)])
        # Until the build has succeeded, its window counts as half done.
        connection.execute(
            "update raw.built set dirty_from = least(dirty_from, ?), dirty_rows_from = least(dirty_rows_from, ?)",
            [clock.window_from, clock.rows_from],
        )
        connection.commit()
    return clock


def _read_since(clock: Clock, table: Table) -> date:
    """First night of a table of things that happen that staging reads: a table that is kept has its rows replaced by their own date."""
    return clock.window_from if table.staged == "window" else clock.rows_from


def _prove(home: Home, clock: Clock) -> None:
    since = {table.name: f"arrived_on={_read_since(clock, table)}" for table in contract.tables().values() if table.at}

    def is_read(place: Path) -> bool:
        return clock.full or place.parent.name >= since.get(place.parent.parent.name, "")

    marks = [(night.night, night.files) for night in conformed_nights(home)]
    lake_proof.refuse(lake_proof.problems(home, marks, read_whole=is_read))


def write_clock(connection: duckdb.DuckDBPyConnection, clock: Clock) -> None:
    """The one row that int_clock reads."""
    row = clock.row()
    columns = ", ".join(f"${name} as {name}" for name in row)
    connection.execute(f"create or replace table raw.clock as select {columns}", row)


def finish_build(home: Home, as_of: date, handed_over: Mapping[tuple[str, str], Columns] | None = None) -> None:
    """Remember, after dbt succeeded, from which nights the warehouse was built, and show the tables that Spark handed over."""
    nights = [
        {
            "source": night.source,
            "night": night.night.isoformat(),
            "content_hash": night.content_hash,
            "window_from": night.reach.window_from.isoformat(),
            "rows_from": night.reach.rows_from.isoformat(),
        }
        for night in conformed_nights(home)
        if night.night <= as_of
    ]
    with _open(home) as connection:
        show(home, connection, handed_over or {})
        connection.execute(
            "update raw.built set nights = ?, dirty_from = null, dirty_rows_from = null, project_hash = ?",
            [json.dumps(nights), project_hash(home)],
        )


@contextmanager
def sealed(home: Home) -> Iterator[None]:
    """While this is open, whoever opens the warehouse in this process, as dbt does, reaches no file but it and the lake's tables."""
    with _open(home) as connection:
        seal(connection, home.raw, home.accounting, changeable=DBT_SETTINGS)
        yield


@contextmanager
def reading(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse for reading in this process (with the writer's own settings: DuckDB allows no others beside them)."""
    if not Path(home.warehouse).is_file():
        raise UserOpsError("There is no warehouse yet; run `make run` or `userops nightly --date D` first.")
    with _open(home) as connection:
        yield connection


def built_clock(home: Home, as_of: date) -> Clock:
    """The clock of the finished build of this night.

    Raises:
        UserOpsError: the warehouse was built for another night, or its last build did not finish.
    """
    with reading(home) as connection:
        clock = connection.execute("select as_of, window_from, rows_from, first_on, business_zone from raw.clock").fetchone()
        built = connection.execute("select dirty_from from raw.built").fetchone()
    if clock is None or clock[0] != as_of or built is None or built[0] is not None:
        raise UserOpsError(f"The warehouse does not hold a finished build of {as_of}; run the whole night.")
    return Clock(*clock, full=False)
