"""The contestants of the benchmark on a shop small enough to work out by hand and beside our models, and the comparison on tables that are wrong.

Add a case when a definition of the compared tables changes. Must not measure time.
"""

import copy
import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.bench import comparison, rooms
from tests.bench.contestants import CONTESTANTS, EVENTS, USERS, run
from tests.dbt_runs import run_dbt
from userops_pipeline.build.warehouse import prepare_build
from userops_pipeline.ground import contract
from userops_pipeline.ground.home import Home
from userops_pipeline.intake.conform import conform
from userops_pipeline.intake.landing import land, nights_between
from userops_pipeline.intake.source import load_source

NIGHT = date(2026, 3, 31)
LAST = date(2026, 3, 14)  # of the sample shop
KINDS = {
    "events": "event_id varchar, device_id varchar, user_id varchar, visit_id varchar, event_at timestamp, event_on date, "
    "event_name varchar, page varchar, campaign_id varchar",
    "orders": "order_id varchar, user_id varchar, ordered_at timestamp, ordered_on date, paid_at timestamp, status varchar, "
    "amount decimal(18, 2), discount_amount decimal(18, 2), currency varchar, merchant_id varchar, is_plan boolean, is_purchase boolean, "
    "weekday integer, hour_of_day integer",
    "lines": "order_id varchar, category varchar, amount decimal(18, 2), is_return boolean",
    "activities": "source_table varchar, user_id varchar, activity_at timestamp, activity_on date, activity varchar, is_own boolean, "
    "object_id varchar, campaign_id varchar, value decimal(18, 2)",
    "users": "user_id varchar, registered_on date",
}


def shop(inputs: Path) -> None:
    """One user on two devices over two midnights, one over one midnight, one device without a user, three purchases and a cancelled order, one
    user who did nothing."""
    begun = datetime(2026, 3, 29, 23, 50)
    told = [("d1", "u1", begun + timedelta(minutes=29 * step), "detail", f"p{step}") for step in range(52)]  # no break over two midnights
    told += [("d2", "u1", datetime(2026, 3, 31, 9, 0), "pay", None), ("d2", "u1", datetime(2026, 3, 31, 9, 30), "heartbeat", None)]
    told += [("d3", None, datetime(2026, 3, 1, 9, 0), "search", None)]
    # One look on either side of midnight: only the second makes the session engaged, and that on the second day.
    told += [("d4", "u3", datetime(2026, 3, 29, 23, 59), "detail", "p"), ("d4", "u3", datetime(2026, 3, 30, 0, 1), "detail", "p")]
    events = [(f"e{n:02}", d, u, None, at, at.date(), name, page, None) for n, (d, u, at, name, page) in enumerate(told)]
    first, last = datetime(2026, 3, 1, 8, 0), datetime(2026, 3, 31, 18, 0)
    bought = [
        ("o2", first, "10.10", "1.00", "m1"),
        ("o1", first, "0.20", "0", "m2"),
        ("o3", last, "5", "5", "m1"),
        ("o4", last, "9", "0", "m3"),
    ]
    orders = [
        (
            o,
            "u1",
            at,
            at.date(),
            None,
            "cancelled" if o == "o4" else "paid",
            paid,
            off,
            "CNY",
            shop,
            False,
            o != "o4",
            at.isoweekday(),
            at.hour,
        )
        for o, at, paid, off, shop in bought
    ]
    lines = [
        ("o1", "tea", "0.20", False),
        ("o2", "tea", "4.10", False),
        ("o2", "cups", "6.00", False),
        ("o3", "tea", "5", False),
        ("o3", None, "-1", True),
    ]
    acts = [("orders", "u1", at, at.date(), "order_cancelled" if o == "o4" else "purchase", True, o, None, None) for o, at, *_ in bought]
    sent = datetime(2026, 3, 30, 3, 0)
    acts += [("touches", "u1", sent + timedelta(minutes=n), sent.date(), "touch_sent", False, "c1", "c1", None) for n in range(2)]
    acts += [("refunds", "u1", last, last.date(), "refund", False, "o3", None, "2.50")]
    acts += [("incentives", "u1", last, last.date(), "incentive_used", True, "c1", "c1", "1")]
    rows: dict[str, Sequence[Sequence[Any]]] = {
        "events": events,
        "orders": orders,
        "lines": lines,
        "activities": acts,
        "users": [("u1", date(2026, 2, 1)), ("u2", date(2026, 3, 31)), ("u3", date(2026, 3, 1))],
    }
    with duckdb.connect() as con:
        for table, kinds in KINDS.items():
            con.execute(f"create table {table} ({kinds})")
            con.executemany(
                f"insert into {table} values ({', '.join('?' * (kinds.count(', ') + 1 - kinds.count('(18, 2)')))})", rows[table]
            )
            con.execute(f"copy {table} to '{inputs}/{table}.parquet'")


@pytest.mark.parametrize("name", [name for name, one in CONTESTANTS.items() if one.tables == EVENTS])
def test_a_contestant_makes_the_tables_as_defined(name: str, tmp_path: Path) -> None:
    if name == "Polars streaming":
        pytest.importorskip("polars")
    shop(tmp_path)
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    run(name, tmp_path, outputs, NIGHT)

    def rows(query: str) -> list[tuple]:
        with duckdb.connect() as con:
            return con.execute(query.format(outputs)).fetchall()

    second_midnight = 50  # events before 2026-03-31 00:00
    assert rows(
        "select device_id, event_count, heartbeat_count, entry_page, exit_page, has_detail, has_pay, is_engaged, engaged_on::date, "
        "duration_seconds, first_day_seconds from '{}/sessions.parquet' order by device_id, started_at"
    ) == [
        ("d1", second_midnight, 0, "p0", "p49", True, False, True, date(2026, 3, 30), 49 * 29 * 60, 0),
        ("d1", 2, 0, "p50", "p51", True, False, True, NIGHT, 29 * 60, 29 * 60),
        ("d2", 1, 0, None, None, False, True, True, NIGHT, 0, 0),
        ("d2", 0, 1, None, None, False, False, False, None, 0, 0),
        ("d3", 1, 0, None, None, False, False, False, None, 0, 0),
        ("d4", 2, 0, "p", "p", True, False, True, date(2026, 3, 30), 120, 0),
    ]
    assert rows(
        "select activity_on::date, active_days, reached_count, converted_count, order_count, spend_amount::decimal(18, 2), item_count, "
        "gap_days, new_store_count, new_category_count, top_category_rank, session_count, touch_count, new_campaign_count, "
        "refund_amount::decimal(18, 2), cancelled_order_count, evening_order_count from '{}/user_days.parquet' where user_id = 'u1' "
        "order by activity_on"
    ) == [
        (date(2026, 3, 1), 1, 0, 2, 2, Decimal("10.30"), 3, None, 2, 2, f"{600:018}cups", 0, 0, 0, 0, 0, 0),
        (date(2026, 3, 29), 1, 1, 0, 0, 0, 0, None, 0, 0, None, 1, 0, 0, 0, 0, 0),
        (date(2026, 3, 30), 1, 49, 0, 0, 0, 0, None, 0, 0, None, 0, 2, 1, 0, 0, 0),
        (NIGHT, 1, 2, 2, 1, 5, 1, 30, 0, 0, f"{930:018}tea", 3, 0, 0, Decimal("2.50"), 1, 1),
    ]
    assert rows(
        "select user_id, activity_on::date, session_count, engaged_session_count, session_seconds from '{}/user_days.parquet' "
        "where activity_on >= '2026-03-29' order by user_id, activity_on"
    ) == [
        ("u1", date(2026, 3, 29), 1, 0, 0),
        ("u1", date(2026, 3, 30), 0, 1, 49 * 29 * 60),
        ("u1", NIGHT, 3, 2, 29 * 60),
        ("u3", date(2026, 3, 29), 1, 0, 0),
        ("u3", date(2026, 3, 30), 0, 1, 120),
    ]
    assert rows(
        "select user_id, session_count_7d, engaged_session_count_30d, session_seconds_30d, engaged_session_share_90d::decimal(9, 6) "
        "from '{}/features.parquet' order by user_id"
    ) == [
        ("u1", 4, 3, 50 * 29 * 60, Decimal("0.75")),
        ("u2", 0, 0, 0, None),
        ("u3", 1, 1, 120, 1),
    ]
    assert rows(
        "select user_id, order_count, spend_amount::decimal(18, 2), order_count_30d, spend_amount_30d::decimal(18, 2), event_count_7d, "
        "last_order_on::date, average_gap_days::decimal(9, 2), last_gap_days, average_order_amount::decimal(18, 2), top_category, "
        "top_category_share::decimal(9, 6), discount_share_90d::decimal(9, 6), response_share::decimal(9, 6), days_since_touch "
        "from '{}/features.parquet' where user_id <> 'u3' order by user_id"
    ) == [
        (
            "u1",
            3,
            Decimal("15.30"),
            1,
            5,
            53,
            NIGHT,
            30,
            30,
            Decimal("5.10"),
            "tea",
            Decimal("0.607843"),
            Decimal("0.281690"),
            Decimal("0.5"),
            1,
        ),
        ("u2", 0, 0, 0, 0, 0, None, None, None, None, None, None, None, None, None),
    ]
    assert rows(
        "select order_id, purchase_number, days_since_previous_purchase, item_count, returned_amount::decimal(18, 2), "
        "refund_amount::decimal(18, 2), status from '{}/purchases.parquet' order by order_id"
    ) == [
        ("o1", 1, None, 1, 0, 0, "paid"),
        ("o2", 2, 0, 2, 0, 0, "paid"),
        ("o3", 3, 30, 1, 1, Decimal("2.50"), "paid"),
        ("o4", None, None, 0, 0, 0, "cancelled"),
    ]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path]:
    """The sample shop's compared tables as our models make them, and what the contestants read."""
    home, source = Home(tmp_path_factory.mktemp("sample")), load_source("sample_shop")
    nights = nights_between(source.first_night, LAST)
    land(home, source, nights)
    conform(home, source, nights)
    prepare_build(home, [source.model_copy(update={"first_night": LAST})], LAST)  # features of one night, as in the benchmark
    chosen = [f"+{model}" for models in comparison.MODELS.values() for model in models]
    run_dbt(home.warehouse, "run", "--select", *chosen, target=home.dbt_target)
    comparison.export_inputs(home, home.root / "inputs", LAST)
    return home, home.root / "inputs"


@pytest.mark.parametrize("name", CONTESTANTS)
def test_a_contestant_makes_our_tables_of_a_dirty_shop(name: str, built: tuple[Home, Path], tmp_path: Path) -> None:
    """Every column our models gain must be made by all of them, or named in OURS_ALONE: else the benchmark compares nothing."""
    if name == "Polars streaming":
        pytest.importorskip("polars")
    home, inputs = built
    run(name, inputs, tmp_path, LAST)
    contestant = CONTESTANTS[name]
    assert comparison.differences(home, tmp_path, contestant.tables, contestant.without) == {}
    with duckdb.connect() as con:  # nothing is equal for being empty
        assert all(con.execute(f"select count(*) from '{tmp_path}/{table}.parquet'").fetchall()[0][0] > 10 for table in contestant.tables)


def test_a_table_of_customers_that_differs_in_one_place_is_found(built: tuple[Home, Path], tmp_path: Path) -> None:
    home, inputs = built
    run("DuckDB by hand, customers", inputs, tmp_path, LAST)
    wrong = {
        "periods": "idle_2_3_count + 1 as idle_2_3_count",
        "retention": "not is_complete as is_complete",
        "rfm": "frequency + 1 as frequency",
        "cohort_value": "cumulative_net_amount + 0.01 as cumulative_net_amount",
        "tags": "not never_bought as never_bought",
        "tag_history": "'somebody' as author",
    }
    assert set(wrong) == set(USERS)
    with duckdb.connect() as con:
        for table, change in wrong.items():
            file = f"'{tmp_path}/{table}.parquet'"
            con.execute(f"create or replace table made as from {file}")
            con.execute(
                f"copy (select * replace ({change}) from made where rowid = 0 union all select * from made where rowid <> 0) to {file}"
            )
    assert set(comparison.differences(home, tmp_path, USERS, {})) == set(USERS)


def test_a_model_is_of_the_room_of_the_tables_that_need_it(built: tuple[Home, Path]) -> None:
    manifest = json.loads((built[0].dbt_target / "manifest.json").read_text(encoding="utf-8"))
    found = rooms.rooms(manifest)
    named = ("period_lifecycle", "int_user_period", "int_user_rfm", "int_buyer", "int_user_day", "stg_orders", "audiences")
    assert [found[name] for name in named] == ["periods", "periods", "value", "value", rooms.SHARED, "staging", "exports"]
    seconds = rooms.seconds({"period_lifecycle": 3.0, "int_user_period": 1.0, "int_user_day": 8.0}, found)
    assert seconds == {rooms.SHARED: 8.0, "periods": 4.0}
    assert rooms.of_customers(seconds) == 4.0

    def read_by_a_table_of(room: str) -> str:
        changed = copy.deepcopy(manifest)
        reader = copy.deepcopy(changed["nodes"]["model.userops.period_lifecycle"])
        changed["nodes"]["model.userops.other"] = reader | {"name": "other", "fqn": ["userops", "marts", room, "other"]}
        return rooms.rooms(changed)["int_user_period"]

    assert read_by_a_table_of("periods") == "periods"
    assert read_by_a_table_of("churn") == rooms.SHARED_BY_CUSTOMERS
    assert read_by_a_table_of("funnels") == rooms.SHARED


def test_a_table_that_differs_is_found(tmp_path: Path) -> None:
    home, outputs = Home(tmp_path), tmp_path / "outputs"
    outputs.mkdir()
    home.warehouse.parent.mkdir(parents=True)
    shop(tmp_path)
    run("DuckDB by hand", tmp_path, outputs, NIGHT)
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute("create schema intermediate; create schema marts")
        for table in EVENTS:
            con.execute(f"create table {comparison.OURS[table].removeprefix('ours.')} as from '{outputs}/{table}.parquet'")
    assert comparison.differences(home, outputs, EVENTS, {}) == {}
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute("update intermediate.int_user_day set spend_amount = spend_amount + 0.01 where order_count = 1")
        con.execute("alter table marts.user_orders add column gift_count bigint")
        con.execute("alter table intermediate.int_user_features add column gender varchar")
    found = comparison.differences(home, outputs, EVENTS, {})
    assert set(found) == {"user_days", "purchases"}
    assert "contents differ" in found["user_days"]
    assert found["purchases"] == "theirs lacks gift_count"
    assert set(comparison.differences(home, outputs, EVENTS, {"purchases": ("gift_count",)})) == {"user_days"}


def test_little_is_left_out_of_the_comparison() -> None:
    assert not any(CONTESTANTS[name].without for name in ("DuckDB by hand", "DuckDB by hand, customers"))
    assert {columns for contestant in CONTESTANTS.values() for columns in contestant.without.values()} == {("session_id",)}
    declared = {column.name for column in contract.tables()["users"].columns} | {"age", "days_to_birthday"}
    of_rules = {"purchase_refund_amount", "point_count", "point_count_90d", "point_count_365d", "next_key_behaviour"}
    of_rules |= {"plan_order_count", "days_since_plan_order", "has_plan", "days_to_trial_end", "is_paid_up", "days_paid_up"}
    of_rules |= {"unpriced_order_count", "unpriced_order_count_90d"}
    of_rules |= {"days_to_paid_end", "paid_period_number", "monthly_plan_amount", "days_since_paid_end", "days_since_paid"}
    of_rules |= {"usual_gap_days", "late_gap_days", "long_gap_days", "overdue_gap_days"}
    assert set(comparison.OURS_ALONE) == {"features", "user_days", "rfm"}
    assert {*comparison.OURS_ALONE["features"], *comparison.OURS_ALONE["user_days"]} <= (declared - {"user_id", "registered_at"}) | of_rules
