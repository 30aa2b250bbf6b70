"""Promise of the tags: each is true of somebody and false of somebody, in a simulated shop of fifty nights or, where noted, in a year of purchases.

Add a tag to NEEDS_A_YEAR only when it cannot come about in fifty nights. Must not know how many users carry a tag.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from compiled import run_project

from userops_pipeline.ground.home import Home
from userops_pipeline.intake.conform import conform
from userops_pipeline.intake.landing import land
from userops_pipeline.intake.source import load_source
from userops_pipeline.simulate import Settings, simulate

FIRST, NIGHTS = date(2026, 1, 1), 50
# Asked of the Complete Journey, in tests/flow/test_flow_published_numbers.py.
NEEDS_A_YEAR = {"near_downgrade", "long_standing", "returned_buyer", "broad_shopper", "stock_up_shopper"}


@pytest.mark.soak
def test_every_tag_tells_users_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drops = tmp_path / "drops"
    simulate(Settings(users=700, days=NIGHTS, seed=3, out=drops, start=FIRST, events_per_user=150, orders_per_user=10))
    monkeypatch.setenv("USEROPS_DEMO_SHOP", str(drops))
    home, source = Home(tmp_path / "home"), load_source("demo_shop")
    nights = [FIRST + timedelta(days=day) for day in range(NIGHTS)]
    land(home, source, nights)
    conform(home, source, nights)
    run_project(home, source, nights[-1])
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        found = dict(con.execute("select tag, holds_for from marts.tag_quality").fetchall())
        by_hand = con.execute("select sum(manual_count) from marts.tag_quality").fetchone()
    assert {tag for tag, holds_for in found.items() if holds_for != "some"} - NEEDS_A_YEAR == set()
    assert by_hand is not None and by_hand[0] > 0
