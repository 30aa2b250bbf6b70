"""Promises of period lifecycles, retention, cohort value and lifetimes: every number is that of a plain walk over each user's days.

Add a way of counting when a declaration gets a new word. Must not repeat the SQL: the walk asks every user in every period.
Small single edges are dbt unit tests beside the models; the estimate of survival is in test_survival.py.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from test_user_counts import AS_OF, FIRST_ON, Definition, User, age_band, build, users

from tests.changed_project import GROCER
from userops_pipeline.rulebook.current import described

MODELS = ["+period_lifecycle", "+period_stage", "+retention_cohorts", "+retention_curve", "+cohort_value", "+user_survival", "+survival_monthly",
          "+user_counts_daily"]  # fmt: skip
OF = Definition(activities=["view", "like", "purchase"], minimum_count=2, within_days=2, churned_after=45, unpaid_after=30)
LENGTHS = {"buying_life": 30, "active_life": 45}
PERIOD_STATES = ("new", "returning", "resurrecting", "dormant", "late_start", "idle_2_3", "idle_4_7", "idle_8_15", "idle_16", "churned")
CHURNED_AFTER = {"day": 45, "week": 7, "month": 2}  # 45 days, in weeks of 7 and months of 30


def start_of(grain: str, on: date) -> date:
    return on if grain == "day" else on - timedelta(days=on.weekday()) if grain == "week" else on.replace(day=1)


def following(grain: str, on: date) -> date:
    return start_of(grain, on + timedelta(days={"day": 1, "week": 7, "month": 31}[grain]))


def between(grain: str, earlier: date, later: date) -> int:
    if grain == "month":
        return (later.year - earlier.year) * 12 + later.month - earlier.month
    return (start_of(grain, later) - start_of(grain, earlier)).days // {"day": 1, "week": 7}[grain]


Shop = tuple[list[User], duckdb.DuckDBPyConnection, str]


@pytest.fixture(scope="module", params=["first_activity", pytest.param("person_created", marks=pytest.mark.soak)])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    everybody = users(seed=11)
    path = build(tmp_path_factory.mktemp(request.param), everybody, OF, MODELS, {"periods": {"new_by": request.param}})
    return everybody, duckdb.connect(str(path), read_only=True), request.param


# -- period lifecycle -----------------------------------------------------------------------------------------------------


def values_of(user: User, on: date) -> list[tuple[str, str]]:
    version = user.known(on)
    assert version is not None
    return [("total", "total"), ("channel", version.channel or "unknown"), ("plan", version.plan or "unknown"),
            ("age_band", age_band(version, on))]  # fmt: skip


def walked_periods(everybody: list[User], new_by: str) -> Counter[tuple[str, date, str, str, str]]:
    """Users by grain, period, dimension, value and state."""
    found: Counter[tuple[str, date, str, str, str]] = Counter()
    for user in everybody:
        days = [day for day in user.active_days(OF) if user.known(day)]
        for grain in ("day", "week", "month") if days else ():
            active, first = {start_of(grain, day) for day in days}, start_of(grain, days[0])
            created = start_of(grain, user.known(days[0]).registered_on)
            period, last = first, first
            while period <= AS_OF:
                names = []
                if period == first:
                    names = ["new"] if new_by == "first_activity" or created == period else ["resurrecting", "late_start"]
                elif period in active:
                    names = ["returning" if between(grain, last, period) == 1 else "resurrecting"]
                else:
                    age = between(grain, last, period)
                    names = ["dormant" if age == 1 else next(f"idle_{low}_{high}" if high else f"idle_{low}" for low, high in
                             ((16, 0), (8, 15), (4, 7), (2, 3)) if age >= low)]  # fmt: skip
                    names += ["churned"] * (age >= CHURNED_AFTER[grain])
                for name in names:
                    for dimension, value in values_of(user, days[0]):
                        found[grain, period, dimension, value, name] += 1
                last = period if period in active else last
                period = following(grain, period)
    return found


def test_every_period_counts_the_users_of_a_walk(shop: Shop) -> None:
    everybody, tables, new_by = shop
    columns = ", ".join(f"{name}_count" for name in PERIOD_STATES)
    rows = tables.execute(
        f"select grain, period_on, dimension, value, {columns} from marts.period_lifecycle where dimension in ('total', 'channel', 'plan', 'age_band')"
    ).fetchall()
    counted = {(*row[:4], name): count for row in rows for name, count in zip(PERIOD_STATES, row[4:], strict=True) if count}
    walked = walked_periods(everybody, new_by)
    assert counted == dict(walked)
    assert {name for *_, name in walked} == set(PERIOD_STATES) - ({"late_start"} if new_by == "first_activity" else set())
    assert tables.execute("select distinct grain, period_on from marts.period_lifecycle where not is_complete order by 1").fetchall() == [
        ("month", date(2024, 5, 1)),
        ("week", date(2024, 5, 6)),
    ]


# -- retention ------------------------------------------------------------------------------------------------------------


def known_tonight(user: User) -> bool:
    return not user.versions[-1].is_excluded and user.versions[-1].registered_on <= AS_OF


def channel_at(user: User, on: date) -> str:
    """As known on the date, or at first; nights on which the user was left out leave the version before."""
    kept = [version for version in user.versions if not version.is_excluded]
    return ([version for version in kept if version.known_on <= on] or kept[:1])[-1].channel or "unknown"


def dates_of(user: User, activity: str) -> list[date]:
    if activity == "registered":
        return [user.versions[-1].registered_on]
    return user.active_days(OF) if activity == "active" else sorted({on for on, name in user.activities if name == "purchase"})


def walked_retention(everybody: list[User], rule: dict[str, Any]) -> dict[tuple[date, str, str, int], tuple[int, int, bool]]:
    """Size, how many came back and whether the cell has elapsed, by cohort, dimension, value and first period."""
    grain, cells, sizes = rule["grain"], Counter(), Counter()
    firsts = [0, *rule["brackets"]] if rule["kind"] == "brackets" else range(rule["periods"] + 1)
    lasts = {first: first if rule["kind"] == "on_period" else rule["periods"] for first in firsts}
    if rule["kind"] == "brackets":
        lasts = dict(zip(firsts, [first - 1 for first in rule["brackets"]] + [rule["periods"]], strict=True))
    for user in filter(known_tonight, everybody):
        started = {start_of(grain, on): on for on in reversed(dates_of(user, rule["start"])) if on <= AS_OF}
        cohorts = sorted(started) if rule["entry"] == "recurring" else sorted(started)[:1]
        for cohort in cohorts:
            ages = {between(grain, cohort, on) for on in dates_of(user, rule["returns"]) if cohort <= on <= AS_OF}
            groups = [("total", "total")] + [("channel", channel_at(user, started[cohort]))] * ("dimensions" in rule)
            for group in groups:
                sizes[cohort, *group] += 1
                for first in firsts:
                    cells[cohort, *group, first] += any(first <= age <= lasts[first] for age in ages)
    found = {}
    for (*cohort, first), returned in cells.items():
        if between(grain, cohort[0], AS_OF) >= first:
            elapsed = between(grain, cohort[0], AS_OF + timedelta(days=1)) > lasts[first]
            found[*cohort, first] = (sizes[tuple(cohort)], returned, elapsed)
    return found


@pytest.mark.parametrize("rule", described(GROCER).rules_of("retention_cohorts")["retentions"], ids=lambda rule: rule["name"])
def test_every_cell_of_a_retention_counts_the_users_of_a_walk(shop: Shop, rule: dict[str, Any]) -> None:
    everybody, tables, _ = shop
    rows = tables.execute(
        "select cohort_on, dimension, value, first_period, cohort_size, returned_count, is_complete from marts.retention_cohorts where retention = ?",
        [rule["name"]],
    ).fetchall()
    walked = walked_retention(everybody, rule)
    assert {tuple(row[:4]): tuple(row[4:]) for row in rows} == walked
    assert any(returned for _, returned, _ in walked.values())


def test_the_curve_takes_complete_cells_only_weighted_and_plain(shop: Shop) -> None:
    everybody, tables, _ = shop
    rule = next(rule for rule in described(GROCER).rules_of("retention_cohorts")["retentions"] if rule["name"] == "weekly")
    walked = walked_retention(everybody, rule)
    for age, cohorts, weighted, simple in tables.execute(
        "select first_period, cohort_count, weighted_share, simple_share from marts.retention_curve where retention = 'weekly' and dimension = 'total'"
    ).fetchall():
        cells = [cell[:2] for (_, dimension, _, first), cell in walked.items() if dimension == "total" and first == age and cell[2]]
        assert cohorts == len(cells)
        assert float(weighted) == pytest.approx(sum(back for _, back in cells) / sum(size for size, _ in cells), abs=5e-7)
        assert float(simple) == pytest.approx(sum(back / size for size, back in cells) / len(cells), abs=1e-6)


def test_cohorts_bring_in_what_their_users_paid(shop: Shop) -> None:
    everybody, tables, _ = shop
    paid: Counter[tuple[date, int]] = Counter()
    for user in filter(known_tonight, everybody):
        bought = [on for on, name in user.activities if name == "purchase" and on <= AS_OF]
        for on in bought:
            cohort = start_of("month", min(bought))
            paid[cohort, between("month", cohort, on)] += 5
    rows = tables.execute(
        "select cohort_on, period, net_amount, cumulative_net_amount from marts.cohort_value where dimension = 'total'"
    ).fetchall()
    assert {(cohort, age): net for cohort, age, net, _ in rows if net} == {key: Decimal(amount) for key, amount in paid.items()}
    for cohort, age, _, cumulative in rows:
        assert cumulative == sum(amount for (of, at), amount in paid.items() if of == cohort and at <= age)


# -- lifetimes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", described(GROCER).rules_of("user_survival")["survivals"], ids=lambda rule: rule["name"])
def test_a_life_ends_the_first_time_the_silence_is_long_enough(shop: Shop, rule: dict[str, Any]) -> None:
    everybody, tables, _ = shop
    walked, seen_from = {}, tables.execute("select min(activity_on) from intermediate.int_user_day").fetchall()[0][0]
    for user in filter(known_tonight, everybody):
        days = [on for on in dates_of(user, rule["activity"]) if on <= AS_OF]
        if rule["entry"] == "registered":
            registered = user.versions[-1].registered_on
            days = sorted({registered, *(on for on in days if on >= registered)})
        if days:
            nights = (days[0] + timedelta(days=number) for number in range((AS_OF - days[0]).days + 1))
            length = timedelta(days=LENGTHS[rule["name"]])
            churned = next(
                (night for night in nights if night - length >= days[0] and not any(night - length < on <= night for on in days)), None
            )
            walked[user.name] = (days[0], churned, days[0] >= seen_from, channel_at(user, days[0]))
    rows = tables.execute(
        "select user_id, entry_on, churned_on, is_observed, channel from intermediate.int_user_lifetime where survival = ?", [rule["name"]]
    ).fetchall()
    assert {name: tuple(rest) for name, *rest in rows} == walked
    assert {churned is None for _, churned, _, _ in walked.values()} == {True, False}
    assert min(FIRST_ON, seen_from) == seen_from
