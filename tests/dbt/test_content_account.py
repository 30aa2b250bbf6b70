"""A content account in every model: events and no orders fill the tables a shop has, with the same words for the same things.

Add here when a kind of business without orders needs something of the counts or habits. Must not need a model of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from tests.dbt_runs import run_dbt
from userops_pipeline.build.warehouse import finish_build, prepare_build
from userops_pipeline.ground.home import Home
from userops_pipeline.intake.conform import conform
from userops_pipeline.intake.landing import land, nights_between
from userops_pipeline.intake.source import load_source

FOLDER = Path(__file__).parent / "content_account"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """Every table, with every data test passed."""
    home, source = Home(tmp_path_factory.mktemp("account")), load_source(str(FOLDER))
    assert source.last_night is not None
    nights = nights_between(source.first_night, source.last_night)
    land(home, source, nights)
    conform(home, source, nights)
    prepare_build(home, [source], nights[-1])
    run_dbt(home.warehouse, "build", "--exclude", "resource_type:unit_test", target=home.dbt_target)
    finish_build(home, nights[-1])
    with duckdb.connect(str(home.warehouse), read_only=True) as built:
        built.execute("set schema = 'marts'")
        yield built


def by_night(account: duckdb.DuckDBPyConnection, columns: str) -> dict[date, tuple[int, ...]]:
    rows = account.execute(f"select night_on, {columns} from user_counts_daily order by night_on").fetchall()
    return {row[0]: row[1:] for row in rows}


def test_reach_engagement_subscription_and_conversion_are_counted_by_day(account: duckdb.DuckDBPyConnection) -> None:
    counts = by_night(account, "reached_count, engaged_count, followed_count, unfollowed_count, converted_count, paying_count")
    assert len(counts) == 41
    assert {night: row for night, row in counts.items() if any(row)} == {
        date(2026, 1, 1): (2, 0, 0, 0, 0, 0),
        date(2026, 1, 2): (2, 1, 1, 0, 0, 0),  # one second after midnight is the next day
        date(2026, 1, 4): (0, 1, 0, 0, 1, 0),
        date(2026, 1, 10): (0, 0, 1, 0, 0, 0),
        date(2026, 1, 20): (0, 0, 0, 1, 0, 0),
        date(2026, 2, 5): (1, 0, 0, 0, 0, 0),
    }


def test_followers_become_active_dormant_and_active_again_without_an_order(account: duckdb.DuckDBPyConnection) -> None:
    flows = by_night(
        account, "registered_new_count, new_active_count, resurrected_count, newly_dormant_count, active_count, unactivated_count"
    )
    assert {night: row for night, row in flows.items() if any(row[:4])} == {
        date(2026, 1, 1): (2, 2, 0, 0, 2, 0),
        date(2026, 1, 10): (1, 1, 0, 0, 3, 0),
        date(2026, 1, 12): (1, 0, 0, 0, 3, 1),
        date(2026, 2, 1): (0, 0, 0, 1, 2, 1),  # ann, 30 days after the second of January
        date(2026, 2, 3): (0, 0, 0, 1, 1, 1),  # bob
        date(2026, 2, 5): (0, 0, 1, 0, 2, 1),
    }


def test_devices_are_counted_when_first_seen_also_without_a_user(account: duckdb.DuckDBPyConnection) -> None:
    devices = by_night(account, "new_device_count, device_count")
    assert {night: row for night, row in devices.items() if row[0]} == {date(2026, 1, 1): (2, 2), date(2026, 1, 3): (1, 3)}


def test_structure_shows_unknown_values_by_name(account: duckdb.DuckDBPyConnection) -> None:
    rows = account.execute(
        "select value, registered_count, active_count from user_structure_daily where dimension = 'channel' and night_on = date '2026-02-10' order by value"
    ).fetchall()
    assert sorted(rows) == sorted([("unknown", 1, 0), ("搜一搜", 2, 1), ("朋友圈", 1, 1)])


def test_habits_are_null_where_a_few_actions_do_not_make_one(account: duckdb.DuckDBPyConnection) -> None:
    rows = account.execute(
        "select user_id, habit_day_count, preferred_hour, gap_count, gap_median_days, search_count_90d, price_band, top_category, discount_share "
        "from user_behaviour order by user_id"
    ).fetchall()
    assert rows == [
        ("ann", 2, None, 1, None, 0, None, None, None),
        ("bob", 4, None, 3, 2.0, 0, None, None, None),
        ("cai", 3, None, 2, None, 1, None, None, None),  # the reading on the same tablet, a week before the first follow, was hers
        ("dee", 0, None, 0, None, None, None, None, None),
    ]


def test_who_pays_for_a_year_is_no_visitor_and_who_let_a_month_pass_has_stopped(account: duckdb.DuckDBPyConnection) -> None:
    rows = account.execute(
        "select user_id, plan_state, from_on, to_on from user_plan_history where user_id in ('cai', 'dee') and plan_state <> 'visitor' order by user_id, from_on"
    ).fetchall()
    assert rows == [
        ("cai", "first_paid", date(2026, 1, 10), date(2026, 2, 7)),  # until 31 January, and seven days of grace
        ("cai", "lapsed_paid", date(2026, 2, 7), None),
        ("dee", "first_paid", date(2026, 1, 13), None),
    ]
    assert account.execute("select is_paid_up, days_to_paid_end, plan from user_profile where user_id = 'dee'").fetchall() == [
        (True, (date(2027, 1, 12) - date(2026, 2, 10)).days, "年费会员")
    ]
    assert account.execute("select subscription_id, standing, monthly_amount::varchar from user_subscriptions order by 1").fetchall() == [
        ("m1", "paid", "16.50"),
        ("m2", "ended", "18.00"),
    ]
