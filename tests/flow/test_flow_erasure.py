"""A person who asks to be erased: no byte of the home names them any more, the tools are told, and nobody else is touched.

Add a place of the home where a person can stand by planting them there. What a record can look like is in tests/erase/test_erasure.py.
"""

from __future__ import annotations

import csv
import gzip
import json
import sqlite3
from pathlib import Path

import pytest
from canaries import scan
from flow_harness import FIRST, KILLED, LAST, FlowShop, ask, listening

from userops_pipeline.ground.home import Home
from userops_pipeline.intake.conform import conform
from userops_pipeline.intake.landing import land
from userops_pipeline.intake.source import load_source


class Somebody:
    """A user of the shop, and what names them in its files, one value of every kind."""

    def __init__(self, shop: FlowShop, user: str) -> None:
        self.user, found = user, {"user_no": user}
        for file in shop.folder.rglob("*.csv"):
            text = file.read_bytes().decode("gb18030" if file.name == "users.csv" else "utf-8")
            for row in csv.DictReader(text.splitlines(), delimiter=";" if file.name == "campaigns.csv" else ","):
                if row.get("user_no") == user:
                    named = ("nickname", "mobile", "email", "contact", "order_no", "message_id", "coupon_id", "refund_id", "why")
                    found |= {name: row[name].strip() for name in named if len(row.get(name, "").strip()) > 2}
        for file in shop.folder.rglob("*.jsonl.gz"):
            events = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
            found |= {event["name"]: event["id"] for event in events if event["user_no"] == user}
        self.words = set(found.values())

    def plant(self, home: Path) -> None:
        """Where no step of ours writes anybody, and somebody's own model or message may."""
        with open(home / "alerts.log", "a", encoding="utf-8") as handle:
            handle.write(f"2026-03-16 something about {self.user}\n2026-03-16 all is well\n")
        (home / "published" / "reviews" / "own.html").write_text(f"<p>{self.user}</p>")
        with sqlite3.connect(next((home / "dagster").rglob("runs.db"))) as con:
            con.execute("create table if not exists note (text varchar)")
            con.execute("insert into note values (?)", [json.dumps({"said": f"row of {self.user}"})])


def others(home: Path, user: str) -> list[tuple]:
    """What of everybody else does not depend on the person: who they are and what they did."""
    counts = "registered_at, region, order_count, spend_amount, item_count, event_count, touch_count, redemption_count, ticket_count"
    return ask(home, f"select user_id, {counts} from user_profile where user_id <> '{user}' order by user_id")


def on_the_tool(home: Path, tool_lists: dict[str, set[str]]) -> tuple[str, str, str]:
    """(list, match value, user) of somebody whom a tool has."""
    [(name, value, user)] = ask(
        home,
        f"select audience, match_value, user_id from read_parquet('{home}/published/current/exports/audiences.parquet') "
        "where tool = 'webhook' order by all limit 1",
    )
    assert value in tool_lists[name]
    return name, value, user


def test_an_erased_person_is_nowhere_and_everybody_else_is_as_before(shop: FlowShop, eve: Path, tmp_path: Path) -> None:
    with listening() as (tool, bodies):
        shop.run(eve, "deliver", **tool.env)
        name, value, user = on_the_tool(eve, tool.lists)
        person, members, kept = Somebody(shop, user), set(tool.lists[name]), others(eve, user)
        person.plant(eve)
        planted = scan(eve, person.words)
        for place in (
            "lake/landing",
            "lake/raw",
            "warehouse/userops.duckdb",
            "published/generations",
            "exports",
            "dagster",
            "alerts.log",
            "published/reviews",
        ):
            assert any(path.startswith(place) for path in planted.hits), place
        bodies.clear()
        said = shop.run(eve, "erase", "--user", user, **tool.env).said
        assert tool.lists[name] == members - {value}
        assert {body["action"] for body in bodies} == {"remove"}
    found = scan(eve, person.words)
    assert found.hits == {}
    assert found.bytes > 5_000_000
    assert "all is well" in (eve / "alerts.log").read_text()
    assert others(eve, user) == kept
    assert "orders" in said
    assert not any(word in said for word in person.words)
    assert ask(eve, f"select count(*) from user_profile where user_id = '{user}'") == [(0,)]
    assert "nothing keeps a night" in shop.run(eve, "doctor").said

    # A late file with the same person: neither the lake nor its landing takes them in again.
    late = shop.other(tmp_path / "late")
    (late.drops(LAST) / "users.csv").write_bytes((shop.drops(FIRST) / "users.csv").read_bytes())
    home, source = Home(eve), load_source(str(late.source))
    land(home, source, [LAST])
    conform(home, source, [LAST])
    assert scan(eve, person.words).hits == {}


@pytest.mark.soak
@pytest.mark.parametrize(
    "point",
    [
        "erase:after_texts",
        "erase:after_tombstones",
        "forget:after_file",
        "erase:after_lake",
        "erase:after_warehouse",
        "publish:after_symlink",
        "erase:after_rebuild",
    ],
)
def test_killed_anywhere_the_same_command_ends_it(shop: FlowShop, eve: Path, point: str) -> None:
    with listening() as (tool, _):
        shop.run(eve, "deliver", **tool.env)
        name, value, user = on_the_tool(eve, tool.lists)
        person, members, kept = Somebody(shop, user), set(tool.lists[name]), others(eve, user)
        person.plant(eve)
        shop.run(eve, "erase", "--user", user, code=KILLED, USEROPS_KILL_AT=point, **tool.env)
        assert "give the same `userops erase` command again" in shop.run(eve, "doctor", code=1).said
        shop.run(eve, "erase", "--user", user, **tool.env)
        assert tool.lists[name] == members - {value}
    assert scan(eve, person.words).hits == {}
    assert others(eve, user) == kept
