"""The same tables, whatever way the nights were run: once, twice, one by one, all at once, anew, or long after.

Add a way of running nights here; the SQL's own promises are in tests/dbt.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from datetime import date
from pathlib import Path

import duckdb
from flow_harness import EVE, FIRST, KILLED, LAST, Commands, FlowShop, Shelf, ask, content


def test_commands_are_forked_before_anything_is_open(commands: Commands) -> None:
    assert commands.before_the_first_fork == {"threads": 1, "databases": []}


def test_the_drops_hold_late_rows_and_changes(clean: Path) -> None:
    late = ask(clean, "select count(*) from user_orders where order_id like 'L%' and order_id[2:5] <> strftime(ordered_on, '%m%d')")
    assert late[0][0] >= 6


def test_legs_with_a_kill_between_them_are_the_nights_run_by_themselves_and_the_same_night_twice_sends_nothing(
    shop: FlowShop, shelf: Shelf, clean: Path
) -> None:
    """`clean` ran its last night by itself after a backfill of the others; here all are one backfill, in legs. Other splits, and more nights
    one by one, are in the soak and, of the tables alone, in tests/dbt."""
    wanted = content(clean)
    assert {"user_lifecycle_history", "segment_sizes_daily", "load_accounting", "exports/audiences"} <= set(wanted)
    assert wanted != content(clean, EVE)
    home, legs = shelf.fresh(), {"USEROPS_NIGHTS_AT_ONCE": "6"}
    killed = shop.backfill(home, FIRST, LAST, code=KILLED, USEROPS_KILL_AT="build:between_legs", **legs)
    assert "leg 1 of 3: the nights from 2026-03-01 to 2026-03-05" in killed.said
    assert "leg 2" not in killed.said
    ended = shop.backfill(home, FIRST, LAST, **legs)
    assert "leg 2 of 3: the nights from 2026-03-06 to 2026-03-10" in ended.said
    with duckdb.connect(str(home / "warehouse" / "userops.duckdb"), read_only=True) as connection:
        panel = connection.execute("select min(night_on), max(night_on) from intermediate.int_user_features").fetchall()
    assert panel == [(date(2026, 3, 11), LAST)], "rows per user and night are those of one leg"
    assert content(home) == wanted
    assert sum(calls(home)) > 0

    ended = shop.nightly(home, LAST)
    assert content(home) == wanted
    assert "rebuilding this night only" in ended.said
    assert set(calls(home)) == {0}


def calls(home: Path) -> list[int]:
    """Batches handed to the tools by the latest delivery of each list."""
    with contextlib.closing(sqlite3.connect(home / "exports" / "ledger.sqlite")) as ledger:
        sql = "select count(key) from (select max(id) as id from deliveries group by list) left join batches on delivery = id group by id"
        return [row[0] for row in ledger.execute(sql)]


def test_every_user_has_one_stage_a_night_and_the_flows_add_up(clean: Path) -> None:
    with duckdb.connect() as plain:
        for file in (clean / "published" / "current").glob("*.parquet"):
            plain.execute(f"create view {file.stem} as from read_parquet('{file.resolve()}')")

        def rows(sql: str) -> list[tuple]:
            return plain.execute(sql).fetchall()

        [(users,)] = rows("select count(*) from user_lifecycle")
        assert users == len(rows("select distinct user_id from user_profile")) == len(rows("select distinct user_id from user_lifecycle"))
        # spells are half open: the next begins on the night on which one ends, and only the last is open
        assert not rows(
            """
            select user_id from (
                select *, lead(from_on) over (partition by user_id order by from_on) as next_on, lag(stage) over (partition by user_id order by from_on) as before
                from user_lifecycle_history
            ) where next_on is distinct from to_on or stage = before or to_on <= from_on
            """
        )
        per_night = """
            with nights as (select distinct night_on from lifecycle_flow_daily)
            select night_on, stage, count(*) as users, count(distinct user_id) as different
            from nights join user_lifecycle_history on night_on >= from_on and (to_on is null or night_on < to_on) group by all
        """
        assert not rows(f"select * from ({per_night}) where users <> different")
        assert not rows(
            f"""
            select * from lifecycle_flow_daily as flow left join ({per_night}) as held using (night_on, stage)
            where closing_count <> coalesce(users, 0) or opening_count + entered_count - left_count <> closing_count
            """
        )
        assert not rows(
            """
            select * from (
                select *, lag(closing_count) over (partition by stage order by night_on) as before from lifecycle_flow_daily
            ) where before is not null and before <> opening_count
            """
        )
        assert rows("select night_on from lifecycle_flow_daily group by 1 having sum(closing_count) = 0") == []
        assert rows("select stage, user_id from user_lifecycle order by all") == rows(
            "select stage, user_id from user_lifecycle_history where to_on is null order by all"
        )


def test_the_manifest_says_what_the_night_was(clean: Path) -> None:
    manifest = json.loads((clean / "published" / "current" / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["verdict"], manifest["as_of"]) == ("PASS", str(LAST))
    assert len(manifest["checks"]) > 150
