"""The long repetitions: sixty real nights one by one, kills at every step many times over, kills at any moment.

Add here what only shows in numbers; every promise has a short form beside this file. Run by `make soak`; figures are printed.
"""

from __future__ import annotations

import random
import shutil
import time
from datetime import date, timedelta
from pathlib import Path

import pytest
from flow_harness import EVE, KILLED, LAST, Commands, FlowShop, Reader, Shelf, content, current_id, listening
from test_flow_killed import POINTS, exported, written_twice

pytestmark = pytest.mark.soak

JOURNEY = "complete_journey"
REPETITIONS = 5
RANDOM_KILLS = 30
NIGHTS = 60


def journey(commands: Commands, home: Path, *arguments: object) -> None:
    ended = commands.start(home, *arguments, source=JOURNEY).wait()
    assert ended.code == 0, ended


def test_sixty_real_nights_one_by_one_are_one_backfill_are_a_full_refresh(commands: Commands, tmp_path: Path) -> None:
    first, last = date(2017, 1, 1), date(2017, 1, 1) + timedelta(days=NIGHTS - 1)
    home, kept = tmp_path / "home", tmp_path / "dbt"
    begun = time.perf_counter()
    journey(commands, home, "backfill", "--from", first, "--to", last, "--dry-run")
    print(f"\nbackfill of {NIGHTS} nights: {time.perf_counter() - begun:.0f} s")
    at_once = content(home)
    journey(commands, home, "nightly", "--date", last - timedelta(days=20), "--dry-run")
    past = content(home)
    shutil.copytree(home / "warehouse" / "dbt", kept)
    shutil.rmtree(home)
    shutil.copytree(kept, home / "warehouse" / "dbt")
    begun = time.perf_counter()
    for number in range(NIGHTS):
        night = first + timedelta(days=number)
        journey(commands, home, "nightly", "--date", night, "--dry-run")
        if night == last - timedelta(days=20):
            assert content(home) == past, "a past night from a later warehouse"
    print(f"{NIGHTS} nights one by one: {time.perf_counter() - begun:.0f} s")
    assert content(home) == at_once
    journey(commands, home, "nightly", "--date", last, "--full-refresh", "--dry-run")
    assert content(home) == at_once


def test_a_split_of_nights_is_one_backfill_for_many_splits(shop: FlowShop, shelf: Shelf, clean: Path) -> None:
    wanted, chance = content(clean), random.Random(7)
    for _ in range(REPETITIONS):
        home, night = shelf.fresh(), date(2026, 3, 1)
        while night <= LAST:
            last = min(LAST, night + timedelta(days=chance.choice((0, 1, 3, 6))))
            shop.backfill(home, night, last, "--dry-run")
            night = last + timedelta(days=1)
        assert content(home) == wanted


def test_a_past_night_is_rebuilt_from_a_later_warehouse(shop: FlowShop, clean: Path) -> None:
    on_the_eve = content(clean, EVE)
    shop.nightly(clean, EVE)
    assert content(clean) == on_the_eve


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_this_point_is_healed_every_time(shop: FlowShop, shelf: Shelf, clean: Path, point: str) -> None:
    wanted, tonight = content(clean), current_id(clean)
    for _ in range(REPETITIONS):
        home = shelf.bring("eve")
        with listening() as (tool, _), Reader(home) as reader:
            shop.nightly(home, LAST, code=KILLED, USEROPS_KILL_AT=point, **tool.env)
            shop.nightly(home, LAST, **tool.env)
        assert content(home) == wanted
        assert reader.faults == []
        assert reader.seen[-1] == tonight
        assert tool.twice == []
        assert tool.lists["coupon_news"] == exported(home, "coupon_news")
        assert not any(written_twice(home / "exports", name) for name in ("category_news", "high_value_care", "habit_reminders"))


def test_kills_at_any_moment_are_healed(shop: FlowShop, shelf: Shelf, clean: Path) -> None:
    wanted, chance = content(clean), random.Random(11)
    begun = time.perf_counter()
    shop.nightly(shelf.bring("eve"), LAST)
    usual = time.perf_counter() - begun
    home = shelf.bring("eve")
    killed = reads = 0
    with listening() as (tool, _), Reader(home) as reader:
        for _ in range(RANDOM_KILLS):
            running = shop.start(home, "nightly", "--date", LAST, **tool.env)
            time.sleep(chance.uniform(0.2, usual))
            running.kill()
            killed += running.wait().code == KILLED
        shop.nightly(home, LAST, **tool.env)
        reads = reader.reads
    print(f"\n{killed} of {RANDOM_KILLS} runs killed within {usual:.0f} s of their start, {reads} reads meanwhile")
    assert content(home) == wanted
    assert reader.faults == []
    assert tool.twice == []
    assert tool.lists["coupon_news"] == exported(home, "coupon_news")
    assert not any(written_twice(home / "exports", name) for name in ("category_news", "high_value_care", "habit_reminders"))
