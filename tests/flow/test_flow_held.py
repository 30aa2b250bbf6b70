"""A night that must not go out: yesterday's tables stay, nothing is delivered, and the reason is one sentence.

Add a reason to hold a night here, with the run that goes well once it is mended.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from flow_harness import EVE, LAST, FlowShop, Shelf, current_id, events_of, listening, write_events

from tests.changed_project import edit, shop_with
from userops_pipeline.ground.home import sha256_of

EVENTS = "app_events.jsonl.gz"


def sent(home: Path) -> dict[str, str]:
    """Every file that a delivery writes."""
    return {str(path): sha256_of(path) for path in (home / "exports").rglob("*.csv")}


class Yesterday:
    """What is published and delivered before tonight's run, and a tool that hears of everything sent after."""

    def __init__(self, shop: FlowShop, home: Path, tool_env: dict[str, str], bodies: list) -> None:
        self.shop, self.home, self.env, self.bodies = shop, home, tool_env, bodies
        self.generation, self.sent = current_id(home), sent(home)

    def stays(self) -> None:
        """Nothing was published or delivered; and a delivery by itself can only deliver yesterday's lists, which are delivered."""
        assert current_id(self.home) == self.generation
        assert (sent(self.home), self.bodies) == (self.sent, [])


@pytest.fixture
def yesterday(shop: FlowShop, shelf: Shelf) -> Iterator[Yesterday]:
    home = shelf.bring("eve")
    with listening() as (tool, bodies):
        shop.run(home, "deliver", **tool.env)
        bodies.clear()
        yield Yesterday(shop, home, tool.env, bodies)


@pytest.fixture
def spoilt(shop: FlowShop, tmp_path: Path) -> FlowShop:
    """The shop with files of its own."""
    return shop.other(tmp_path / "spoilt")


def test_an_empty_file_holds_the_night_until_it_is_replaced(clean: Path, yesterday: Yesterday, spoilt: FlowShop, shop: FlowShop) -> None:
    file = spoilt.drops(LAST) / EVENTS
    right = file.read_bytes()
    file.write_bytes(gzip.compress(b"", mtime=0))
    ended = spoilt.nightly(yesterday.home, LAST, code=1, **yesterday.env)
    assert "events.volume_is_usual" in ended.said or "rows" in ended.said
    yesterday.stays()
    # What people said tonight lies in the lake already: who opted out is taken off, and nothing else moves.
    assert "0 added, 0 updated" in shop.run(yesterday.home, "deliver", "coupon_news", **yesterday.env).said
    assert {body["action"] for body in yesterday.bodies} == {"remove"}
    assert "up to date" in shop.run(yesterday.home, "deliver", "coupon_news", **yesterday.env).said
    alone = shop.run(yesterday.home, "materialize", LAST, "published/generation", code=1)
    assert "has not passed the" in alone.said or "does not hold a finished build" in alone.said
    shop.run(yesterday.home, "materialize", LAST, "lists/coupon_news", **yesterday.env)
    assert current_id(yesterday.home) == yesterday.generation
    assert {body["action"] for body in yesterday.bodies} == {"remove"}

    file.write_bytes(right)
    spoilt.nightly(yesterday.home, LAST, "--accept-changed", "--dry-run")
    assert current_id(yesterday.home) != yesterday.generation


@pytest.mark.soak
def test_many_times_the_usual_volume_holds_the_night(yesterday: Yesterday, spoilt: FlowShop) -> None:
    write_events(spoilt.drops(LAST) / EVENTS, [{**event, "id": f"{event['id']}Y"} for event in events_of(LAST, ["U0001"], 900)])
    ended = spoilt.nightly(yesterday.home, LAST, code=1, **yesterday.env)
    assert "events.volume_is_usual" in ended.said
    yesterday.stays()


def test_a_refused_file_holds_the_night(yesterday: Yesterday, spoilt: FlowShop) -> None:
    file = spoilt.drops(LAST) / "orders.csv"
    file.write_text(file.read_text(encoding="utf-8").replace("payable", "to_pay"), encoding="utf-8")
    ended = spoilt.nightly(yesterday.home, LAST, code=1, **yesterday.env)
    cause = "deliveries.sample_shop_files_are_accepted: not true that no file of sample_shop is refused (orders.csv: the column payable is missing"
    assert cause in ended.said.splitlines()[-1]
    yesterday.stays()
    assert "orders.csv" in spoilt.run(yesterday.home, "quarantine", "list", "--tonight").said
    assert "orders.csv" not in spoilt.run(yesterday.home, "quarantine", "list", "--night", EVE).said
    doctor = spoilt.run(yesterday.home, "doctor", code=1).said
    for words in (
        f"✗ night {LAST} is held",
        cause,
        "file is refused: orders.csv",
        f"{LAST} is in the lake, but the newest night published is {EVE}",
    ):
        assert words in doctor, words
    [line] = (yesterday.home / "alerts.log").read_text(encoding="utf-8").splitlines()
    assert f"held (home): night {LAST}" in line and cause in line


OWN_MODEL = """
models:
  - name: buyers_who_never_were
    description: One row per order, though there must be none.
    columns: [{name: user_id, data_type: string, description: Who bought}]
    data_tests: [holds: {arguments: {expression: "false"}}]
"""


def test_a_failing_test_of_an_own_model_holds_the_night(yesterday: Yesterday, shop: FlowShop, tmp_path: Path) -> None:
    mine = shop_with(tmp_path / "mine", {})
    (mine / "models").mkdir()
    (mine / "models" / "buyers_who_never_were.sql").write_text("select user_id from {{ ref('user_orders') }}\n", encoding="utf-8")
    (mine / "models" / "mine.yml").write_text(OWN_MODEL, encoding="utf-8")
    ended = shop.nightly(yesterday.home, LAST, code=1, USEROPS_SHOP=str(mine), **yesterday.env)
    assert "buyers_who_never_were" in ended.said
    assert "yesterday's tables stay" in ended.said
    yesterday.stays()
    alone = shop.run(yesterday.home, "materialize", LAST, "published/generation", code=1)
    assert "does not hold a finished build" in alone.said
    yesterday.stays()


def test_a_refused_rule_holds_the_night_before_anything_is_built(yesterday: Yesterday, shop: FlowShop, tmp_path: Path) -> None:
    mine = shop_with(tmp_path / "mine", {})
    edit(mine / "rules", "tags", "redemption_count_90d >= 2", "no_such_feature >= 2")
    built = (yesterday.home / "warehouse" / "userops.duckdb").stat().st_mtime_ns
    ended = shop.nightly(yesterday.home, LAST, code=1, USEROPS_SHOP=str(mine), **yesterday.env)
    assert "The rules are refused" in ended.said
    assert "no_such_feature" in ended.said
    assert (yesterday.home / "warehouse" / "userops.duckdb").stat().st_mtime_ns == built
    yesterday.stays()
    assert "no_such_feature" in shop.run(yesterday.home, "rules", "check", code=1, USEROPS_SHOP=str(mine)).said


@pytest.mark.parametrize("file", ["exports/audiences.parquet", "user_profile.parquet"])
def test_a_generation_with_a_flipped_bit_is_not_delivered(shop: FlowShop, clean: Path, file: str) -> None:
    path = clean / "published" / "current" / file
    os.chmod(path, 0o644)
    content_before = bytearray(path.read_bytes())
    content_before[len(content_before) // 2] ^= 4
    path.write_bytes(content_before)
    before = sent(clean)
    with listening() as (tool, bodies):
        assert "cannot be trusted" in shop.run(clean, "deliver", code=1, **tool.env).said
        assert "cannot be trusted" in shop.run(clean, "materialize", LAST, "lists/coupon_news", code=1, **tool.env).said
        assert (sent(clean), bodies) == (before, [])
    doctor = shop.run(clean, "doctor", code=1).said
    assert "cannot be trusted" in doctor
    assert "userops generations activate" in doctor
