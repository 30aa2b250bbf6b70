"""A night that is killed anywhere: readers never notice, and the next run gives what a clean run gives.

Add a point to POINTS when the flow gains one. How one room alone survives is in that room's tests.
"""

from __future__ import annotations

import csv
from pathlib import Path

from flow_harness import KILLED, LAST, FlowShop, Reader, Shelf, ask, content, current_id, listening

# Every crash point of the flow; the soak kills at each of them, the short form at one per step.
POINTS = (
    *(
        "land:after",
        "conform:before_files",
        "conform:after_files",
        "build:before_dbt",
        "build:after_dbt",
        "build:between_legs",
        "score:before_commit",
        "score:after",
    ),
    *("publish:after_files", "publish:after_rename", "publish:after_symlink", "publish:after_views", "publish:after"),
    *("deliver:after_plan", "deliver:before_send", "deliver:after_send", "deliver:after_ack"),
)
BEFORE_READERS_SEE = ("land:after", "conform:after_files")


def exported(home: Path, list_name: str) -> set[str]:
    """Who the current generation has on a list."""
    file = home / "published" / "current" / "exports" / "audiences.parquet"
    return {row[0] for row in ask(home, f"select match_value from read_parquet('{file}') where audience = '{list_name}'")}


def written_twice(exports: Path, list_name: str) -> set[str]:
    """Match values that a list's files added while they were on it, or removed while they were not."""
    members, wrong = set(), set()
    for night in sorted(path for path in (exports / list_name).iterdir() if path.is_dir()):
        for action in ("added", "removed"):
            for file in sorted(night.glob(f"{action}*.csv")):
                values = {row[0] for row in list(csv.reader(file.read_text(encoding="utf-8-sig").splitlines()))[1:]}
                wrong |= values & members if action == "added" else values - members
                members = members | values if action == "added" else members - values
    return wrong


def test_a_kill_at_each_step_is_healed_by_the_next_run(shop: FlowShop, shelf: Shelf, clean: Path) -> None:
    wanted, tonight = content(clean), current_id(clean)
    home = shelf.bring("eve")
    yesterday = current_id(home)
    with listening() as (tool, _), Reader(home) as reader:
        for point in BEFORE_READERS_SEE:
            shop.nightly(home, LAST, code=KILLED, USEROPS_KILL_AT=point, **tool.env)
            assert current_id(home) == yesterday, point
        shop.nightly(home, LAST, code=KILLED, USEROPS_KILL_AT="publish:after_symlink", **tool.env)
        for list_name in ("coupon_news", "category_news"):
            for point in ("deliver:before_send", "deliver:after_send"):
                shop.run(home, "deliver", list_name, code=KILLED, USEROPS_KILL_AT=point, **tool.env)
        shop.nightly(home, LAST, **tool.env)
        assert content(home) == wanted
        again = shop.run(home, "deliver", **tool.env)
    assert reader.faults == []
    assert reader.reads > 20
    assert reader.seen == [yesterday, tonight]
    assert "added," not in again.said
    assert tool.twice == []
    assert len(tool.keys) > len(set(tool.keys)), "a batch whose outcome was not known was sent again under its key"
    assert tool.lists["coupon_news"] == exported(home, "coupon_news")
    for list_name in ("category_news", "high_value_care", "habit_reminders"):
        assert written_twice(home / "exports", list_name) == set()
        full = (home / "exports" / list_name / str(LAST) / "full.csv").read_text(encoding="utf-8-sig")
        assert {row[0] for row in list(csv.reader(full.splitlines()))[1:]} == exported(home, list_name)
    shop.run(home, "doctor")


def test_two_runs_at_once_one_refuses_and_a_killed_holder_frees_the_lock(shop: FlowShop, eve: Path) -> None:
    first = shop.start(eve, "nightly", "--date", LAST)
    lock = eve / ".writer.lock"
    while not lock.read_text(encoding="utf-8").startswith("run "):
        pass
    second = shop.nightly(eve, LAST, code=1)
    assert "is being written by run" in second.said
    assert "nothing was started" in second.said
    assert "is being written by run" in shop.run(eve, "deliver", code=1).said
    first.kill()
    assert first.wait().code == KILLED
    shop.run(eve, "deliver")
    assert ask(eve, "select count(*) from user_lifecycle")
