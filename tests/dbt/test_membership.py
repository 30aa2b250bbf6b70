"""Membership levels and RFM against a walk over every user and night in Python, over random days of many months.

Add a kind of day when a rule of points, levels or scores reads another column. Edges are dbt unit tests beside the models.
Must not repeat a number of a rule: levels and bounds are read from the manifest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pytest
from scipy.stats import rankdata

from tests.changed_project import GROCER
from userops_pipeline.rulebook.current import described

FIRST_ON, NIGHTS, USERS = date(2023, 9, 1), 330, 30
LATER = 240
CHAIN = (
    "int_user_features",
    "int_user_latch",
    "int_user_ladder",
    "user_membership_history",
    "user_membership",
    "int_user_rfm",
    "user_rfm_history",
)
WRITTEN = ("int_clock", "int_user", "int_night", "int_user_day", "int_user_plan_night", "int_gap_threshold")
Models = dict[str, dict[str, Any]]
Day = tuple[int, Decimal, Decimal, int]  # night, spend, refund, reviews


def night(number: int) -> date:
    return FIRST_ON + timedelta(days=number)


def draw_days() -> dict[str, list[Day]]:
    """Shoppers who come in seasons, so that levels are reached, kept, lost and reached again; some give back, some review."""
    rng = np.random.default_rng(5)
    days: dict[str, list[Day]] = {}
    for user in range(USERS):
        pace, size = rng.uniform(0.02, 0.25), rng.uniform(20, 260)
        found = []
        for number in range(-60, NIGHTS):
            busy = (number // 50 + user) % 3 != 0
            if busy and rng.random() < pace:
                spend = Decimal(round(float(rng.gamma(2, size / 2)), 2)).quantize(Decimal("0.01"))
                refund = Decimal(round(float(spend) * 0.6, 2)).quantize(Decimal("0.01")) if rng.random() < 0.1 else Decimal(0)
                found.append((number, spend, refund, int(rng.integers(0, 5)) if rng.random() < 0.2 else 0))
        days[f"u{user:02}"] = found
    return days


@dataclass
class Shop:
    """The chain of models over the drawn days, as its compiled SQL makes it for any night."""

    models: Models
    compiled: dict[str, str]
    days: dict[str, list[Day]]

    def built(self, as_of: int, window_from: int = 0) -> duckdb.DuckDBPyConnection:
        con = duckdb.connect()
        con.execute(
            "attach ':memory:' as userops; create schema userops.intermediate; create schema userops.marts; use userops.intermediate"
        )
        con.execute(
            "create table int_clock as select ?::date as as_of, ?::date as window_from, ?::date as window_to, ?::date as first_on, ?::date as facts_from, "
            "'UTC' as business_zone",
            [night(as_of), night(window_from), night(as_of), FIRST_ON, FIRST_ON],
        )
        con.execute(
            "create table int_night as select (?::date + range::int)::date as night_on, datediff('day', date '1970-01-01', night_on) as day_number, "
            "range >= ? as is_in_window, range = ? as is_as_of from range(?)",
            [FIRST_ON, window_from, as_of, as_of + 1],
        )
        con.execute(
            "create table int_user as select 'u' || lpad(range::varchar, 2, '0') as user_id, ?::date as known_from_on, null::date as known_to_on, "
            "?::date as registered_on, null::date as birth_date, null::date as trial_ends_on, null::varchar as age_band, null::varchar as gender, "
            "null::varchar as income_band, null::varchar as household, null::varchar as region, null::varchar as city_tier, "
            "null::varchar as language, null::varchar as channel, null::varchar as plan from range(?)",
            [FIRST_ON, night(-60), USERS],
        )
        con.execute("create table int_gap_threshold (version_on date, category varchar, usual_gap_days bigint, long_gap_days bigint, late_gap_days bigint, overdue_gap_days bigint)")  # fmt: skip
        for table in ("int_user_day", "int_user_plan_night"):  # nobody pays for a time ahead
            columns = {name: column["data_type"] for name, column in self.models[table]["columns"].items()}
            con.execute(f"create table {table} (" + ", ".join(f"{name} {kind}" for name, kind in columns.items()) + ")")
        con.executemany(
            "insert into int_user_day (user_id, activity_on, day_number, active_days, order_count, spend_amount, purchase_refund_amount, "
            "feedback_count, referral_count, content_count) values (?, ?, ?, 1, 1, ?, ?, ?, 0, 0)",
            [
                (user, night(number), (night(number) - date(1970, 1, 1)).days, spend, refund, reviews)
                for user, days in self.days.items()
                for number, spend, refund, reviews in days
                if number <= as_of
            ],
        )
        for name in CHAIN:
            node = self.models[name]
            con.execute(f"create table {node['schema']}.{name} as {self.compiled[name]}")
        return con


@pytest.fixture(scope="module")
def shop(models: Models, compiled: dict[str, str]) -> Shop:
    return Shop(models, compiled, draw_days())


@pytest.fixture(scope="module")
def built(shop: Shop) -> Iterator[duckdb.DuckDBPyConnection]:
    with shop.built(NIGHTS - 1) as con:
        yield con


def after(reached: date, level: dict[str, Any]) -> date:
    """The first night after the validity; what is declared in months is walked in another place, as a unit test."""
    assert "valid_months" not in level
    return reached + timedelta(days=level.get("valid_days", 0))


def walk(days: list[Day], rules: dict[str, Any]) -> list[tuple[str, date | None]]:
    """Level and the night it was last reached on, night by night: a state of its own for every level, the highest that is held wins."""
    earned: dict[int, int] = {}
    for number, spend, refund, reviews in days:
        earned[number] = math.floor(spend) - math.floor(refund) + 10 * min(reviews, 3)
    assert rules["measure"] == "point_count_90d"
    held: dict[str, dict[str, Any]] = {level["name"]: {"on": False, "reached": None, "ends": None} for level in rules["levels"][:-1]}
    found: list[tuple[str, date | None]] = []
    for number in range(NIGHTS):
        today = night(number)
        points = sum(value for on, value in earned.items() if number - 90 < on <= number)
        for level in rules["levels"][:-1]:
            state = held[level["name"]]
            is_on = points >= (level["keep"] if state["on"] else level["reach"])
            if is_on and not state["on"]:
                state.update(reached=today, ends=None)
            if state["on"] and not is_on:
                state["ends"] = max(today, after(state["reached"], level)) + timedelta(days=level["grace_days"])
            state["on"] = is_on
        for level in rules["levels"][:-1]:
            state = held[level["name"]]
            if state["on"] or (state["ends"] is not None and today < state["ends"]):
                found.append((level["name"], state["reached"]))
                break
        else:
            found.append((rules["levels"][-1]["name"], None))
    return found


def test_levels_are_those_of_a_walk_night_by_night(shop: Shop, built: duckdb.DuckDBPyConnection) -> None:
    rules = described(GROCER).rules_of("user_membership")
    expected = {(user, night(number)): state for user, days in shop.days.items() for number, state in enumerate(walk(days, rules))}
    rows = built.execute("select user_id, night_on, level, level_reached_on from int_user_ladder").fetchall()
    assert {(user, on): (level, reached) for user, on, level, reached in rows} == expected
    moves = built.execute("select count(*), count(distinct level) from userops.marts.user_membership_history").fetchone()
    assert moves is not None and moves[0] > 3 * USERS and moves[1] == len(rules["levels"]), "the shop has every level, gained and lost"
    assert built.execute("select count(*) from int_user_ladder where days_to_level_end is not null").fetchone() != (0,)


def test_a_night_does_not_know_what_follows(shop: Shop, built: duckdb.DuckDBPyConnection) -> None:
    columns = "user_id, night_on, tier, level, level_reached_on, days_to_level_end, next_level_share"
    groups = "select user_id, night_on, r, f, m, monetary_amount, rfm_group from int_user_rfm"
    with shop.built(NIGHTS - 100) as earlier:
        for query in (f"select {columns} from int_user_ladder", groups):
            then = earlier.execute(f"{query} order by all").fetchall()
            assert then == built.execute(f"{query} where night_on <= ? order by all", [night(NIGHTS - 100)]).fetchall()
    with shop.built(NIGHTS - 1, window_from=NIGHTS - 20) as window:
        late = f"{groups} where night_on >= ? order by all"
        assert window.execute(late, [night(NIGHTS - 20)]).fetchall() == built.execute(late, [night(NIGHTS - 20)]).fetchall()


def test_a_level_ends_when_it_was_said_to_if_nothing_follows(shop: Shop, built: duckdb.DuckDBPyConnection) -> None:
    said = built.execute(
        "select user_id, level, ends_on, is_in_grace, days_in_level from userops.marts.user_membership where ends_on is not null"
    ).fetchall()
    assert len(said) > USERS / 3
    with shop.built(NIGHTS + LATER) as later:
        spells = {
            (user, level): to_on
            for user, level, to_on in later.execute(
                "select user_id, level, to_on from userops.marts.user_membership_history where from_on <= ? and (to_on is null or to_on > ?)",
                [night(NIGHTS - 1)] * 2,
            ).fetchall()
        }
    assert {(user, level): ends for user, level, ends, *_ in said} == {key: spells[key] for key in {row[:2] for row in said}}


def test_scores_are_fifths_of_average_ranks_on_every_night(shop: Shop, built: duckdb.DuckDBPyConnection) -> None:
    rules = described(GROCER).rules_of("user_rfm")
    found = {(row[0], row[1]): row[2:] for row in built.execute("select user_id, night_on, recency_days, frequency, monetary_amount, r, f, m from int_user_rfm").fetchall()}  # fmt: skip
    seen = 0
    for number in range(0, NIGHTS, 30):
        measured: dict[str, tuple[int, int, Decimal]] = {}
        for user, days in shop.days.items():
            inside = [day for day in days if number - rules["window_days"] < day[0] <= number]
            if inside:
                measured[user] = (number - inside[-1][0], len(inside), sum((day[1] - day[2] for day in inside), Decimal(0)))
        assert {user for user, on in found if on == night(number)} == set(measured)
        for letter, sign in ((0, -1), (1, 1), (2, 1)):
            ranks = rankdata([sign * values[letter] for values in measured.values()], method="average")
            for user, rank in zip(measured, ranks, strict=True):
                row = found[user, night(number)]
                assert row[letter] == measured[user][letter]
                assert row[3 + letter] == math.ceil(5 * rank / len(measured) - 1e-9)
                seen += 1
    assert seen > 500
