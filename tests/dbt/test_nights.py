"""Promises of the build itself: nights in any split give the same tables, and every data test finds the fault it is there for.

Add a kind of late or changed row to the shop when it could make a split differ, and a bad case with every new data test.
Must not know the rules or thresholds of stages and tags: tables are compared with each other, never with numbers.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.dbt_runs import run_dbt
from userops_pipeline.build.warehouse import EVERYTHING, Clock, write_clock
from userops_pipeline.ground import contract

PROJECT = Path(__file__).parents[2] / "dbt_project"
FIRST_ON = date(2024, 1, 1)
ZONE = "America/New_York"


def night(number: int) -> date:
    return FIRST_ON + timedelta(days=number)


def insert(con: duckdb.DuckDBPyConnection, table: str, arrived_on: date, **row: Any) -> None:
    """A raw row; `source_row` counts up, so that of two versions of one night the later inserted wins."""
    row = {"arrived_on": arrived_on, "source_name": "shop", "source_file": "f", **row}
    names = ", ".join(row)
    count = con.sql(f"select count(*) from raw.{table}").fetchall()[0][0]
    con.execute(f"insert into raw.{table} ({names}, source_row) values ({', '.join('?' * len(row))}, {count})", list(row.values()))


def order(con: duckdb.DuckDBPyConnection, number: int, user: str, on: int, arrived: int, status: str = "completed") -> None:
    at = f"{night(on)} 17:00:00"
    insert(con, "orders", night(arrived), order_id=f"o{number}", user_id=user, ordered_at=at, status=status, amount=10 + number % 7,
           discount_amount=number % 3, currency="USD", merchant_id=f"m{number % 4}")  # fmt: skip
    for line in range(1 + number % 3):
        insert(con, "order_items", night(arrived), order_item_id=f"o{number}-{line}", order_id=f"o{number}", ordered_at=at,
               product_id=f"p{(number + line) % 5}", quantity=1, amount=4, discount_amount=0, is_return=False)  # fmt: skip


def event(con: duckdb.DuckDBPyConnection, number: int, on: int, arrived: int, *, user: str | None = None, device: str | None = None,
          name: str = "view") -> None:  # fmt: skip
    insert(con, "events", night(arrived), event_id=f"e{number}", user_id=user, device_id=device, event_at=f"{night(on)} 17:00:00",
           event_name=name)  # fmt: skip


def link(con: duckdb.DuckDBPyConnection, device: str, user: str, on: int, arrived: int) -> None:
    insert(con, "identities", night(arrived), device_id=device, user_id=user, first_seen_at=f"{night(on)} 17:00:00")


def open_shop(path: Path) -> None:
    """Raw tables of forty nights, with everything that may come late or change its mind."""
    con = duckdb.connect(str(path))
    con.execute("create schema raw")
    for table in contract.tables().values():
        con.execute(f"create table raw.{table.name} as {contract.empty_select(table)}")
    con.execute("create table raw.load_accounting (source_name varchar, table_name varchar, arrived_on date, rows_in bigint, rows_kept bigint, rows_quarantined bigint, rows_duplicate bigint)")  # fmt: skip
    for number in range(5):
        insert(con, "products", night(0), product_id=f"p{number}", category=f"c{number % 3}")
    for number in range(8):
        user, since = f"u{number}", number * 2
        insert(con, "users", night(since), user_id=user, registered_at=f"{night(since)} 12:00:00", region="here",
               channel=("ad", "friend", None)[number % 3])  # fmt: skip
        insert(con, "consents", night(since), user_id=user, contact_point=f"point {number}", channel="postal", purpose="marketing",
               state="subscribed", basis="stated", changed_at=f"{night(since)} 12:00:00")  # fmt: skip
        insert(con, "touches", night(since + 9), touch_id=f"t{number}", user_id=user, campaign_id="c1", channel="postal",
               sent_at=f"{night(since + 9)} 15:00:00")  # fmt: skip
        for step, on in enumerate(range(since, 40 - number, 1 + number)):
            order(con, number * 100 + step, user, on, arrived=on)
    order(con, 901, "u7", on=25, arrived=32)  # late
    order(con, 100, "u1", on=2, arrived=33, status="refunded")  # changed its status a month later
    insert(con, "refunds", night(34), refund_id="r1", order_id="o100", user_id="u1", refunded_at=f"{night(34)} 15:00:00", amount=3)
    insert(con, "users", night(31), user_id="u2", registered_at=f"{night(4)} 12:00:00", excluded_as="test")  # found to be a test user
    insert(con, "users", night(33), user_id="u3", registered_at=f"{night(6)} 12:00:00", region="elsewhere")
    insert(con, "consents", night(35), user_id="u4", contact_point="point 4", channel="postal", purpose="marketing", state="unsubscribed",
           basis="stated", changed_at=f"{night(35)} 12:00:00")  # fmt: skip
    insert(con, "users", night(35), user_id="late", registered_at=f"{night(20)} 12:00:00")  # known only after the first order
    order(con, 902, "late", on=21, arrived=21)
    order(con, 903, "late", on=36, arrived=36)

    # Active, dormant, churned and back: `gone` comes back after 35 nights, `old` and `older` bring a history.
    for user, birth_date in (("gone", "1999-02-28"), ("old", "2006-01-20"), ("older", None)):
        insert(con, "users", night(0), user_id=user, registered_at=f"{night(-300)} 12:00:00", birth_date=birth_date, plan="free")
    event(con, 1, on=1, arrived=1, user="gone", device="phone", name="install")
    event(con, 2, on=36, arrived=36, user="gone", device="phone", name="follow")
    order(con, 904, "old", on=-70, arrived=0)
    order(con, 905, "older", on=-200, arrived=0)
    order(con, 906, "older", on=33, arrived=38)  # came back; known five nights late
    order(con, 907, "older", on=-150, arrived=36)  # from before the first night, delivered later
    insert(con, "users", night(34), user_id="old", registered_at=f"{night(-300)} 12:00:00", birth_date="2006-01-20", plan="paid")
    # Levels: reached by one order, given back with a late refund, reached again; a benefit of each kind, one used later.
    insert(con, "users", night(0), user_id="saver", registered_at=f"{night(-200)} 12:00:00")
    insert(
        con,
        "orders",
        night(0),
        order_id="big",
        user_id="saver",
        ordered_at=f"{night(-85)} 17:00:00",
        status="completed",
        amount=700,
        currency="USD",
    )
    insert(
        con,
        "orders",
        night(12),
        order_id="bigger",
        user_id="saver",
        ordered_at=f"{night(12)} 17:00:00",
        status="completed",
        amount=1600,
        currency="USD",
    )
    insert(con, "refunds", night(33), refund_id="r2", order_id="bigger", user_id=None, refunded_at=f"{night(31)} 15:00:00", amount=1550)
    insert(con, "campaigns", night(0), campaign_id="c1", campaign_type="loyalty", starts_on=night(0))
    for number, (user, kind, campaign, on, used) in enumerate((
        ("saver", "coupon", "c1", 1, None), ("saver", "coupon", "c1", 13, 20), ("saver", "gift", None, 14, None), ("u1", "coupon", "c1", 5, 38),
        ("u2", "red_packet", None, 6, 6), ("u3", "coupon", None, 7, None), ("late", "coupon", "c1", 25, None),
    )):  # fmt: skip
        row = {
            "incentive_id": f"i{number}",
            "user_id": user,
            "kind": kind,
            "campaign_id": campaign,
            "issued_at": f"{night(on)} 15:00:00",
            "value": 5,
        }
        insert(con, "incentives", night(on), **row, cost=0)
        if used is not None:
            insert(con, "incentives", night(used), **row, used_at=f"{night(used)} 15:00:00", cost=5)
    # What agents say: for good, for a while, taken back late, over a rule, of a tag nobody knows, of who is not known yet or left out.
    for user, tag, author, on, arrived, action, expires in (
        ("u1", "key_account", "a1", 3, 3, None, None),
        ("u1", "key_account", "a2", 26, 32, "remove", None),
        ("u1", "key_account", "a1", 34, 35, "add", None),
        ("u5", "gift_buyer", "a1", 12, 12, "add", 33),
        ("u5", "gift_buyer", "a2", 20, 20, "add", 38),
        ("u4", "new_user", "a1", 10, 33, "remove", 20),
        ("u4", "active_this_week", "a2", 10, 10, "add", None),
        ("u3", "male_user", "a1", 8, 8, "add", None),
        ("old", "birthday_soon", "a1", 5, 5, "add", None),
        ("u0", "likes_blue", "a1", 5, 5, "add", None),
        ("u2", "key_account", "a1", 9, 9, "add", None),
        ("late", "key_account", "a1", 30, 30, "add", None),
    ):
        insert(con, "manual_tags", night(arrived), user_id=user, tag=tag, author=author, tagged_at=f"{night(on)} 17:00:00", action=action,
               expires_on=None if expires is None else night(expires))  # fmt: skip
    insert(con, "users", night(38), user_id="u3", registered_at=f"{night(6)} 12:00:00", region="elsewhere", gender="female")
    # Devices: seen without a user, seen earlier than first told, linked, of a test user.
    event(con, 3, on=30, arrived=30, device="tablet")
    event(con, 4, on=29, arrived=32, device="tablet")
    event(con, 5, on=5, arrived=5, user="u2", device="of a test user")
    event(con, 6, on=37, arrived=37, user="gone", device="tablet", name="install")
    link(con, "tv", "gone", on=3, arrived=0)
    link(con, "watch", "u1", on=28, arrived=33)
    link(con, "watch", "u4", on=28, arrived=35)
    link(con, "watch", "u1", on=2, arrived=37)
    # A device and its user who make ten thousand events in a day are people, with one more they are a robot; late ones count.
    for device, user, count in (("busy", "u5", 10_000), ("robot", "u6", 10_001)):
        con.execute(
            "insert into raw.events (arrived_on, source_name, source_file, source_row, event_id, user_id, device_id, event_at, event_name) "
            "select ? + case when range = 0 then 2 else 0 end, 'shop', 'f', range, ? || range, ?, ?, ? + interval 12 hour + to_seconds(range), "
            "'view' from range(?)",
            [night(30), device, user, device, night(30), count],
        )
    open_community(con)
    open_subscriptions(con)
    # What is asked and answered: known and not, late, rated a week after it was opened, invited before and after signing up.
    for number, (user, kind, score, on, arrived) in enumerate(
        (
            ("u0", "nps", 9, 3, 3),
            ("u1", "nps", 4, 5, 33),
            (None, "nps", 10, 30, 30),
            ("u2", "nps", 0, 32, 32),  # a test user since the night before
            ("u1", "csat", 8, 31, 32),
        )
    ):
        insert(con, "feedback", night(arrived), feedback_id=f"f{number}", user_id=user, kind=kind, given_at=f"{night(on)} 17:00:00",
               score=score)  # fmt: skip
    insert(con, "tickets", night(24), ticket_id="k1", user_id="u0", opened_at=f"{night(24)} 17:00:00")
    insert(con, "tickets", night(32), ticket_id="k1", user_id="u0", opened_at=f"{night(24)} 17:00:00", satisfaction=3,
           resolved_at=f"{night(31)} 17:00:00")  # fmt: skip
    for number, (invitee, on, arrived) in enumerate((("u6", 10, 10), ("u5", 9, 32), ("late", 36, 36))):
        insert(con, "referrals", night(arrived), referral_id=f"r{number}", inviter_id="u0", invitee_id=invitee, step="scan",
               step_at=f"{night(on)} 17:00:00")  # fmt: skip
    for table in ("users", "orders", "events", "referrals", "feedback", "tickets"):
        con.execute("insert into raw.load_accounting values ('shop', ?, ?, 1, 1, 0, 0)", [table, night(0 if table != "feedback" else 3)])
    con.close()


def open_subscriptions(con: duckdb.DuckDBPyConnection) -> None:
    """What is paid for over time: renewed late, changed, in trial, given back, told late, of a merged account, and orders that are plan payments."""
    for number in range(7):
        insert(con, "users", night(0), user_id=f"s{number}", registered_at=f"{night(-220)} 12:00:00", plan="pro annual")
    for user, name, arrived, start, renews, said in (
        ("s0", "renewed late", 0, -80, 20, {"plan": "basic", "period_unit": "month", "price": 10, "currency": "USD"}),
        ("s0", "renewed late", 24, -80, 50, {"plan": "basic", "period_unit": "month", "price": 10, "currency": "USD"}),
        ("s0", "renewed late", 33, -80, 50, {"plan": "pro", "period_unit": "month", "price": 30, "currency": "USD"}),
        ("s0", "renewed late", 36, -80, 50, {"plan": "pro", "period_unit": "month", "ended_at": f"{night(35)} 12:00:00"}),
        ("s1", "tried", 10, 10, 24, {"plan": "pro", "period_unit": "month", "trial_ends_at": f"{night(24)} 12:00:00"}),
        ("s1", "tried", 33, 10, 54, {"plan": "pro", "period_unit": "month", "trial_ends_at": f"{night(24)} 12:00:00"}),
        ("s2", "told late", 33, -200, 165, {"plan": "pro", "period_unit": "year"}),
        ("s3", "silent", 0, -200, 165, {"plan": "pro", "period_unit": "year", "cancelled_at": f"{night(3)} 12:00:00"}),
        ("s3", "beside it", 5, 5, None, {"plan": "extra", "cancelled_at": None}),
        ("s3", "beside it", 32, 5, None, {"plan": "extra", "cancelled_at": f"{night(31)} 12:00:00"}),
        ("late", "known late", 21, 21, 51, {"plan": "pro", "period_unit": "month"}),
        ("c21", "merged", 10, 10, 70, {"plan": "pro", "period_unit": "month", "period_count": 2}),
    ):
        insert(con, "subscriptions", night(arrived), subscription_id=name, user_id=user, started_at=f"{night(start)} 12:00:00",
               renews_at=None if renews is None else f"{night(renews)} 12:00:00", **said)  # fmt: skip
    for number, user, on, arrived, plan in (
        (950, "s2", -150, 0, None),
        (951, "s4", 2, 2, None),
        (952, "s5", 4, 33, "monthly"),
        (953, "s6", -160, 0, "no period"),
    ):
        insert(con, "orders", night(arrived), order_id=f"o{number}", user_id=user, ordered_at=f"{night(on)} 17:00:00", status="completed",
               amount=100, currency="USD", is_plan=True, plan=plan)  # fmt: skip
    insert(con, "refunds", night(35), refund_id="r3", order_id="o951", user_id="s4", refunded_at=f"{night(34)} 15:00:00", amount=100)


def content(con: duckdb.DuckDBPyConnection, name: str, user: int, kind: str, on: int, arrived: int | None = None, *, about: int | None = None,
            topic: int = 0) -> None:  # fmt: skip
    insert(con, "content", night(on if arrived is None else arrived), content_id=name, user_id=f"c{user}", kind=kind, topic=f"t{topic}",
           parent_id=None if about is None else f"post {about}", created_at=f"{night(on)} 17:00:00")  # fmt: skip


def invitation(con: duckdb.DuckDBPyConnection, inviter: str, invitee: str | None, on: int, arrived: int | None = None) -> None:
    insert(con, "referrals", night(on if arrived is None else arrived), referral_id=f"{inviter} {invitee}", inviter_id=inviter,
           invitee_id=invitee, step="scan", step_at=f"{night(on)} 12:00:00")  # fmt: skip


def open_community(con: duckdb.DuckDBPyConnection) -> None:
    """Twenty-four users who buy, write, react and invite: some late, some of one device, one merged, one left out."""
    for number in range(24):
        since = 8 + number % 5
        insert(con, "users", night(since), user_id=f"c{number}", registered_at=f"{night(since)} 12:00:00", region="there")
        order(con, 2000 + number, f"c{number}", on=15 + number % 20, arrived=15 + number % 20)
        if number != 7:
            content(con, f"post {number}", number, "post", 14 + number % 12, topic=number % 3)
        content(con, f"comment {number}", number, "comment", 27 + number % 9, about=(number + 1) % 24)
        if number > 4:
            content(con, f"like {number}", number, "like", 14 + number, about=0)
    content(con, "post 7", 7, "post", 27, arrived=32)  # late, and liked before it is known
    content(con, "early like", 9, "like", 28, about=7)
    content(con, "before it", 9, "like", 26, about=7)
    content(con, "late like", 10, "like", 26, arrived=32, about=1)
    content(con, "own like", 0, "like", 20, about=0)
    content(con, "share", 11, "share", 30, about=1)
    for number in (3, 4, 5, 6):
        content(con, f"answer {number}", 1, "answer", 20 + number, about=number, topic=1)
        content(con, f"thanks {number}", number, "like", 30 + number, about=1)
    insert(con, "events", night(33), event_id="follows", user_id="c4", event_at=f"{night(33)} 17:00:00", event_name="follow",
           content_id="post 0")  # fmt: skip
    invitation(con, "c0", "c1", on=9)
    invitation(con, "c0", "c21", on=9)
    invitation(con, "c14", "c15", on=8)
    invitation(con, "c14", None, on=9)
    invitation(con, "c16", "u1", on=20)  # was there before
    invitation(con, "c17", "c17", on=13)
    invitation(con, "c18", "c19", on=28, arrived=32)
    for number in range(3, 14):  # eleven in a day
        invitation(con, "c2", f"c{number}", on=8)
    link(con, "of both", "c0", on=13, arrived=13)
    link(con, "of both", "c1", on=29, arrived=32)
    insert(con, "users", night(33), user_id="c20", registered_at=f"{night(8)} 12:00:00", excluded_as="internal")
    insert(con, "users", night(34), user_id="c21", registered_at=f"{night(9)} 12:00:00", merged_into="c22")
    for user, on, state in (("c0", 20, "subscribed"), ("c1", 38, "subscribed"), ("c5", 20, "subscribed"), ("c5", 35, "unsubscribed")):
        insert(con, "consents", night(on), user_id=user, contact_point=f"in_app-{user}", channel="in_app", purpose="service", state=state,
               basis="stated", changed_at=f"{night(on)} 12:00:00")  # fmt: skip


def build(path: Path, as_of: int, window_from: int | None, *, tests: bool = False) -> Path:
    """One dbt build of the shop; gives the folder of compiled SQL."""
    with duckdb.connect(str(path)) as con:
        window = EVERYTHING if window_from is None else night(window_from)
        write_clock(con, Clock(night(as_of), window, window, FIRST_ON, ZONE, full=window_from is None))
    target = path.with_suffix("")
    leave_out = ["--exclude", "resource_type:unit_test"] + ([] if tests else ["resource_type:test"])
    run_dbt(path, "build", *leave_out, target=target)
    return target / "compiled" / "userops"


def tables(path: Path) -> dict[str, tuple[int, int]]:
    """Rows and content hash of everything that is published or sent."""
    with duckdb.connect(str(path), read_only=True) as con:
        names = con.sql(
            "select table_schema || '.' || table_name from information_schema.tables where table_schema in ('marts', 'exports')"
        ).fetchall()
        found = {}
        for (name,) in sorted(names):
            columns = ", ".join(row[0] for row in con.execute(f"describe {name}").fetchall())
            found[name] = con.sql(f"select count(*), sum(hash({columns})) from {name}").fetchall()[0]
        return found


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The shop built in one go, with its data tests."""
    path = tmp_path_factory.mktemp("at_once") / "userops.duckdb"
    open_shop(path)
    return path, build(path, as_of=39, window_from=None, tests=True)


def test_nights_in_any_split_give_the_same_tables(at_once: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "userops.duckdb"
    open_shop(path)
    build(path, as_of=31, window_from=None)
    before = tables(path)
    build(path, as_of=32, window_from=25)  # a late order
    assert tables(path) != before
    build(path, as_of=31, window_from=25)  # a past night again: what came later is gone
    assert tables(path) == before
    build(path, as_of=39, window_from=-150)  # the rest at once, back to an order from before the first night
    assert tables(path) == tables(at_once[0])
    assert tables(path)["marts.user_lifecycle_history"][0] > 8
    with duckdb.connect(str(path), read_only=True) as con:  # the shop has every move there is
        moves = {
            move for (move,) in con.execute("select distinct move from intermediate.int_user_standing where move is not null").fetchall()
        }
    assert moves == {"new", "dormant", "churned", "resurrected", "removed"}
    with duckdb.connect(str(path), read_only=True) as con:
        assert con.sql("select subject, subject_id, reason, from_on from intermediate.int_robot order by 1").fetchall() == [
            ("device", "robot", "too_many_events", night(30)),
            ("user", "u6", "too_many_events", night(30)),
        ]
        assert con.sql(
            "select count(*) filter (where user_id = 'u5'), count(*) from intermediate.int_event where device_id in ('busy', 'robot')"
        ).fetchall() == [(10_000, 10_000)]
        assert con.sql("select max(night_on) from intermediate.int_user_features where user_id = 'u6'").fetchall() == [(night(29),)]


def test_tag_spells_are_the_nights_on_which_users_carried_the_tag(at_once: tuple[Path, Path]) -> None:
    """The history against the panel, night by night, which a build from nothing holds for all nights."""
    with duckdb.connect(str(at_once[0]), read_only=True) as con:
        tags = [name for name, kind in con.execute("select column_name, data_type from information_schema.columns where table_name = 'user_tags'").fetchall() if kind == "BOOLEAN"]  # fmt: skip
        carried = f"select user_id, night_on, tag from (unpivot intermediate.int_user_state on {', '.join(tags)} into name tag value is_on) where is_on"
        spelled = (
            "select h.user_id, n.night_on, h.tag from marts.user_tag_history h join intermediate.int_night n "
            "on n.night_on >= h.from_on and (h.to_on is null or n.night_on < h.to_on)"
        )
        assert con.sql(f"select count(*) from ({carried})").fetchall()[0][0] > 1000
        assert con.sql(f"({carried} except all {spelled}) union all ({spelled} except all {carried})").fetchall() == []
        assert con.sql(
            "select user_id, tag, source, author, from_on, to_on from marts.user_tag_history "
            "where source = 'manual' or (user_id, tag) in (('u4', 'active_this_week'), ('u4', 'new_user')) order by user_id, tag, from_on"
        ).fetchall() == [
            ("late", "key_account", "manual", "a1", night(35), None),
            ("u1", "key_account", "manual", "a1", night(3), night(26)),
            ("u1", "key_account", "manual", "a1", night(34), None),
            ("u2", "key_account", "manual", "a1", night(9), night(31)),  # until found to be a test user
            ("u3", "male_user", "manual", "a1", night(8), night(38)),  # until the user has declared otherwise
            ("u4", "active_this_week", "rule", None, night(8), night(10)),
            ("u4", "active_this_week", "manual", "a2", night(10), None),
            ("u4", "new_user", "rule", None, night(8), night(10)),
            ("u4", "new_user", "rule", None, night(20), night(39)),
            ("u5", "gift_buyer", "manual", "a1", night(12), night(20)),
            ("u5", "gift_buyer", "manual", "a2", night(20), night(38)),
        ]
        assert con.sql("select tagged_user_id, tag, author, outcome from marts.manual_tag_outcomes order by all").fetchall() == [
            ("late", "key_account", "a1", "in_force"),
            ("old", "birthday_soon", "a1", "rule_first"),
            ("u0", "likes_blue", "a1", "unknown_tag"),
            ("u1", "key_account", "a1", "in_force"),
            ("u1", "key_account", "a1", "replaced"),
            ("u1", "key_account", "a2", "replaced"),
            ("u2", "key_account", "a1", "unknown_user"),
            ("u3", "male_user", "a1", "rule_first"),
            ("u4", "active_this_week", "a2", "in_force"),
            ("u4", "new_user", "a1", "expired"),
            ("u5", "gift_buyer", "a1", "replaced"),
            ("u5", "gift_buyer", "a2", "expired"),
        ]


def asked(engine: Any, con: duckdb.DuckDBPyConnection, metric: str, *by: str) -> dict[tuple[Any, ...], float]:
    """What MetricFlow answers: the metric by these names, without what it could not measure."""
    from metricflow.engine.metricflow_engine import MetricFlowQueryRequest

    sql = engine.explain(MetricFlowQueryRequest.create(metric_names=[metric], group_by_names=list(by))).sql_statement.sql
    return {tuple(row[:-1]): float(row[-1]) for row in con.execute(sql).fetchall() if row[-1] is not None and None not in row[:-1]}


def told(con: duckdb.DuckDBPyConnection, metric: str, grain: str, dimension: str) -> dict[tuple[Any, ...], float]:
    """What metrics_daily says, rolled up as `adds` says."""
    rows = con.execute(
        "with rows as (select *, date_trunc($grain, night_on)::timestamp as period_at from marts.metrics_daily where metric = $metric) "
        "select period_at, value, adds, sum(numerator), sum(denominator), "
        "sum(numerator) filter (where night_on = (select max(night_on) from rows as each where each.period_at = rows.period_at)) "
        "from rows where dimension = $dimension group by all",
        {"grain": grain, "metric": metric, "dimension": dimension},
    ).fetchall()
    # MetricFlow has no mean of sums: users of a night stay user-days there.
    value = {
        "count": lambda row: row[3],
        "daily": lambda row: row[3],
        "rate": lambda row: row[3] / row[4] if row[4] else None,
        "stock": lambda row: row[5],
    }
    answers = {(row[0], *(() if dimension == "total" else row[1:2])): value[row[2]](row) for row in rows}
    return {key: float(answer) for key, answer in answers.items() if answer is not None}


def test_metricflow_answers_the_numbers_of_metrics_daily(at_once: tuple[Path, Path], semantic_manifest: str) -> None:
    """Every metric in total by day, week and month, and by channel, asked of the semantic models over the published tables."""
    from metricflow.engine.metricflow_engine import MetricFlowEngine
    from metricflow.protocols.sql_client import SqlEngine
    from metricflow.sql.render.duckdb_renderer import DuckDbSqlPlanRenderer
    from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest
    from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup

    class Client:
        sql_engine_type, sql_plan_renderer = SqlEngine.DUCKDB, DuckDbSqlPlanRenderer()

    engine = MetricFlowEngine(SemanticManifestLookup(parse_manifest_from_dbt_generated_manifest(semantic_manifest)), Client())
    with duckdb.connect(str(at_once[0]), read_only=True) as con:
        metrics = con.execute("select distinct metric, family from marts.metrics_daily order by all").fetchall()
        assert len(metrics) > 20
        for metric, family in metrics:
            for grain in ("day", "week", "month"):
                answers = told(con, metric, grain, "total")
                assert answers, metric
                assert asked(engine, con, metric, f"metric_time__{grain}") == pytest.approx(answers, rel=1e-12), (metric, grain)
            if family != "retention":
                answers = asked(engine, con, metric, "metric_time__month", "cell__channel")
                known = {key: value for key, value in told(con, metric, "month", "channel").items() if value}
                assert {key: value for key, value in answers.items() if value} == pytest.approx(known, rel=1e-12), metric


def test_the_scorecard_says_what_cannot_be_measured(at_once: tuple[Path, Path]) -> None:
    with duckdb.connect(str(at_once[0]), read_only=True) as con:
        cards = con.execute(
            "select metric, period_on, status, reason, metric_value from marts.goal_scorecard where grain = 'month' order by all"
        ).fetchall()
    assert {metric: reason for metric, on, status, reason, _ in cards if on == FIRST_ON and status == "not_measurable"} == {
        "net_promoter_score": "its denominator is below 10",
        "next_month_repurchase": "nothing to measure in the period",
        "satisfaction_rate": "nothing to measure in the period",
        "ticket_satisfaction_rate": "nothing to measure in the period",
    }
    assert {status for _, on, status, _, _ in cards if on != FIRST_ON} <= {"on_track", "at_risk", "not_measurable"}


def test_every_unit_test_of_a_model_passes(at_once: tuple[Path, Path], tmp_path: Path) -> None:
    """The nightly build leaves them out: they say nothing of a night's data."""
    ran = run_dbt(at_once[0], "test", "--select", "test_type:unit", target=tmp_path).result.results
    assert len(ran) > 50
    assert {str(row.status) for row in ran} == {"pass"}


BAD_CASES = [
    ("assert_one_stage_per_user_and_night", "delete from marts.user_lifecycle_history where user_id = 'u1'"),
    ("assert_spells_neither_overlap_nor_gap", "update marts.user_lifecycle_history set from_on = from_on + 1 where to_on is null"),
    ("assert_lifecycle_flows_reconcile", "update marts.lifecycle_flow_daily set left_count = left_count + 1 where entered_count > 0"),
    (
        "assert_lifecycle_transitions_reconcile",
        "update marts.lifecycle_transitions_daily set from_stage = to_stage where night_on = date '2024-02-01'",
    ),
    (
        "assert_one_plan_state_per_user_and_night",
        "update marts.plan_transitions_daily set user_count = user_count + 1 where from_plan_state = 'outside'",
    ),
    (
        "assert_rfm_history_is_the_group_of_every_night",
        "update marts.user_rfm_history set from_on = from_on - 1 where user_id = 'u1' and to_on is null",
    ),
    ("assert_one_tier_and_level_per_user_and_night", "update marts.user_membership set level = 'gold' where user_id = 'u1'"),
    ("assert_every_benefit_is_counted_once", "update marts.membership_benefits set used_count = used_count + 1 where issued_count > 0"),
    ("assert_nobody_who_has_paid_is_lost", "update marts.user_churn_risk set band = 'overdue' where user_id = 's3'"),
    ("assert_nobody_who_has_paid_is_lost", "update marts.user_profile set plan_state = 'lapsed_paid' where user_id = 's3'"),
    ("assert_profile_has_every_user", "delete from marts.user_profile where user_id = 'u1'"),
    ("assert_every_order_is_published", "update marts.user_orders set amount = amount + 0.01 where order_id = 'o1'"),
    ("assert_shares_lie_between_0_and_1", "update intermediate.int_user_features set discount_share = 1.000001 where user_id = 'u1'"),
    ("assert_members_are_the_last_step", "insert into marts.segment_members values ('win_back', 'nobody')"),
    (
        "assert_user_counts_reconcile",
        "update marts.user_counts_daily set churned_opening_count = churned_opening_count + 1, newly_churned_count = newly_churned_count - 1 where night_on = date '2024-02-01'",
    ),
    (
        "assert_structure_adds_up_to_the_counts",
        "update marts.user_structure_daily set dau_count = dau_count + 1 where night_on = date '2024-02-01' and dimension = 'plan' and value = 'free'",
    ),
    (
        "assert_period_lifecycles_reconcile",
        "update marts.period_lifecycle set returning_count = returning_count + 1, dormant_count = dormant_count - 1 where grain = 'week' and period_on = date '2024-01-15' and dimension = 'plan' and value = 'unknown'",
    ),
    (
        "unique_together_int_event_event_id__event_on",
        "insert into intermediate.int_event by name select * replace (event_on - 30 as event_on) from intermediate.int_event where user_id = 'u5' limit 1",
    ),
    ("assert_value_chain_names_the_next_step", "update marts.user_tags set next_key_behaviour = 'first_order' where user_id = 'u1'"),
    (
        "assert_metrics_equal_their_sources",
        "update marts.metric_counts_daily set revenue_amount = revenue_amount + 0.01 where night_on = date '2024-02-01' and dimension = 'plan' and value = 'free'",
    ),
    ("assert_every_event_is_in_a_session", "delete from intermediate.int_sessions where user_id = 'u5'"),
    (
        "assert_contributions_add_up",
        "update marts.user_contribution set contribution_share = contribution_share + 0.000002, share_from_spend = share_from_spend + 0.000002 where user_id = 'c1'",
    ),
    ("assert_experts_are_asked_only_with_consent", "update marts.expert_directory set is_contactable = true where user_id = 'c5'"),
    (
        "assert_order_lines_share_the_date_of_their_order",
        "update staging.stg_order_items set ordered_on = ordered_on + 1 where order_id = 'o1'",
    ),
    (
        "assert_one_stage_per_user_and_night",
        "insert into marts.user_lifecycle_history select * from marts.user_lifecycle_history where user_id = 'u1'",
    ),
    ("assert_one_plan_state_per_user_and_night", "delete from marts.user_plan_history where user_id = 'u1'"),
    ("assert_rfm_history_is_the_group_of_every_night", "update marts.user_rfm_history set rfm_group = null where user_id = 'u1'"),
    ("assert_one_tier_and_level_per_user_and_night", "update marts.user_tier_history set tier = 'none' where user_id = 'u1'"),
    (
        "assert_one_tier_and_level_per_user_and_night",
        "insert into marts.user_membership_history select * from marts.user_membership_history where user_id = 'u1'",
    ),
]


@pytest.mark.parametrize(("name", "fault"), BAD_CASES, ids=[name for name, _ in BAD_CASES])
def test_a_data_test_finds_its_fault(at_once: tuple[Path, Path], name: str, fault: str) -> None:
    path, compiled = at_once
    (file,) = compiled.rglob(f"{name}.sql")
    test = file.read_text(encoding="utf-8")
    with duckdb.connect(str(path)) as con:
        assert con.execute(test).fetchall() == []
        con.begin()
        con.execute(fault)
        found = con.execute(test).fetchall()
        con.rollback()
    assert found


# Model, and what is done to it: every `holds` of the model finds one of these, and each of these is found.
SPOILT = {
    "user_counts_daily": [
        "registered_removed_count = registered_removed_count + 1",
        "newly_dormant_count = newly_dormant_count + 1",
        "unactivated_count = unactivated_count + 1",
        "dau_count = mau_count + 1",
        "paying_repeat_count = paying_repeat_count + 1",
        "won_back_count = won_back_count - 1",
        "new_device_count = device_count + 1",
    ],
    "user_structure_daily": [
        "registered_moved_count = registered_moved_count + 1",
        "active_moved_count = active_moved_count + 1",
        "dormant_count = dormant_count + 1",
        "wau_count = mau_count + 1",
        "paying_first_count = paying_first_count + 1",
    ],
    "user_behaviour": [
        "active_days_7d = active_days_30d + 1",
        "preferred_hour = 24",
        "second_category_share = 1, second_category = 'x'",
        "gap_median_days = gap_p90_days + 1",
    ],
    "user_subscriptions": ["paid_from_on = started_on - 1"],
    "subscription_history": ["to_on = from_on"],
    "int_paid_spell": ["to_on = from_on"],
    "int_user_standing": ["idle_days_before = idle_days"],
    "period_lifecycle": ["resurrecting_count = resurrecting_count + 1", "idle_2_3_count = idle_2_3_count + 1"],
    "period_stage": ["user_count = 0"],
    "retention_cohorts": ["returned_count = cohort_size + 1"],
    "metric_counts_daily": ["invited_new_count = registered_new_count + 1", "nps_net_count = nps_answer_count + 1"],
    "metrics_daily": ["metric_value = null"],
    "goal_scorecard": [
        "reason = 'x', status = 'met', metric_value = 1",
        "is_complete = true, status = 'on_track', reason = null, metric_value = 1",
    ],
    "retention_curve": ["simple_share = 1.000001"],
    "cohort_value": ["refund_amount = refund_amount + 0.01"],
    "user_survival": ["survival_share = -0.000001"],
    "survival_monthly": ["churned_count = user_count + 1"],
    "user_tag_history": ["to_on = from_on", "author = null", "rule_version = null"],
    "tag_quality": ["manual_count = manual_count + 1", "holds_for = 'all'", "overlap_jaccard = 1.1"],
    "segment_personas": ["eligibility = 'eligible', p_value = null", "base_user_count = 0, user_count = 1"],
    "segment_sizes_daily": ["removed_count = -1", "kind = 'include'"],
    "user_rfm": ["r = 6", "previous_group = rfm_group, changed_on = date '2024-02-01'"],
    "user_membership": ["is_in_grace = true, is_qualified = true"],
    "membership_benefits": ["used_count = issued_count + 1"],
    "int_referral": ["screened_on = null"],
    "expert_directory": ["is_contactable = not is_contactable"],
    "contribution_concentration": ["gini = 1.01"],
    "user_churn_risk": ["has_churned = (band <> 'churned')", "reason_zh = null"],
    "churn_precursors": ["churned_with_count = with_count + 1", "is_precursor = true"],
    "key_behaviours": ["outcome_with_count = with_count + 1", "verdict = 'holds'"],
    "value_chain_progress": ["is_next = true", "done_count = needed_count - 1"],
    "lifecycle_thresholds": ["late_gap_days = overdue_gap_days + 1"],
}


@pytest.mark.parametrize("model", SPOILT)
def test_every_condition_a_table_holds_finds_its_fault(at_once: tuple[Path, Path], model: str) -> None:
    path, compiled = at_once
    tests = {file.name: file.read_text(encoding="utf-8") for file in compiled.rglob(f"holds_{model}_*.sql")}
    found: dict[str, set[str]] = {fault: set() for fault in SPOILT[model]}
    schema = "intermediate" if model.startswith("int_") else "marts"
    with duckdb.connect(str(path)) as con:
        assert [name for name, test in tests.items() if con.execute(test).fetchall()] == []
        for fault in SPOILT[model]:
            con.begin()
            con.execute(f"update {schema}.{model} set {fault}")
            found[fault] = {name for name, test in tests.items() if con.execute(test).fetchall()}
            con.rollback()
    assert [fault for fault, names in found.items() if not names] == []
    assert set(tests) - set().union(*found.values()) == set()
