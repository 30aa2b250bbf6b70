"""The usual: a column that changed its nature tonight is told, each kind of drift by its measure, and a hundred clean nights are not.

Add a drift when a source broke in a new way; what the gate does with a deviation is tested with the gate.
Must not test by a real shop: figures of those stand in docs/decisions/intake.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, timedelta

import duckdb
import numpy as np
import pytest

from userops_pipeline.ground import contract
from userops_pipeline.intake.usual import MEASURES, Deviation, Profile, deviations, leaps, profile, volumes

FIRST = date(2026, 3, 1)
TONIGHT = FIRST + timedelta(days=28)
ORDERS = contract.tables()["orders"]
# One usual night of 80 orders; weekends bring more, a discount is given now and then.
CLEAN = """
    select
        n as arrived_on, n as _on, 'o' || hash(n::varchar || i) as order_id, 'u' || (1000 + hash(i, n) % 400) as user_id,
        n + interval (hash(n, i, 'at') % 86400) second as ordered_at, n + interval 1 day as paid_at,
        case hash(n, i, 'st') % 5 when 0 then 'placed' when 1 then 'cancelled' else 'completed' end as status,
        (5 + exp(ln(40) * (hash(i, n, 'am') % 1000) / 1000))::decimal(18, 2) as amount,
        case when hash(i, n, 'd') % 3 = 0 then 2.50::decimal(18, 2) end as discount_amount, 'CNY' as currency,
        's' || hash(i, n, 's') % 12 as merchant_id, false as is_plan, null::varchar as plan, null::timestamp as paid_until
    from range(date '{first}', date '{first}' + interval {nights} day, interval 1 day) as nights (at_), range(80 + {more}) as rows (i),
        lateral (select at_::date as n)
    where i < 80 or dayofweek(n) in (0, 6)
"""


def profiles(change: str = "*", *, nights: int = 29, where: str = "true") -> list[Profile]:
    """Profiles of so many clean nights, the last of them changed as the query says."""
    clean = CLEAN.format(first=FIRST, nights=nights, more=60)
    last = FIRST + timedelta(days=nights - 1)
    with duckdb.connect() as connection:
        connection.execute(f"create table clean as {clean}")
        tonight = f"select {change} from clean where arrived_on = date '{last}' and {where}"
        connection.execute(f"create table kept as select * from clean where arrived_on < date '{last}' union all by name {tonight}")
        rows = connection.execute(profile(ORDERS, "shop", "kept")).fetchall()
    return [
        Profile(source, table, column, night, seen, dict(zip(MEASURES, values, strict=True)))
        for night, source, table, column, seen, *values in rows
    ]


def told(found: list[Deviation]) -> set[tuple[str, str]]:
    return {(deviation.column, deviation.measure) for deviation in found}


DRIFTS: dict[str, tuple[str, str, tuple[str, str]]] = {
    "a column comes empty": ("* replace (null as user_id)", "true", ("user_id", "filled")),
    "a third of it comes empty": (
        "* replace (case when hash(order_id) % 3 > 0 then user_id end as user_id)",
        "true",
        ("user_id", "filled"),
    ),
    "one that is often empty is always filled": (
        "* replace (1.00::decimal(18, 2) as discount_amount)",
        "true",
        ("discount_amount", "filled"),
    ),
    "amounts come in cents": ("* replace ((amount * 100)::decimal(18, 2) as amount)", "true", ("amount", "level")),
    "amounts come in thousands": ("* replace ((amount / 1000 + 0.01)::decimal(18, 2) as amount)", "true", ("amount", "level")),
    "two columns are swapped": ("* replace (discount_amount as amount, amount as discount_amount)", "true", ("amount", "filled")),
    "everything is one user's": ("* replace ('u1' as user_id)", "true", ("user_id", "variety")),
    "an id is spelled otherwise": ("* replace (user_id || '.0000000000' as user_id)", "true", ("user_id", "length")),
    "text is cut off": ("* replace (left(order_id, 6) as order_id)", "true", ("order_id", "length")),
    "everything is dated the day before": ("* replace (_on - 1 as _on)", "true", ("ordered_at", "tonight")),
    "a status is told in more words": ("* replace (status || ' since ' || order_id as status)", "true", ("status", "variety")),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_a_column_that_changed_its_nature_is_told(drift: str) -> None:
    change, where, expected = DRIFTS[drift]
    found = deviations(profiles(change, where=where), TONIGHT)
    assert expected in told(found)
    assert all(deviation.nights == 28 for deviation in found)


def test_what_is_told_names_the_column_and_both_figures_and_no_value() -> None:
    (deviation,) = deviations(profiles("* replace (null as user_id)"), TONIGHT)
    assert deviation.sentence == "user_id: filled in 0% of the rows, usually 100% (28 nights)"


def test_half_a_night_and_thrice_a_night_are_the_volumes_affair() -> None:
    assert deviations(profiles(where="hash(order_id) % 2 = 0"), TONIGHT) == []
    thrice = profiles()
    assert deviations([entry if entry.night < TONIGHT else _times(entry, 3) for entry in thrice], TONIGHT) == []


def _times(entry: Profile, times: int) -> Profile:
    """More rows of the same words: fewer different values a row where the words are few."""
    few = (entry.measures["variety"] or 1) < 0.3
    measures = dict(entry.measures) | ({"variety": (entry.measures["variety"] or 0) / times} if few else {})
    return Profile(entry.source, entry.table, entry.column, entry.night, entry.rows * times, measures)


def test_one_of_a_handful_of_words_may_be_missing() -> None:
    assert deviations(profiles("* replace ('completed' as status)"), TONIGHT) == []


def test_a_hundred_clean_nights_tell_nothing() -> None:
    entries = profiles(nights=128)
    assert [deviations(entries, FIRST + timedelta(days=number)) for number in range(28, 128)] == [[]] * 100


def test_a_hundred_clean_nights_of_fifty_rows_tell_at_most_one() -> None:
    """As few rows as are looked at at all, drawn by chance: where chance is largest."""
    chance = np.random.default_rng(20261130)
    entries = []
    for number in range(128):
        filled, level = chance.binomial(60, 0.6) / 60, float(np.median(np.exp(chance.normal(3, 1, 60))))
        measures = {"filled": filled, "variety": len(set(chance.integers(0, 400, 60))) / 60, "level": level, "length": None, "tonight": 1.0}
        entries.append(Profile("s", "orders", "amount", FIRST + timedelta(days=number), 90, measures))
    alarms = [night for number in range(28, 128) if deviations(entries, night := FIRST + timedelta(days=number))]
    assert len(alarms) <= 1


@pytest.mark.parametrize(
    "lacking", [lambda entry: entry.night >= FIRST + timedelta(days=15), lambda entry: True], ids=["thirteen nights", "too few rows"]
)
def test_without_a_usual_nothing_is_told(lacking: Callable[[Profile], bool]) -> None:
    entries = profiles("* replace (null as user_id)")
    few = [entry for entry in entries if lacking(entry)]
    if len(few) == len(entries):
        few = [Profile(entry.source, entry.table, entry.column, entry.night, 49, entry.measures) for entry in entries]
    assert deviations(few, TONIGHT) == []


# -- how many rows -----------------------------------------------------------------------------------------------------

BOUNDS = (0.2, 5.0)


def counted(rows: Callable[[date], int], *, nights: int = 120) -> dict[date, int]:
    return {night: rows(night) for night in (FIRST + timedelta(days=number) for number in range(nights))}


def test_a_night_of_few_or_many_rows_is_told_with_its_count_and_the_median() -> None:
    counts = counted(lambda _: 60)
    few, many, none, edge = (FIRST + timedelta(days=number) for number in (40, 50, 60, 70))
    counts |= {few: 11, many: 301, none: 0, edge: 12}
    assert [entry.sentence for entry in volumes(counts, counts, BOUNDS)] == [
        f"{few}: 11 rows, usually 60",
        f"{many}: 301 rows, usually 60",
        f"{none}: 0 rows, usually 60",
    ]


def test_a_night_that_is_not_there_or_has_no_usual_is_not_told() -> None:
    assert volumes(counted(lambda _: 49), [FIRST + timedelta(days=40)], BOUNDS) == [], "49 rows are no usual volume"
    counts = counted(lambda _: 60, nights=14) | {FIRST + timedelta(days=14): 0}
    assert volumes(counts, [FIRST + timedelta(days=13)], BOUNDS) == []
    assert [entry.rows for entry in volumes(counts, [FIRST + timedelta(days=14)], BOUNDS)] == [0], "fourteen nights are a usual"
    assert volumes(counts, [FIRST + timedelta(days=15)], BOUNDS) == [], "a quiet night is not among the counts"


def test_growth_weekends_and_a_weekly_sale_are_usual() -> None:
    """A shop that grows tenfold in a year, rests on Sundays, and sells six times as much on Fridays."""

    def rows(night: date) -> int:
        grown = 80 * 10 ** ((night - FIRST).days / 365)
        return round(grown * {4: 6, 5: 0.5, 6: 0.05}.get(night.weekday(), 1))

    counts = counted(rows, nights=365)
    assert volumes(counts, counts, BOUNDS) == []
    friday = next(night for night in counts if night.weekday() == 4 and (night - FIRST).days > 100)
    assert [entry.night for entry in volumes(counts | {friday: 0}, [friday], BOUNDS)] == [friday], "but nothing on a Friday is not"


def test_the_weeks_after_a_lost_night_are_judged_as_before() -> None:
    counts = counted(lambda _: 60)
    lost = [FIRST + timedelta(days=number) for number in (40, 47)]
    counts |= dict.fromkeys(lost, 0)
    assert [entry.night for entry in volumes(counts, counts, BOUNDS)] == lost


def test_a_shop_that_rests_on_a_weekday_is_not_told_then() -> None:
    counts = counted(lambda night: 0 if night.weekday() == 6 else 60)
    assert volumes(counts, counts, BOUNDS) == leaps(counts, counts) == []


def varying(night: date) -> int:
    """Some thousand rows, twice as many on Saturdays, a tenth more or less by chance."""
    return round((2_000 if night.weekday() == 5 else 1_000) * (1 + 0.1 * math.sin(night.toordinal() ** 2)))


def test_half_a_night_leaps_and_a_weekday_of_its_own_does_not() -> None:
    counts = counted(varying)
    assert leaps(counts, counts) == []
    half, twice, saturday = (FIRST + timedelta(days=number) for number in (40, 50, 55))
    assert saturday.weekday() == 5
    cut = counts | {half: counts[half] // 2, twice: counts[twice] * 2, saturday: counts[saturday] // 2}
    told = leaps(cut, cut)
    assert [entry.night for entry in told] == [half, twice], "half a Saturday is a usual night of another weekday"
    assert told[0].sentence == f"{half}: {cut[half]:,} rows, usually {told[0].usual:,.0f}"


def test_of_a_few_rows_chance_alone_makes_half() -> None:
    counts = counted(lambda night: round(60 * (1 + 0.4 * math.sin(night.toordinal() ** 2))))
    assert leaps(counts, counts) == []
    assert leaps(counts | {TONIGHT: counts[TONIGHT] // 2}, [TONIGHT]) == []
