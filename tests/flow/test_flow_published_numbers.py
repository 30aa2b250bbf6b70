"""The published numbers of two real datasets come out of the published tables, by the commands of the guide (docs/guides/read-the-tables.md) and plain DuckDB.

Add here when a public figure about a delivered source can be reproduced from its published tables.
Must not look into the lake or the warehouse: readers cannot either.
"""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from userops_pipeline.ground.home import PROJECT_DIR

SHARED_DATA = Path(os.environ.get("USEROPS_SHARED_DATA") or PROJECT_DIR.parent / "shared" / "data")


def published(home: Path, source: str, **environment: str) -> duckdb.DuckDBPyConnection:
    """Every night of the source as one backfill through the Dagster job; what it published."""
    ended = subprocess.run(
        [sys.executable, "-m", "userops_pipeline.cli", "--home", str(home), "backfill", "--source", source],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return duckdb.connect(str(home / "published" / "userops.duckdb"), read_only=True)


def accounts(tables: duckdb.DuckDBPyConnection) -> dict[str, tuple[int, ...]]:
    """Rows in, kept, quarantined and duplicates per table over all nights."""
    rows = tables.execute(
        "select table_name, sum(rows_in), sum(rows_kept), sum(rows_quarantined), sum(rows_duplicate) from load_accounting group by 1"
    ).fetchall()
    return {name: tuple(int(count) for count in counts) for name, *counts in rows}


def test_the_complete_journey_is_accounted_for_to_the_cent(tmp_path: Path) -> None:
    tables = published(tmp_path, "complete_journey")
    assert accounts(tables) == {
        "users": (2469, 2469, 0, 0),
        "consents": (2469, 2469, 0, 0),
        "orders": (155848, 155848, 0, 0),
        "order_items": (1469307, 1469307, 0, 0),
        "products": (92331, 92331, 0, 0),
        "campaigns": (27, 27, 0, 0),
        "touches": (6589, 6589, 0, 0),
        "incentives": (2102, 2102, 0, 0),
        "suppressions": (0, 0, 0, 0),  # nobody opted out through a message
    }
    [(orders, households, sales, items)] = tables.execute(
        "select count(*), count(distinct user_id), sum(amount), sum(item_count) from user_orders"
    ).fetchall()
    assert (orders, households, sales, items) == (155848, 2469, Decimal("4596039.58"), 1469307)
    for table in ("user_profile", "user_lifecycle", "user_tags", "user_rfm", "user_segments", "user_tier", "user_membership"):
        assert tables.execute(f"select count(*), count(distinct user_id) from {table}").fetchall() == [(2469, 2469)], table
    [(nights, stages_a_night)] = tables.execute(
        "select count(distinct night_on), min(stages) from (select night_on, count(*) as stages from lifecycle_flow_daily group by 1)"
    ).fetchall()
    assert (nights, stages_a_night) == (365, 8)
    assert tables.execute("select sum(exported) = sum(in_segment) from audience_sizes").fetchall() == [(True,)]  # members all, by post
    # What a year of purchases can tell apart; the other tags need what this shop does not deliver, and are told apart in the demo shop.
    told = {tag for (tag,) in tables.execute("select tag from tag_quality where holds_for = 'some'").fetchall()}
    assert told >= {
        "near_upgrade",
        "near_downgrade",
        "long_standing",
        "returned_buyer",
        "broad_shopper",
        "stock_up_shopper",
        "frequent_buyer",
        "coupon_lover",
    }


@pytest.mark.soak  # what its files come to in the lake is held in CI by tests/intake/test_sources.py
@pytest.mark.skipif(not (SHARED_DATA / "online_retail").is_dir(), reason="the Online Retail drops are not on this machine")
def test_online_retail_gives_the_figures_others_published(tmp_path: Path) -> None:
    tables = published(tmp_path, "online_retail", USEROPS_ONLINE_RETAIL=str(SHARED_DATA / "online_retail"))
    loaded = accounts(tables)
    assert loaded["order_items"] == (541909, 536639, 2, 5268)
    assert loaded["orders"][:1] == (25900,)
    assert tables.execute(
        "select count(*), count(distinct user_id) from user_orders where is_purchase and user_id is not null"
    ).fetchall() == [(18532, 4338)]
    first_cohort = "from retention_cohorts where retention = 'repurchase' and dimension = 'total' and cohort_on = date '2010-12-01'"
    cohort = tables.execute(f"select returned_count {first_cohort} order by first_period").fetchall()
    assert [row[0] for row in cohort] == [885, 324, 286, 340, 321, 352, 321, 309, 313, 350, 331, 445, 235]
    complete = tables.execute(
        "select bool_and(is_complete) filter (where first_period < 12), bool_or(is_complete) filter (where first_period = 12) "
        f"{first_cohort}"
    ).fetchall()
    assert complete == [(True, False)], "December 2011 ends on the 9th"
    # Whole 24-hour periods on the shop's clock, until a day after the last purchase; exact duplicate lines are dropped.
    rfm = tables.execute(
        """
        with
            purchases as (
                select user_id, timezone('Europe/London', timezone('UTC', ordered_at)) as bought_at, amount
                from user_orders
                where is_purchase and user_id is not null
            ),
            snapshot as (select max(bought_at) + interval 1 day as taken_at from purchases),
            users as (
                select user_id, max(bought_at) as last_at, count(*) as frequency, sum(amount) as monetary from purchases group by user_id
            )
        select
            round(avg(floor(date_diff('second', last_at, taken_at) / 86400)), 2), round(avg(frequency), 2), round(avg(monetary), 2)
        from users cross join snapshot
        """
    ).fetchall()
    assert rfm == [(92.54, 4.27, 2048.69)]
    assert tables.execute("select sum(exported), sum(in_segment) > 0 from audience_sizes").fetchall() == [(0, True)], "no consent, no list"
