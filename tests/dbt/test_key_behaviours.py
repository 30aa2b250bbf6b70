"""What keeps users, against the simulated shop that knows it: causes rank above what merely goes with them, and the latter are named so.

Add a behaviour here when the simulation gives it an effect. Must not read a setting of the simulation: its truth tables say what is true.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.changed_project import GROCER
from userops_pipeline.rulebook.current import described
from userops_pipeline.simulate import Settings, simulate

FIRST_ON = date(2026, 1, 1)
NIGHTS = 60
# Events by name as the columns of int_user_day count them.
COUNTED = {
    "search_count": "event_name = 'search'",
    "engaged_count": "event_name in ('like', 'comment', 'share')",
    "followed_count": "event_name = 'follow'",
    "click_count": "event_name = 'click'",
    "order_count": "event_name = 'pay'",
}
MEASURES = ("session_count", "active_days", "order_count", "redemption_count", "search_count", "engaged_count", "followed_count", "click_count",
            "referral_count", "feedback_count")  # fmt: skip


def tables(con: duckdb.DuckDBPyConnection, out: Path, as_of: date) -> None:
    """The tables key_behaviours reads, as a pipeline would make them that knew whose every visit is."""
    con.execute("set timezone = 'UTC'; create schema intermediate; create schema marts")
    con.execute("create table intermediate.int_clock as select cast(? as date) as as_of", [as_of])
    con.execute(
        f"create table intermediate.int_user as select cast(user_id as varchar) as user_id, cast(null as date) as known_to_on, registered_at, "
        f"cast(registered_at + interval 8 hours as date) as registered_on from '{out}/truth/people.parquet' where registered_at is not null"
    )
    told = ", ".join(f"count(*) filter ({what}) as {name}" for name, what in COUNTED.items())
    missing = ", ".join(f"cast(0 as bigint) as {name}" for name in MEASURES if name not in (*COUNTED, "session_count", "active_days"))
    con.execute(
        f"""
        create table intermediate.int_user_day as
        with people as (select person_id, user_id from '{out}/truth/people.parquet' where registered_at is not null),
        events as (
            select cast(event_id as bigint) as event_id, event_at, cast(event_at + interval 8 hours as date) as activity_on, event_name
            from read_parquet('{out}/drops/*/events.parquet') where event_name <> 'heartbeat'
        ),
        visited as (
            select s.person_id, s.session_id, e.event_at, e.activity_on, e.event_name, e.event_id = s.first_event_id as is_first
            from events as e asof join '{out}/truth/sessions.parquet' as s on e.event_id >= s.first_event_id
        )
        select cast(user_id as varchar) as user_id, activity_on, min(event_at) as first_active_at, cast(1 as bigint) as active_days,
            count(*) filter (is_first) as session_count,
            {told}, {missing}
        from visited join people using (person_id) group by user_id, activity_on
        """
    )
    con.execute("create view intermediate.int_active_day as select user_id, activity_on from intermediate.int_user_day")


def ranked(con: duckdb.DuckDBPyConnection, compiled: dict[str, str]) -> list[dict[str, Any]]:
    sql = re.sub(r'"\w+"\."(marts|intermediate)"\.', r"\1.", compiled["key_behaviours"])
    found = con.sql(sql + " order by outcome, place")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shop")
    simulate(Settings(20_000, NIGHTS, seed=4, out=out, start=FIRST_ON, events_per_user=45, orders_per_user=1))
    return out


def causes(out: Path, models: dict[str, dict[str, Any]], effect: str) -> dict[str, bool]:
    """By behaviour that the events tell of: whether one of its events has the effect in truth."""
    declared = described(GROCER).rules_of("key_behaviours")["key_behaviours"]["behaviours"]
    with duckdb.connect() as con:
        return {
            behaviour["name"]: con.execute(f"select max({effect}) > 0 from '{out}/truth/behaviours.parquet' where {COUNTED[behaviour['measure']]}").fetchall()[0][0]
            for behaviour in declared
            if behaviour["measure"] in COUNTED
        }  # fmt: skip


def misnamed(rows: list[dict[str, Any]], is_cause: dict[str, bool]) -> list[str]:
    """What a table says of the behaviours that bring users back, against the truth: each sentence is a fault."""
    compared = [row for row in rows if row["outcome"] == "retained" and row["behaviour"] in is_cause and row["eligibility"] == "eligible"]
    held = [row for row in compared if row["verdict"] == "holds"]
    faults = [f"{row['behaviour']} is no cause and holds" for row in held if not is_cause[row["behaviour"]]]
    if not held or compared[0]["place"] != 1 or not is_cause[compared[0]["behaviour"]]:
        faults.append("no cause is first")
    for name in {name for name, causes in is_cause.items() if causes} - {row["behaviour"] for row in held}:
        faults.append(f"{name} is a cause and does not hold")
    return faults


def test_what_brings_users_back_ranks_first_and_what_goes_with_it_only_correlates(
    shop: Path, compiled: dict[str, str], models: dict[str, dict[str, Any]]
) -> None:
    is_cause = causes(shop, models, "visit_effect")
    assert sorted(is_cause.values()) == [False] * 4 + [True]
    with duckdb.connect() as con:
        tables(con, shop, FIRST_ON + timedelta(days=NIGHTS - 1))
        rows = ranked(con, compiled)
        # Shown two bad cases: later days of somebody else, of which no behaviour is a cause; and the crude difference taken for a finding.
        con.execute(
            """
            create or replace view intermediate.int_active_day as
            with users as (
                select user_id, lead(user_id, 1, '') over (order by registered_at, user_id) as next_id from intermediate.int_user
            )
            select users.next_id as user_id, days.activity_on from intermediate.int_user_day as days join users using (user_id)
            """
        )
        drawn = ranked(con, compiled)
    assert misnamed(rows, is_cause) == []
    crude = [{**row, "verdict": "holds"} if row["verdict"] == "correlates_only" else row for row in rows]
    assert {"search is no cause and holds", "engage is no cause and holds"} <= set(misnamed(crude, is_cause))
    assert "no cause is first" in misnamed(drawn, is_cause)

    correlates = {row["behaviour"] for row in rows if row["outcome"] == "retained" and row["verdict"] == "correlates_only"}
    assert {"search", "engage"} <= correlates
    for row in rows:
        assert row["evidence"] == "association"
        if row["outcome"] == "retained" and row["behaviour"] == "follow_topic" and row["done_count"] == 1 and row["within_days"] == 14:
            assert row["is_chosen"]
            # Many who follow would have come back anyway: most of the crude difference is not the topic's.
            assert 0 < row["matched_low"] < row["matched_difference"] < row["difference"] / 2
    # What people buy does not depend on what they follow: following is no cause of paying, and does not hold as one.
    assert not causes(shop, models, "purchase_effect")["follow_topic"]
    assert [row for row in rows if row["outcome"] == "paid" and row["behaviour"] == "follow_topic" and row["verdict"] == "holds"] == []


@pytest.mark.soak
def test_in_shop_after_shop_the_cause_is_first_and_seldom_does_another_hold(
    tmp_path: Path, compiled: dict[str, str], models: dict[str, dict[str, Any]]
) -> None:
    """Twelve shops. Of what holds one in twenty may be chance by the declared rate; in a shop as small as these a cause may stay unseen."""
    found: list[bool] = []
    held: list[bool] = []
    for seed in range(21, 33):
        simulate(Settings(20_000, NIGHTS, seed=seed, out=tmp_path, start=FIRST_ON, events_per_user=45, orders_per_user=1))
        is_cause = causes(tmp_path, models, "visit_effect")
        with duckdb.connect() as con:
            tables(con, tmp_path, FIRST_ON + timedelta(days=NIGHTS - 1))
            rows = [row for row in ranked(con, compiled) if row["outcome"] == "retained" and row["behaviour"] in is_cause]
        shown = [is_cause[row["behaviour"]] for row in rows if row["verdict"] == "holds"]  # in the order of their place
        found.append(bool(shown) and shown[0])
        held += shown
    print(f"the cause is first in {sum(found)} of {len(found)} shops; {len(held) - sum(held)} of {len(held)} that hold are no cause")
    assert sum(found) >= 10
    assert len(held) - sum(held) <= max(1, len(held) // 20)
