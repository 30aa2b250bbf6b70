"""The usual: what each column of a table looks like night by night and how many rows it has, and what of tonight does not look like its own past.

Here live the measures of a column, their storage beside the lake, and the bounds under which a night is told; add a measure here.
Must not look at a single row's value, nor decide what becomes of a night: the gate does. A measure is a count, a share or a median.

A measure deviates when it lies further than Z robust standard deviations from the median of its own last nights (median absolute deviation
times 1.4826, Rousseeuw & Croux 1993, doi:10.1080/01621459.1993.10476408, with what chance alone gives a night of this size added), and
by more than what anybody would act on. Both must hold: the first alone tells every trifle of a large shop, the second every small night.
"""

from __future__ import annotations

import glob
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import duckdb

from userops_pipeline.ground.contract import Table
from userops_pipeline.ground.home import Home
from userops_pipeline.ground.sql import identifier, quoted

Measure = Literal["filled", "variety", "level", "length", "tonight"]
MEASURES: tuple[Measure, ...] = ("filled", "variety", "level", "length", "tonight")

HISTORY_NIGHTS = 28
REGULAR_NIGHTS = 14  # a table or column with rows on fewer of them has no usual
WEEKDAYS_KNOWN = 2  # of four: on a weekday on which a shop rests, few rows are usual, and one lost night makes none of it
USUAL_ROWS = 50  # nor has one of fewer rows, tonight or usually
MANY_WORDS = 8  # a column of fewer different values is not asked how many
Z = 6.0
# Of rows: a busy day is no fault, so a leap is told and holds nothing, and may be told sooner.
LEAP, LEAP_WORTH = 4.0, math.log(1.5)
# What somebody would act on: shares by their difference, the others by their ratio.
WORTH_TELLING: dict[Measure, float] = {"filled": 0.2, "variety": 2.5, "level": 2.5, "length": 1.5, "tonight": 0.3}
SHARES: tuple[Measure, ...] = ("filled", "tonight")
TOLD: dict[Measure, str] = {
    "filled": "filled in {0:.0%} of the rows, usually {1:.0%}",
    "variety": "{0:.3g} different values a row, usually {1:.3g}",
    "level": "a median of {0:.6g}, usually {1:.6g}",
    "length": "{0:.3g} characters a value, usually {1:.3g}",
    "tonight": "{0:.0%} of the rows of this night's own date, usually {1:.0%}",
}
NUMBERS = ("money", "number", "share", "integer")


@dataclass(frozen=True)
class Profile:
    """A column of one night: how many rows came, and its measures, null where the column has none of them."""

    source: str
    table: str
    column: str
    night: date
    rows: int
    measures: Mapping[Measure, float | None]

    def seen(self, measure: Measure) -> float:
        """Of how many values a measure is made: of every row, or of those that have one."""
        return self.rows if measure in SHARES else self.rows * (self.measures["filled"] or 0.0)


@dataclass(frozen=True)
class Deviation:
    """A column that does not look like its own past; no value of a row."""

    source: str
    table: str
    column: str
    measure: Measure
    tonight: float
    usual: float
    nights: int

    @property
    def sentence(self) -> str:
        return f"{self.column}: {TOLD[self.measure].format(self.tonight, self.usual)} ({self.nights} nights)"


@dataclass(frozen=True)
class Volume:
    """A night with another number of rows of a table than is usual."""

    night: date
    rows: int
    usual: float

    @property
    def sentence(self) -> str:
        return f"{self.night}: {self.rows:,} rows, usually {self.usual:,.0f}"


def volumes(counts: Mapping[date, int], judged: Iterable[date], bounds: tuple[float, float]) -> list[Volume]:
    """The judged nights whose rows are not within `bounds` times the median of the HISTORY_NIGHTS before them, nor of that of the same weekday.

    `counts` has the rows of every night that is there, quiet ones left out; a night has no usual where too few of them had rows.
    """
    found = []
    for night, rows, before in _with_usual(counts, judged):
        usuals = [before.usual, before.of_weekday(0)]
        if not any(bounds[0] * each <= rows <= bounds[1] * each for each in usuals):
            found.append(Volume(night, rows, before.usual))
    return found


def leaps(counts: Mapping[date, int], judged: Iterable[date]) -> list[Volume]:
    """The judged nights that have half as many rows again as their weekday and all nights before have, or less than two thirds, and further from
    it than LEAP robust standard deviations of what nights differ from their weekday, with what chance alone gives a night of this size."""
    found = []
    for night, rows, before in _with_usual(counts, judged):
        expected = before.of_weekday(0)
        gone = [math.log(max(rows, 0.5) / each) for each in (expected, before.usual) if each]
        if not expected or not (all(each >= LEAP_WORTH for each in gone) or all(each <= -LEAP_WORTH for each in gone)):
            continue
        differ = [abs(math.log(each / of_weekday)) for ago, each in before.rows if each and (of_weekday := before.of_weekday(ago))]
        spread = 1.4826 * statistics.median(differ)
        if abs(gone[0]) > LEAP * math.hypot(spread, math.sqrt(1 / max(rows, 1) + 1 / expected)):
            found.append(Volume(night, rows, before.usual))
    return found


@dataclass(frozen=True)
class _Before:
    """Rows of the nights before one, each with how many nights ago; some of them had rows."""

    rows: Sequence[tuple[int, int]]

    @property
    def usual(self) -> float:
        return statistics.median(rows for _, rows in self.rows if rows)

    def of_weekday(self, ago: int) -> float:
        """The median of the nights of the weekday of so many nights ago, of all where too few of them are there; 0 where a shop rests then."""
        same = [rows for other, rows in self.rows if (other - ago) % 7 == 0]
        return statistics.median(same) if len(same) >= WEEKDAYS_KNOWN else self.usual


def _with_usual(counts: Mapping[date, int], judged: Iterable[date]) -> Iterator[tuple[date, int, _Before]]:
    """The judged nights that are there and have a usual number of rows, with the nights before."""
    for night in judged:
        before = _Before([(ago, counts[day]) for ago in range(1, HISTORY_NIGHTS + 1) if (day := night - timedelta(days=ago)) in counts])
        if night in counts and sum(rows > 0 for _, rows in before.rows) >= REGULAR_NIGHTS and before.usual >= USUAL_ROWS:
            yield night, counts[night], before


def begin(connection: duckdb.DuckDBPyConnection) -> None:
    """`profiles`: what is noted of the nights that a connection conforms."""
    measures = ", ".join(f"{measure} double" for measure in MEASURES)
    connection.execute(
        f"create temp table profiles (arrived_on date, source_name varchar, table_name varchar, column_name varchar, rows bigint, {measures})"
    )


def note(connection: duckdb.DuckDBPyConnection, table: Table, source: str, relation: str) -> None:
    """Into `profiles`, what the columns of these kept rows look like."""
    connection.execute(f"insert into profiles {profile(table, source, relation)}")


def noted(home: Home, sources: Iterable[str], first: date, last: date) -> list[Profile]:
    """What was noted of these sources' nights, in order."""
    folders = [home.profiles / f"arrived_on={first + timedelta(days=number)}" for number in range((last - first).days + 1)]
    files = [place for folder in folders for name in sorted(sources) if (place := folder / f"{name}.parquet").is_file()]
    if not files:
        return []
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select source_name, table_name, column_name, arrived_on, rows, {', '.join(MEASURES)} "
            "from read_parquet(?, hive_partitioning = false) order by all",
            [[glob.escape(str(place)) for place in files]],
        ).fetchall()
    return [
        Profile(source, table, column, night, seen, dict(zip(MEASURES, measures, strict=True)))
        for source, table, column, night, seen, *measures in rows
    ]


def profile(table: Table, source: str, relation: str) -> str:
    """A query over kept rows (with `arrived_on` and, for a table of what happens, `_on`): one row per night and column, out of one scan."""
    wide, long = ["count(*) as rows"], []
    for number, column in enumerate(table.columns):
        name = identifier(column.name)
        wide += [f"count({name}) as filled_{number}", f"approx_count_distinct({name}) as distinct_{number}"]
        measured = [f"filled_{number} / rows", f"distinct_{number} / nullif(filled_{number}, 0)"]
        for measure, expression, has_it in (
            ("level", f"cast(quantile_disc({name}, 0.5) filter (where {name} <> 0) as double)", column.type in NUMBERS),
            ("length", f"avg(length({name}))", column.type == "text"),
            ("tonight", "avg(case when _on = arrived_on then 1.0 else 0.0 end)", column.name == table.at),
        ):
            if has_it:
                wide.append(f"{expression} as {measure}_{number}")
            measured.append(f"{measure}_{number}" if has_it else "cast(null as double)")
        values = ", ".join(f"{value} as {measure}" for value, measure in zip(measured, MEASURES, strict=True))
        long.append(
            f"select arrived_on, {quoted(source)} as source_name, {quoted(table.name)} as table_name, {quoted(column.name)} as column_name, "
            f"rows, {values} from wide"
        )
    return f"with wide as (select arrived_on, {', '.join(wide)} from {relation} group by arrived_on) {' union all '.join(long)}"


def deviations(profiles: Iterable[Profile], as_of: date) -> list[Deviation]:
    """What of one night does not look like the nights before it, in the order of table and column.

    `profiles` has the night's own measures and those of the HISTORY_NIGHTS before it; a column that is usual, or has no usual yet, is not named.
    """
    first = as_of - timedelta(days=HISTORY_NIGHTS)
    by_column: dict[tuple[str, str, str], list[Profile]] = {}
    for entry in profiles:
        if first <= entry.night <= as_of:
            by_column.setdefault((entry.source, entry.table, entry.column), []).append(entry)
    found = []
    for (source, table, column), entries in by_column.items():
        tonight, before = [entry for entry in entries if entry.night == as_of], [entry for entry in entries if entry.night < as_of]
        for measure in MEASURES if tonight else ():
            usual = _deviates(measure, tonight[0], before)
            if usual is not None:
                found.append(Deviation(source, table, column, measure, tonight[0].measures[measure] or 0.0, usual, len(before)))
    return found


def _deviates(measure: Measure, tonight: Profile, before: Sequence[Profile]) -> float | None:
    """The usual value of a measure that tonight lies too far from; None where it does not, or where there is no usual."""
    known = [(value, entry.seen(measure)) for entry in before if (value := entry.measures[measure]) is not None]
    known = [(value, seen) for value, seen in known if seen >= USUAL_ROWS]
    value, seen = tonight.measures[measure], tonight.seen(measure)
    if value is None or seen < USUAL_ROWS or len(known) < REGULAR_NIGHTS:
        return None
    usual, usually_seen = (statistics.median(each) for each in zip(*known, strict=True))
    if measure in SHARES:
        worth_telling = abs(value - usual) >= WORTH_TELLING[measure]
    else:
        ratios = [value / usual] if usual > 0 else []
        if measure == "variety":
            # More rows of the same few words are less variety, and more words in as many rows are more: both must have moved. And of a
            # handful of words one may be missing on any night.
            words, usually = value * seen, statistics.median(each * rows for each, rows in known)
            if max(words, usually) < MANY_WORDS:
                return None
            ratios.append(words / usually)
        worth_telling = bool(ratios) and (
            all(ratio >= WORTH_TELLING[measure] for ratio in ratios) or all(ratio * WORTH_TELLING[measure] <= 1 for ratio in ratios)
        )
    if not worth_telling:
        return None
    scale = _angle if measure in SHARES else math.log
    past = [scale(each) for each, _ in known if measure in SHARES or each > 0]
    middle = statistics.median(past)
    spread = 1.4826 * statistics.median(abs(each - middle) for each in past)
    # The arcsine of a share, and the logarithm of a mean or median whose values spread like its size, vary by chance by 1 / sqrt(rows).
    chance = math.sqrt(1 / seen + 1 / usually_seen)
    gone = measure not in SHARES and value <= 0
    return usual if gone or abs(scale(value) - middle) > Z * math.hypot(spread, chance) else None


def _angle(share: float) -> float:
    """Twice the arcsine of the root, whose variance by chance is 1 / rows whatever the share (Anscombe 1948)."""
    return 2 * math.asin(math.sqrt(min(max(share, 0.0), 1.0)))
