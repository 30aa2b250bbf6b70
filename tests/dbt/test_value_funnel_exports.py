"""Promises of value, retention, funnels and lists: a little shop whose every number is worked out by hand, built once by dbt.

Add a user to the shop when a rule has a corner that no user stands in yet, and say in his line what is to come out.
Must not depend on real data or on the thresholds of stages and tags.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.dbt_runs import failures, run_dbt, try_dbt
from userops_pipeline.build.warehouse import EVERYTHING, Clock, write_clock
from userops_pipeline.ground import contract

AS_OF, FIRST_ON, ZONE = "2024-05-31", "2024-01-01", "Asia/Shanghai"
MODELS = "+user_rfm +retention_cohorts +funnel_conversion +audiences +audience_sizes"
GUARDS = ("assert_no_opted_out_user_in_audiences", "assert_no_excluded_user_in_audiences", "assert_audience_equals_segment_minus_withheld")

# user, when (UTC), status; an amount of 10 each. The business day of Shanghai begins at 16:00 UTC.
ORDERS = [
    ("ladder", "2024-01-01 04:00", "completed"),
    ("ladder", "2024-01-31 04:00", "completed"),  # 30 days later: just inside
    ("ladder", "2024-03-01 04:00", "completed"),
    ("slow", "2024-01-05 04:00", "completed"),
    ("slow", "2024-02-05 04:00", "completed"),  # 31 days later: too late
    ("twice_at_once", "2024-01-10 04:00", "completed"),
    ("twice_at_once", "2024-01-10 04:00", "completed"),  # the same instant: a second purchase, but never a third
    ("edge_of_window", "2024-04-01 04:00", "completed"),  # its 60 days end on the as-of night: closed
    ("one_day_open", "2024-01-02 04:00", "cancelled"),  # never a purchase
    ("one_day_open", "2024-04-02 04:00", "completed"),  # its 60 days end one night later: open
    ("fresh", "2024-05-15 04:00", "completed"),
    ("fresh", "2024-05-16 04:00", "completed"),
    ("after_midnight", "2024-01-31 16:30", "completed"),  # the first of February in Shanghai
    ("a_test_user", "2024-01-03 04:00", "completed"),
    (None, "2024-01-03 04:00", "completed"),
]
# user, campaign, when
TOUCHES = [
    ("ladder", "spring", "2024-01-01 04:00"),
    ("slow", "spring", "2024-01-01 04:00"),
    ("twice_at_once", "spring", "2024-01-10 04:00"),
    ("slow", "summer", "2024-02-01 04:00"),
    ("fresh", "summer", "2024-05-01 04:00"),  # still open
]
REDEMPTIONS = [
    ("ladder", "summer", "2024-01-05 04:00"),  # another campaign than the one he was targeted by
    ("slow", "spring", "2024-01-02 04:00"),  # buys three days later
    ("twice_at_once", "spring", "2024-01-10 04:00"),  # at the instant of the message, and buys then
    ("slow", "summer", "2024-02-20 04:00"),  # buys nothing afterwards
]
# user, contact point, purpose, state, when; who has no line has no consent
CONSENTS = [
    ("subscribed", "1 Road", "marketing", "subscribed", "2024-01-02"),
    ("opted_out", "2 Road", "marketing", "subscribed", "2024-01-02"),
    ("opted_out", "2 Road", "marketing", "unsubscribed", "2024-02-02"),
    ("shares_an_address", " 2 ROAD ", "marketing", "subscribed", "2024-03-02"),
    ("came_back", "3 Road", "marketing", "unsubscribed", "2024-01-02"),
    ("came_back", "3 Road", "marketing", "subscribed", "2024-02-02"),
    ("never_answered", "4 Road", "marketing", "did_not_subscribe", "2024-01-02"),
    ("service_only", "5 Road", "service", "subscribed", "2024-01-02"),
    ("moved", "6 Road", "marketing", "subscribed", "2024-01-02"),
    ("moved", "7 Road", "service", "subscribed", "2024-02-02"),
    ("complained", "10 Road", "marketing", "subscribed", "2024-01-02"),
    ("lives_with_a_bounce", "11 Road", "marketing", "subscribed", "2024-01-02"),
    ("survivor", "12 Road", "marketing", "subscribed", "2024-01-02"),
    ("a_test_user", "8 Road", "marketing", "subscribed", "2024-01-02"),
    ("a_silent_test_user", "9 Road", "marketing", "subscribed", "2024-01-02"),
]
# user, contact point, reason, when; on the channel `postal`
SUPPRESSIONS = [
    ("complained", None, "complained", "2024-02-02"),
    ("came_back", None, "unsubscribed", "2024-01-15"),  # before he subscribed again
    (None, " 11 ROAD", "bounced", None),
    ("merged_away", None, "unreadable", None),
]
VISITORS = (
    "subscribed",
    "opted_out",
    "shares_an_address",
    "came_back",
    "never_answered",
    "service_only",
    "moved",
    "no_consent_at_all",
    "complained",
    "lives_with_a_bounce",
    "survivor",
)
BUYERS = ("ladder", "slow", "twice_at_once", "edge_of_window", "one_day_open", "fresh", "after_midnight")
REFUND = Decimal("4.00")


def write_raw(database: duckdb.DuckDBPyConnection) -> None:
    database.execute("create schema raw")
    for table in contract.tables().values():
        database.execute(f"create table raw.{table.name} as {contract.empty_select(table)}")
    database.execute(
        "create table raw.load_accounting as select 'shop' as source_name, 'orders' as table_name, date '2024-01-01' as arrived_on, "
        "1::bigint as rows_in, 1::bigint as rows_kept, 0::bigint as rows_quarantined, 0::bigint as rows_duplicate"
    )
    write_clock(database, Clock(date.fromisoformat(AS_OF), EVERYTHING, EVERYTHING, date.fromisoformat(FIRST_ON), ZONE, full=True))
    tests = ("a_test_user", "a_silent_test_user")
    add(
        database,
        "users",
        [
            {"user_id": user, "registered_at": "2024-01-01 01:00", "excluded_as": "test" if user in tests else None}
            for user in (*VISITORS, *BUYERS, *tests)
        ]
        + [{"user_id": "merged_away", "registered_at": "2024-01-01 01:00", "merged_into": "survivor"}],
    )
    orders = [
        {"order_id": f"o{number:02}", "user_id": user, "ordered_at": at, "status": status, "amount": 10, "currency": "CNY"}
        for number, (user, at, status) in enumerate(ORDERS)
    ]
    add(database, "orders", orders)
    add(database, "refunds", [{"refund_id": "r1", "order_id": "o03", "user_id": "slow", "refunded_at": "2024-01-09", "amount": REFUND}])
    add(database, "campaigns", [{"campaign_id": name, "starts_on": "2024-01-01"} for name in ("spring", "summer")])
    add(
        database,
        "touches",
        [
            {"touch_id": f"t{number}", "user_id": user, "campaign_id": campaign, "channel": "postal", "sent_at": at}
            for number, (user, campaign, at) in enumerate(TOUCHES)
        ],
    )
    add(
        database,
        "incentives",
        [
            {"incentive_id": f"i{number}", "user_id": user, "campaign_id": campaign, "kind": "coupon", "issued_at": at, "used_at": at}
            for number, (user, campaign, at) in enumerate(REDEMPTIONS)
        ],
    )
    add(
        database,
        "consents",
        [
            {
                "user_id": user,
                "contact_point": point,
                "channel": "postal",
                "purpose": purpose,
                "state": state,
                "basis": "form",
                "changed_at": at,
            }
            for user, point, purpose, state, at in CONSENTS
        ],
    )
    add(
        database,
        "suppressions",
        [
            {"suppression_id": f"s{number}", "user_id": user, "contact_point": point, "channel": "postal", "reason": reason, "said_at": at}
            for number, (user, point, reason, at) in enumerate(SUPPRESSIONS)
        ],
    )


def add(database: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]) -> None:
    for number, row in enumerate(rows, 1):
        full = {**row, "arrived_on": FIRST_ON, "source_name": "shop", "source_file": table, "source_row": number}
        columns, values = ", ".join(full), ", ".join(f"${name}" for name in full)
        database.execute(f"insert into raw.{table} ({columns}) values ({values})", full)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The little shop, built with all tests of the models asked for."""
    place = tmp_path_factory.mktemp("shop")
    with duckdb.connect(str(place / "userops.duckdb")) as database:
        write_raw(database)
    chosen = ["--select", *MODELS.split(), "assert_rfm_groups_cover_all_scores"]
    left_out = ["--exclude", "test_type:unit", "--indirect-selection", "cautious"]
    run_dbt(place / "userops.duckdb", "build", *chosen, *left_out, target=place / "target")
    return place


@pytest.fixture
def shop(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(folder / "userops.duckdb"), read_only=True) as database:
        yield database


def test_every_user_has_one_value_row_and_test_users_none(shop: duckdb.DuckDBPyConnection) -> None:
    rows = dict(shop.execute("select user_id, rfm_group from marts.user_rfm").fetchall())
    assert set(rows) == {*VISITORS, *BUYERS}
    assert {user for user, group in rows.items() if group == "prospect"} == set(VISITORS)


def test_raw_values_count_purchases_only_and_take_refunds_off(shop: duckdb.DuckDBPyConnection) -> None:
    rows = {
        row[0]: row[1:] for row in shop.execute("select user_id, recency_days, frequency, monetary_amount from marts.user_rfm").fetchall()
    }
    assert rows["ladder"] == (91, 3, Decimal("30.00"))
    assert rows["slow"] == (116, 2, Decimal("20.00") - REFUND)
    assert rows["one_day_open"] == (59, 1, Decimal("10.00"))
    assert rows["after_midnight"] == (120, 1, Decimal("10.00"))
    assert rows["subscribed"] == (None, 0, Decimal("0.00"))


def test_equal_values_get_the_score_of_their_average_rank(shop: duckdb.DuckDBPyConnection) -> None:
    rows = shop.execute(
        "select recency_days, frequency, monetary_amount, r, f, m, fm, least(r_bins, f_bins, m_bins), has_fewer_bins from marts.user_rfm where frequency > 0"
    ).fetchall()

    def scores(values: list[Any]) -> list[int]:
        ranks = [sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2 for value in values]
        return [math.ceil(5 * rank / len(values)) for rank in ranks]

    assert [row[3] for row in rows] == scores([-row[0] for row in rows])
    assert [row[4] for row in rows] == scores([row[1] for row in rows])
    assert [row[5] for row in rows] == scores([row[2] for row in rows])
    assert all(row[6] == (row[4] + row[5] + 1) // 2 for row in rows)
    assert {row[7] for row in rows} == {min(len({row[column] for row in rows}) for column in (3, 4, 5))}


def test_cohorts_are_business_months_of_the_first_purchase_and_leave_no_month_out(shop: duckdb.DuckDBPyConnection) -> None:
    rows = shop.execute(
        "select cohort_on, first_period, cohort_size, returned_count from marts.retention_cohorts "
        "where retention = 'repurchase' and dimension = 'total' order by 1, 2"
    ).fetchall()
    january = [row[1:] for row in rows if row[0] == date(2024, 1, 1)]
    assert january == [(0, 3, 3), (1, 3, 1), (2, 3, 1), (3, 3, 0), (4, 3, 0)]
    assert [(row[0].month, row[2]) for row in rows if row[1] == 0] == [(1, 3), (2, 1), (4, 2), (5, 1)]


def test_a_month_is_complete_once_its_last_night_is_in(shop: duckdb.DuckDBPyConnection) -> None:
    assert shop.execute("select bool_and(is_complete) from marts.retention_cohorts where retention = 'repurchase'").fetchone() == (True,)


def funnel(shop: duckdb.DuckDBPyConnection, name: str) -> dict[int, list[tuple[Any, ...]]]:
    rows = shop.execute(
        "select month(entry_month), step, users, open_users, median_days from marts.funnel_conversion where funnel = ? order by entry_month, step_number",
        [name],
    ).fetchall()
    return {month: [row[1:] for row in rows if row[0] == month] for month, *_ in rows}


def test_the_purchase_ladder_holds_its_windows_and_never_uses_a_purchase_twice(shop: duckdb.DuckDBPyConnection) -> None:
    ladder = funnel(shop, "purchase_ladder")
    assert ladder[1] == [("first_purchase", 3, 0, None), ("second_purchase", 2, 0, Decimal(15)), ("third_purchase", 1, 0, Decimal(30))]
    assert ladder[2][0] == ("first_purchase", 1, 0, None)


def test_open_entries_stand_apart_from_closed_ones(shop: duckdb.DuckDBPyConnection) -> None:
    ladder = funnel(shop, "purchase_ladder")
    assert [row[:3] for row in ladder[4]] == [("first_purchase", 1, 1), ("second_purchase", 0, 0), ("third_purchase", 0, 0)]
    assert [row[:3] for row in ladder[5]] == [("first_purchase", 0, 1), ("second_purchase", 0, 1), ("third_purchase", 0, 0)]


def test_the_campaign_funnel_holds_the_campaign_and_takes_a_user_once_for_each(shop: duckdb.DuckDBPyConnection) -> None:
    response = funnel(shop, "campaign_response")
    assert [row[:3] for row in response[1]] == [("targeted", 3, 0), ("redeemed", 2, 0), ("purchased", 2, 0)]
    assert [row[:3] for row in response[2]] == [("targeted", 1, 0), ("redeemed", 1, 0), ("purchased", 0, 0)]
    assert [row[:3] for row in response[5]] == [("targeted", 0, 1), ("redeemed", 0, 0), ("purchased", 0, 0)]


def test_shares_of_a_funnel_are_of_the_first_and_of_the_previous_step(shop: duckdb.DuckDBPyConnection) -> None:
    rows = shop.execute(
        "select share_of_first, share_of_previous from marts.funnel_conversion where funnel = 'purchase_ladder' and entry_month = date '2024-01-01' order by step_number"
    ).fetchall()
    assert rows == [(Decimal(1), Decimal(1)), (Decimal("0.666667"), Decimal("0.666667")), (Decimal("0.333333"), Decimal("0.5"))]


def test_only_who_consented_at_his_present_address_is_exported(shop: duckdb.DuckDBPyConnection) -> None:
    found = shop.execute("select user_id, decision, reason from marts.audience_members where audience = 'first_purchase_coupons'")
    assert {user: (decision, reason) for user, decision, reason in found.fetchall()} == {
        "subscribed": ("exported", None),
        "came_back": ("exported", None),
        "opted_out": ("no_consent", "withdrawn"),
        "shares_an_address": ("no_consent", "withdrawn"),
        "never_answered": ("no_consent", "not_subscribed"),
        "service_only": ("no_consent", "not_subscribed"),
        "moved": ("no_consent", "not_subscribed"),
        "no_consent_at_all": ("no_contact_point", "no_address"),
        "complained": ("no_consent", "complained"),
        "lives_with_a_bounce": ("no_consent", "bounced"),
        "survivor": ("no_consent", "unreadable"),
    }


def test_a_list_carries_its_match_value_address_and_fields(shop: duckdb.DuckDBPyConnection) -> None:
    row = shop.execute(
        "select tool, match_value, contact_point, fields from exports.audiences where user_id = 'subscribed' and audience = 'first_purchase_coupons'"
    ).fetchone()
    assert row is not None and row[:3] == ("csv_file", "subscribed", "1 Road")
    stage, since = shop.execute("select stage, since_on from marts.user_lifecycle where user_id = 'subscribed'").fetchone() or (None, None)
    assert json.loads(row[3]) == {"stage": stage, "since": str(since), "mailing_key": "1 Road"}


def test_the_sizes_of_a_list_add_up_and_every_list_has_a_line(shop: duckdb.DuckDBPyConnection) -> None:
    sizes = {
        row[0]: row[1:]
        for row in shop.execute(
            "select audience, in_segment, without_consent, without_contact_point, with_shared_match_value, exported from marts.audience_sizes"
        ).fetchall()
    }
    assert sizes["first_purchase_coupons"] == (11, 8, 1, 0, 2)
    assert sizes["coupon_news"] == (0, 0, 0, 0, 0)


def test_addresses_stand_in_exports_only(shop: duckdb.DuckDBPyConnection) -> None:
    columns = shop.execute("select table_name, column_name from information_schema.columns where table_schema = 'marts'").fetchall()
    assert not [column for column in columns if column[1] in ("contact_point", "match_value", "email", "phone")]


def test_the_guards_of_the_lists_catch_a_list_that_was_tampered_with(folder: Path, tmp_path: Path) -> None:
    ran = json.loads((folder / "target" / "run_results.json").read_text(encoding="utf-8"))["results"]
    assert {row["unique_id"].split(".")[2] for row in ran if row["status"] == "pass"} >= set(GUARDS)
    (tmp_path / "userops.duckdb").write_bytes((folder / "userops.duckdb").read_bytes())
    forbidden = {
        "opted_out": "2 Road",  # no standing subscription, and withdrawn there
        "shares_an_address": "2 Road",
        "complained": "10 Road",
        "lives_with_a_bounce": "11 Road",
        "survivor": "12 Road",
        "subscribed": "1 Road",  # but for the message below
    }
    with duckdb.connect(str(tmp_path / "userops.duckdb")) as database:
        for user, point in {**forbidden, "a_silent_test_user": "9 Road"}.items():
            database.execute("delete from exports.audiences where user_id = ?", [user])
            database.execute(
                "insert into exports.audiences values ('first_purchase_coupons', 'csv_file', ?, ?, ?, '{}')", [user, user, point]
            )
        touch = {"touch_id": "t9", "user_id": "subscribed", "channel": "postal", "sent_at": "2024-03-01", "unsubscribed_at": "2024-03-02"}
        add(database, "touches", [touch])
    tampered = failures(try_dbt(tmp_path / "userops.duckdb", "test", "--select", *GUARDS, target=tmp_path / "target"))
    assert set(tampered) == set(GUARDS)
    assert tampered["assert_no_opted_out_user_in_audiences"].startswith(f"Got {len(forbidden) + 1} results")
