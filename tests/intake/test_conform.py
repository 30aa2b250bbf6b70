"""Conform: the lake is a function of what landed, whatever the order, the split or the crash; and a night tells how far back it reaches."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from userops_pipeline.ground import contract
from userops_pipeline.ground.home import PROJECT_DIR, UserOpsError
from userops_pipeline.ground.lake import nights_in_quarantine, quarantined
from userops_pipeline.intake.conform import conform
from userops_pipeline.intake.nights import conformed_nights

NIGHTS = ["2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"]
HEAD = "order_id,user_id,at,amount,currency,status\n"
USER_HEAD = "user_id,registered,name,email,phone,birth\n"


def order(number: int, at: str, *, amount: str = "10.00", status: str = "paid", user: str = "u1") -> str:
    return f"o{number},{user},{at} 10:00:00,{amount},CNY,{status}\n"


def user(number: int, registered: str, *, name: str = "n", birth: str = "") -> str:
    return f"u{number},{registered} 09:00:00,{name},,,{birth}\n"


def a_lively_week(shop: Any) -> None:
    """New and changed users, orders in new states, late ones, duplicates, conflicts and dirt, over four nights."""
    chance = random.Random(7)
    number = 0
    for index, night in enumerate(NIGHTS):
        shop.drop(night, "users.csv", USER_HEAD + user(index, night) + (user(0, NIGHTS[0], name="renamed") if index == 2 else ""))
        rows = []
        for _ in range(12):
            number += 1
            rows.append(order(number, night, amount=f"{chance.randrange(100, 9999) / 100:.2f}", user=f"u{chance.randrange(index + 1)}"))
        rows += [
            rows[0],
            order(number, night, amount="1.00"),
            order(900 + index, NIGHTS[max(0, index - 2)]),
            order(950 + index, night, amount="x"),
        ]
        if index:
            rows.append(order(index, NIGHTS[0], status="completed"))
        shop.drop(night, "orders.csv", HEAD + "".join(rows))


def content(shop: Any) -> dict[str, list[tuple]]:
    return {table: shop.content(table) for table in ("users", "orders")}


def windows(shop: Any) -> dict[str, str]:
    return {str(night.night): str(night.reach.window_from) for night in conformed_nights(shop.home)}


def rows_from(shop: Any) -> dict[str, str]:
    return {str(night.night): str(night.reach.rows_from) for night in conformed_nights(shop.home)}


# -- the lake is a function of what landed -----------------------------------------------------------------------------


def test_the_same_night_twice_gives_the_same_bytes(shop: Any) -> None:
    a_lively_week(shop)
    shop.run(*NIGHTS)
    before = shop.lake_bytes()
    shop.run(*NIGHTS)
    assert shop.lake_bytes() == before
    shop.run(NIGHTS[2])
    assert shop.lake_bytes() == before


def test_nights_one_by_one_are_one_backfill(new_shop: Callable) -> None:
    one_by_one, at_once = new_shop(name="one"), new_shop(name="all")
    for shop in (one_by_one, at_once):
        a_lively_week(shop)
    for night in NIGHTS:
        one_by_one.run(night)
    at_once.run(*NIGHTS)
    assert one_by_one.lake_bytes() == at_once.lake_bytes()


def test_nights_conformed_in_groups_are_nights_conformed_together(new_shop: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    shops = {name: new_shop(name=name) for name in ("together", "grouped")}
    groups: list[str] = []
    for name, shop in shops.items():
        a_lively_week(shop)
        monkeypatch.setattr("userops_pipeline.intake.conform.ROWS_AT_ONCE", 40 if name == "grouped" else 10**9)
        shop.land(*NIGHTS)
        accounts = conform(shop.home, shop.source, [date.fromisoformat(night) for night in NIGHTS], progress=groups.append)
        assert [(account.table, account.night) for account in accounts] == sorted((account.table, account.night) for account in accounts)
    assert sum("orders" in said and " to " in said for said in groups) == 2
    assert shops["grouped"].lake_bytes() == shops["together"].lake_bytes()


def test_the_order_of_nights_and_of_records_does_not_matter(new_shop: Callable) -> None:
    shuffled, sorted_shop = new_shop(name="shuffled"), new_shop(name="sorted")
    for shop in (shuffled, sorted_shop):
        a_lively_week(shop)
    for index, night in enumerate(NIGHTS):
        head, *rows = (shuffled.drops / night / "orders.csv").read_text().splitlines(keepends=True)
        random.Random(index).shuffle(rows)
        shuffled.drop(night, "orders.csv", head + "".join(rows))
    sorted_shop.run(*NIGHTS)
    for night in reversed(NIGHTS):
        shuffled.run(night)
    assert content(shuffled) == content(sorted_shop)
    assert sorted(shuffled.aside(), key=str) == sorted(sorted_shop.aside(), key=str)


def test_the_version_a_mapping_states_decides_which_record_is_newer(new_shop: Callable) -> None:
    log = 'select order_id, user_id, "at" as ordered_at, status, amount, currency, _file, _row, _night, _row as _version from orders'
    rows = order(1, NIGHTS[0], amount="9.00", status="placed") + order(1, NIGHTS[0], amount="5.00", status="paid")
    by_line, by_content = new_shop(name="log", mappings={"orders": log}), new_shop(name="table")
    for shop in (by_line, by_content):
        shop.drop(NIGHTS[0], "orders.csv", HEAD + rows)
        shop.run(NIGHTS[0])
    assert by_line.ask("select amount::varchar from {orders}") == [("5.00",)]
    assert by_content.ask("select amount::varchar from {orders}") == [("9.00",)]


def test_one_file_or_two_is_the_same_lake(new_shop: Callable) -> None:
    whole, split = new_shop(name="whole"), new_shop(name="split")
    a_lively_week(whole)
    for night in NIGHTS:
        for kind in ("users", "orders"):
            head, *rows = (whole.drops / night / f"{kind}.csv").read_text().splitlines(keepends=True)
            middle = len(rows) // 2
            split.drop(night, f"{kind}_1.csv", head + "".join(rows[:middle]))
            split.drop(night, f"{kind}_2.csv", head + "".join(rows[middle:]))
    accounts = [[(e.table, e.night, e.rows_in, e.kept, e.quarantined, e.duplicates) for e in shop.run(*NIGHTS)] for shop in (whole, split)]
    assert accounts[0] == accounts[1]
    assert content(whole) == content(split)
    assert whole.aside() == split.aside()


def test_a_delivery_and_a_copy_of_itself_is_the_delivery(new_shop: Callable) -> None:
    once, twice = new_shop(name="once"), new_shop(name="twice")
    for shop in (once, twice):
        a_lively_week(shop)
    for night in NIGHTS:
        whole = (twice.drops / night / "orders.csv").read_text()
        twice.drop(night, "orders_again.csv", whole + order(999, night, amount="y"))
    once.run(*NIGHTS)
    accounts = twice.run(*NIGHTS)
    assert content(once) == content(twice)
    assert all(entry.rows_in == entry.kept + entry.quarantined + entry.duplicates for entry in accounts)


def test_a_record_taken_back_by_its_sender_leaves_the_lake(shop: Any) -> None:
    shop.drop(NIGHTS[0], "orders.csv", HEAD + order(1, NIGHTS[0]) + order(2, NIGHTS[0], amount="x"))
    shop.run(NIGHTS[0])
    assert (len(shop.content("orders")), len(shop.aside())) == (1, 1)
    shop.drop(NIGHTS[0], "orders.csv", HEAD)
    shop.land(NIGHTS[0], accept_changed=True)
    shop.conform(NIGHTS[0])
    assert (shop.content("orders"), shop.aside()) == ([], [])
    assert not list(shop.home.raw.glob("orders/arrived_on=2026*"))


@pytest.mark.parametrize("point", ["conform:before_files", "conform:after_files"])
def test_a_process_killed_in_conform_leaves_nothing_that_the_next_run_does_not_mend(new_shop: Callable, point: str) -> None:
    clean, killed = new_shop(name="clean"), new_shop(name="killed")
    for shop in (clean, killed):
        a_lively_week(shop)
        shop.run(*NIGHTS[:2])
    clean.run(*NIGHTS[2:])
    killed.land(*NIGHTS[2:])
    code = (
        "import sys; from datetime import date; from pathlib import Path\n"
        "from userops_pipeline.intake.conform import conform; from userops_pipeline.ground.home import Home\n"
        "from userops_pipeline.intake.source import load_source\n"
        "conform(Home(Path(sys.argv[1])), load_source(sys.argv[2]), [date.fromisoformat(night) for night in sys.argv[3:]])\n"
    )
    environment = {**os.environ, "USEROPS_KILL_AT": point, "PYTHONPATH": str(PROJECT_DIR)}
    died = subprocess.run(
        [sys.executable, "-c", code, str(killed.home.root), str(killed.folder), *NIGHTS[2:]], env=environment, check=False
    )
    assert died.returncode == -signal.SIGKILL
    assert (killed.lake_bytes() == clean.lake_bytes()) is False
    # only the last night is asked for: the other pending one is remembered
    killed.conform(NIGHTS[3])
    assert killed.lake_bytes() == clean.lake_bytes()


# -- how far back a night reaches --------------------------------------------------------------------------------------


def test_a_night_of_its_own_rows_reaches_back_to_nothing(shop: Any) -> None:
    for night in NIGHTS[:3]:
        shop.drop(night, "orders.csv", HEAD + order(int(night[-2:]), night))
        shop.run(night)
    assert windows(shop) == {night: night for night in NIGHTS[:3]}


def test_a_late_row_reaches_back_to_its_own_date(shop: Any) -> None:
    shop.drop(NIGHTS[3], "orders.csv", HEAD + order(1, NIGHTS[1]))
    shop.run(NIGHTS[0], NIGHTS[3])
    assert windows(shop)[NIGHTS[3]] == NIGHTS[1]


def test_a_version_with_a_later_date_reaches_back_to_the_older_one(shop: Any) -> None:
    shop.drop(NIGHTS[1], "orders.csv", HEAD + order(1, NIGHTS[1]))
    shop.drop(NIGHTS[3], "orders.csv", HEAD + order(1, NIGHTS[3], status="completed"))
    shop.run(NIGHTS[0])
    shop.run(NIGHTS[1])
    shop.run(NIGHTS[3])
    assert windows(shop)[NIGHTS[3]] == NIGHTS[1]


@pytest.mark.parametrize(
    ("before", "after", "reached"),
    [
        ({"status": "placed"}, {"status": "completed"}, NIGHTS[3]),  # a purchase before and after
        ({"status": "completed"}, {"status": "refunded"}, NIGHTS[1]),  # none any more, from its day on
        ({"status": "cancelled"}, {"status": "refunded"}, NIGHTS[1]),  # another act of that day
        ({"amount": "10.00"}, {"amount": "12.00"}, NIGHTS[1]),
        ({"user": "u1"}, {"user": "u2"}, NIGHTS[1]),
        ({}, {}, NIGHTS[3]),
    ],
    ids=["delivered", "sent back", "called off and paid back", "of another amount", "of somebody else", "told again"],
)
def test_a_changed_order_reaches_back_to_the_purchase_it_changes(shop: Any, before: dict, after: dict, reached: str) -> None:
    shop.drop(NIGHTS[1], "orders.csv", HEAD + order(1, NIGHTS[1], **before))
    shop.drop(NIGHTS[3], "orders.csv", HEAD + order(1, NIGHTS[1], **after) + order(2, NIGHTS[3]))
    shop.run(*NIGHTS)
    assert windows(shop)[NIGHTS[3]] == reached
    assert rows_from(shop)[NIGHTS[3]] == NIGHTS[1], "staging replaces the row where it stands"


COUPON = {"incentive_id": "i1", "user_id": "u1", "issued_at": f"{NIGHTS[0]} 10:00:00", "value": "5"}


@pytest.mark.parametrize(
    ("before", "after", "reached"),
    [
        ({}, {"used_at": f"{NIGHTS[2]} 10:00:00", "order_id": "o1", "cost": "5"}, NIGHTS[2]),
        ({}, {"claimed_at": f"{NIGHTS[1]} 10:00:00", "used_at": f"{NIGHTS[2]} 10:00:00"}, NIGHTS[1]),
        ({"used_at": f"{NIGHTS[2]} 10:00:00"}, {"used_at": f"{NIGHTS[1]} 10:00:00"}, NIGHTS[1]),
        ({"used_at": f"{NIGHTS[2]} 10:00:00"}, {}, NIGHTS[2]),  # taken back
        ({"used_at": f"{NIGHTS[2]} 10:00:00"}, {"used_at": f"{NIGHTS[2]} 10:00:00", "order_id": "o1"}, NIGHTS[2]),
        ({}, {"order_id": "o1"}, NIGHTS[3]),  # of a use that is not told yet
        ({}, {"used_at": "2026-02-27 10:00:00"}, NIGHTS[0]),  # by a wrong clock, before it was issued
        ({}, {"used_at": f"{NIGHTS[2]} 10:00:00", "value": "6"}, NIGHTS[0]),
    ],
    ids=["used", "claimed and used", "used earlier", "not used", "on an order", "of no use", "by a wrong clock", "worth more"],
)
def test_a_coupon_reaches_back_to_what_became_of_it(new_shop: Callable, before: dict, after: dict, reached: str) -> None:
    columns = ["incentive_id", "user_id", "issued_at", "claimed_at", "used_at", "order_id", "value", "cost"]
    shop = new_shop(
        files={"incentives": {"path": "{night}/incentives*", "columns": columns}},
        tables={"incentives": {"each": "incentives"}},
        mappings={"incentives": f"select {', '.join(columns)}, _file, _row, _night from incentives"},
    )
    for night, changed in ((NIGHTS[2], before), (NIGHTS[3], after)):
        row = {**COUPON, **changed}
        shop.drop(night, "incentives.csv", ",".join(columns) + "\n" + ",".join(row.get(column, "") for column in columns) + "\n")
    shop.run(*NIGHTS)
    assert (windows(shop)[NIGHTS[3]], rows_from(shop)[NIGHTS[3]]) == (reached, NIGHTS[0])


def test_a_night_that_comes_late_makes_those_after_it_reach_further(shop: Any) -> None:
    """Built as of the night between, the order is called off; as of the night after it, it is a purchase again."""
    shop.drop(NIGHTS[1], "orders.csv", HEAD + order(1, NIGHTS[1]))
    shop.drop(NIGHTS[3], "orders.csv", HEAD + order(1, NIGHTS[1]) + order(2, NIGHTS[3]))
    shop.run(NIGHTS[0], NIGHTS[1], NIGHTS[3])
    assert windows(shop)[NIGHTS[3]] == NIGHTS[3]
    shop.drop(NIGHTS[2], "orders.csv", HEAD + order(1, NIGHTS[1], status="cancelled"))
    shop.run(NIGHTS[2])
    assert windows(shop)[NIGHTS[3]] == NIGHTS[1]


def test_what_a_contract_says_of_its_dates_can_be_so() -> None:
    """A moment is a time of a table with rows that happen; what is dated by one names one of its own; what is alike are words of the list."""
    for table in contract.tables().values():
        moments = [column.name for column in table.columns if column.moment]
        assert not moments or (table.at and table.staged == "whole" and {table.column(name).type for name in moments} == {"timestamp"})
        for column in table.columns:
            assert column.dated_by is None or column.dated_by in moments, (table.name, column.name)
            assert set(column.alike) <= set(column.only), (table.name, column.name)
            assert not (column.name in table.key and column.dated_by), (table.name, column.name)


def test_a_changed_sign_up_reaches_back_to_the_earlier_of_both_and_a_changed_name_to_nothing(shop: Any) -> None:
    shop.drop(NIGHTS[1], "users.csv", USER_HEAD + user(1, NIGHTS[1]) + user(2, NIGHTS[1]))
    shop.drop(NIGHTS[2], "users.csv", USER_HEAD + user(1, NIGHTS[1], name="other"))
    shop.drop(NIGHTS[3], "users.csv", USER_HEAD + user(2, NIGHTS[2]))
    shop.run(*NIGHTS)
    assert windows(shop)[NIGHTS[2]] == NIGHTS[2]
    assert windows(shop)[NIGHTS[3]] == NIGHTS[1]


def test_a_user_who_arrives_after_the_orders_reaches_back_to_the_first_of_them(shop: Any) -> None:
    shop.drop(NIGHTS[1], "orders.csv", HEAD + order(1, NIGHTS[1], user="u5"))
    shop.drop(NIGHTS[3], "users.csv", USER_HEAD + user(5, NIGHTS[3]))
    for night in NIGHTS:
        shop.run(night)
    assert windows(shop)[NIGHTS[3]] == NIGHTS[1]


def test_a_night_conformed_again_with_other_content_reaches_back_over_all_it_may_have_touched(shop: Any) -> None:
    shop.drop(NIGHTS[1], "orders.csv", HEAD + order(1, NIGHTS[1]))
    shop.drop(NIGHTS[3], "orders.csv", HEAD + order(2, NIGHTS[0]))
    shop.run(*NIGHTS)
    shop.drop(NIGHTS[3], "orders.csv", HEAD + order(2, NIGHTS[3]))
    shop.land(NIGHTS[3], accept_changed=True)
    shop.conform(NIGHTS[3])
    assert windows(shop)[NIGHTS[3]] == NIGHTS[0]


# -- quarantine --------------------------------------------------------------------------------------------------------


def test_quarantine_names_the_place_and_no_value_and_heals_when_the_mapping_is_mended(shop: Any) -> None:
    shop.drop(NIGHTS[1], "orders.csv", HEAD + order(1, NIGHTS[1]) + order(2, NIGHTS[1], amount="€ 7.50"))
    shop.run(NIGHTS[1])
    (reason,) = quarantined(shop.home)
    assert (reason.table, reason.column, reason.rows, reason.example_file, reason.example_row) == (
        "orders",
        "amount",
        1,
        f"{NIGHTS[1]}/orders.csv",
        2,
    )
    assert "7.50" not in repr(reason)
    assert nights_in_quarantine(shop.home) == [date(2026, 3, 2)]
    shop.map("orders", (shop.folder / "orders.sql").read_text().replace(" amount", " replace(amount, '€ ', '') as amount"))
    shop.conform(NIGHTS[1])
    assert quarantined(shop.home) == []
    assert shop.ask("select sum(amount)::varchar from {orders}") == [("17.50",)]


def test_what_is_set_aside_keeps_the_whole_record_as_it_came(shop: Any) -> None:
    shop.drop(NIGHTS[1], "orders.csv", HEAD + order(2, NIGHTS[1], amount="€ 7.50"))
    shop.run(NIGHTS[1])
    (file,) = shop.home.quarantine.rglob("*.parquet")
    assert file.stat().st_mode & 0o077 == 0, "quarantine holds personal values"
    (record,) = shop.ask(f"select record from read_parquet('{file}', hive_partitioning = false)")[0]
    assert '"amount":"€ 7.50"' in record


# -- choices of a source -----------------------------------------------------------------------------------------------


def test_exact_duplicates_can_be_kept(new_shop: Callable) -> None:
    shop = new_shop(tables={"users": {}, "orders": {"exact_duplicates": "keep"}})
    shop.drop(NIGHTS[0], "orders.csv", HEAD + order(1, NIGHTS[0]) * 3 + order(2, NIGHTS[0]))
    entry = shop.run(NIGHTS[0])[0]
    assert (entry.kept, entry.duplicates) == (4, 0)
    assert shop.ask("select list(order_id order by order_id) from {orders}") == [(["o1", "o1~2", "o1~3", "o2"],)]


def derived_users(name: str, new_shop: Callable) -> Any:
    shop = new_shop(
        name=name,
        files={"orders": {"path": "{night}/orders*", "columns": HEAD.strip().split(",")}},
        tables={"users": {"known_keys": "skip"}, "orders": {"each": "orders"}},
        mappings={
            "users": 'select user_id, min("at") as registered_at, min(_file) as _file, min(_row) as _row, _night from orders group by user_id, _night'
        },
    )
    for night, buyers in zip(NIGHTS, (["a"], ["a", "b"], ["c", "b"], ["a", "c", "d"]), strict=True):
        shop.drop(night, "orders.csv", HEAD + "".join(order(int(night[-2:]) * 10 + i, night, user=buyer) for i, buyer in enumerate(buyers)))
    return shop


def test_a_user_known_from_an_earlier_night_stays_as_first_seen_and_counts_as_duplicate(new_shop: Callable) -> None:
    shop = derived_users("a", new_shop)
    entries = [entry for entry in shop.run(*NIGHTS) if entry.table == "users"]
    assert shop.ask("select user_id, arrived_on::varchar from {users} order by 1") == [
        ("a", NIGHTS[0]), ("b", NIGHTS[1]), ("c", NIGHTS[2]), ("d", NIGHTS[3]),
    ]  # fmt: skip
    assert [(entry.rows_in, entry.kept, entry.duplicates) for entry in entries] == [(1, 1, 0), (2, 1, 1), (2, 1, 1), (3, 1, 2)]


def test_known_users_are_the_same_one_by_one_at_once_and_again(new_shop: Callable) -> None:
    one_by_one, at_once = derived_users("one", new_shop), derived_users("all", new_shop)
    for night in NIGHTS:
        one_by_one.run(night)
    at_once.run(*NIGHTS)
    before = at_once.lake_bytes()
    assert one_by_one.lake_bytes() == before
    at_once.run(NIGHTS[1])
    assert at_once.lake_bytes() == before


def test_a_mended_earlier_night_takes_its_users_back_from_the_later_ones(new_shop: Callable) -> None:
    shop = derived_users("a", new_shop)
    shop.run(*NIGHTS)
    shop.drop(NIGHTS[0], "orders.csv", HEAD + order(1, NIGHTS[0], user="d") + order(2, NIGHTS[0], user="b"))
    shop.land(NIGHTS[0], accept_changed=True)
    shop.conform(NIGHTS[0])
    assert shop.ask("select user_id, arrived_on::varchar from {users} order by 1") == [
        ("a", NIGHTS[1]), ("b", NIGHTS[0]), ("c", NIGHTS[2]), ("d", NIGHTS[0]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("select order_id, _file, _row, _night from orders", "does not give user_id|does not give"),
        (
            'select order_id, "at" as ordered_at, status, amount, currency, 1 as colour, _file, _row, _night from orders',
            "gives colour, which the contract",
        ),
        ("-- what is not there\nselect order_id,\n    nothing\nfrom orders;\n", r"orders.sql cannot be run \(line 3\)"),
        ("\n\nselect order_id\n  fron orders o p", r"orders.sql is not SQL \(.*, line 4\)"),
        (
            'select order_id, "at" as ordered_at, status, amount::int as amount, currency, _file, _row, _night from orders',
            "failed on the data",
        ),
        (
            "select order_id, \"at\" as ordered_at, status, amount, currency, _file, _row, _night from orders where amount <> 'x'",
            "makes 1 rows of 2 records",
        ),
    ],
)
def test_a_wrong_mapping_is_told_with_its_file_and_writes_nothing(shop: Any, sql: str, sentence: str) -> None:
    shop.map("orders", sql)
    shop.drop(NIGHTS[0], "orders.csv", HEAD + order(1, NIGHTS[0]) + order(2, NIGHTS[0], amount="x"))
    with pytest.raises(UserOpsError, match=sentence) as fault:
        shop.run(NIGHTS[0])
    assert str(fault.value).startswith("shop/orders.sql ")
    assert not list(shop.home.raw.glob("orders/arrived_on=2026*"))


def test_a_time_after_the_night_an_archives_row_counts_for_is_told_with_what_helps(new_shop: Callable) -> None:
    """Orders are paid days after they are placed; what the sentence says is then done, and nothing is set aside."""
    columns = "order_id,placed,paid,amount\n"
    mapping = "select order_id, placed as ordered_at, paid as paid_at, 'paid' as status, amount, 'CNY' as currency, _file, _row, {} as _night from orders"
    shop = new_shop(
        files={"orders": {"path": "orders.csv", "columns": columns.strip().split(",")}},
        tables={"orders": {"each": "orders"}},
        mappings={"orders": mapping.format("night(placed)")},
    )
    rows = ["o1,2026-03-01 10:00:00,2026-03-02 10:00:00,5", "o2,2026-03-01 10:00:00,,5", "o3,2026-03-02 10:00:00,2026-03-04 01:00:00,5"]
    shop.drop(".", "orders.csv", columns + "\n".join(rows) + "\n")
    shop.run(*NIGHTS)
    ((_, column, reason), again) = shop.aside()
    assert (column, again[2]) == ("paid_at", reason)
    assert reason.startswith("lies after the night its row counts for; in the mapping, let _night be that of the row's latest time: ")
    advice = reason.rpartition(": ")[2]
    shop.map("orders", mapping.format(advice.replace("(a, b)", "(placed, paid)")))
    shop.conform(*NIGHTS)
    assert shop.aside() == []
    assert shop.ask("select order_id, arrived_on::varchar from {orders} order by 1") == [
        ("o1", NIGHTS[1]),
        ("o2", NIGHTS[0]),
        ("o3", NIGHTS[3]),
    ]


def test_phone_and_email_of_a_mapping_are_those_of_users(new_shop: Callable) -> None:
    columns = ["user_id", "phone", "email"]
    shop = new_shop(
        files={"users": {"path": "{night}/users*", "columns": columns}},
        tables={"users": {}, "consents": {}},
        mappings={
            "users": "select user_id, '2026-03-01' as registered_at, phone, email, _file, _row, _night from users",
            "consents": (
                "select user_id, unnest([phone(phone), email(email)]) as contact_point, unnest(['sms', 'email']) as channel, 'marketing' as purpose, "
                "'subscribed' as state, 'asked' as basis, '2026-03-01' as changed_at, _file, _row, _night from users"
            ),
        },
    )
    shop.drop(
        NIGHTS[0], "users.csv", "user_id,phone,email\nu1,(138) 0000-0001, Ann@X.example \nu2,００８６13800000002,jose\u0301@x.example\n"
    )
    shop.run(NIGHTS[0])
    assert shop.ask("select count(*) from {consents}") == [(4,)]
    assert shop.ask(
        "select count(*) from {consents} semi join {users} as u using (user_id) where contact_point in (select unnest([phone, email]) from {users})"
    ) == [(4,)]


# -- what a night was made of ------------------------------------------------------------------------------------------


def test_a_night_is_not_made_again_of_less_than_it_was_made_of(shop: Any) -> None:
    """Without its file the night would be conformed to nothing, and nobody would hear of the rows that were."""
    a_lively_week(shop)
    shop.run(*NIGHTS)
    before = shop.lake_bytes()
    place = next(shop.home.landing.glob("shop/orders/2026-03-02/orders.csv"))
    content, manifest = place.read_bytes(), place.with_name("orders.csv.manifest.json").read_bytes()
    place.write_bytes(content.replace(b"10.00", b"90.00", 1))
    with pytest.raises(UserOpsError, match=r"lake/landing/shop/orders/2026-03-02/orders.csv is not what was landed"):
        shop.conform(NIGHTS[1])
    place.with_name("orders.csv.manifest.json").unlink()
    with pytest.raises(UserOpsError, match=r"orders.csv is gone, although the night of 2026-03-02 was conformed from it"):
        shop.conform(NIGHTS[1])
    assert shop.lake_bytes() == before
    place.write_bytes(content)
    place.with_name("orders.csv.manifest.json").write_bytes(manifest)
    shop.conform(NIGHTS[1])
    assert shop.lake_bytes() == before


# -- versions ----------------------------------------------------------------------------------------------------------

VERSIONED = 'select order_id, user_id, "at" as ordered_at, status, amount, currency, {version} as _version, _file, _row, _night from orders'


def versioned(new_shop: Callable, version: str, *nights: list[str], **changes: Any) -> Any:
    columns = [*HEAD.strip().split(","), "updated"]
    shop = new_shop(
        files={"orders": {"path": "{night}/orders*", "columns": columns}},
        tables={"orders": {"each": "orders"}},
        mappings={"orders": VERSIONED.format(version=version)},
        **changes,
    )
    for night, rows in zip(NIGHTS, nights, strict=False):
        shop.drop(night, "orders.csv", ",".join(columns) + "\n" + "".join(f"o8,u1,2026-03-01 10:00:00,10.00,CNY,{row}\n" for row in rows))
    shop.run(*NIGHTS[: len(nights)])
    return shop


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ("2026-03-02 10:00:00", "2026-03-01 18:00:00"),
        ("2026-03-02T01:00:00+08:00", "2026-03-01 16:00:00"),  # 17:00 in UTC
        ("10", "9"),
        ("-9", "-10"),
        ("2.5", "2"),
        ("20000000000000000000", "3"),
        ("2026-03-02", "2026-03-01 23:59:59"),
    ],
)
def test_an_older_version_that_arrives_on_a_later_night_changes_nothing(new_shop: Callable, newer: str, older: str) -> None:
    """A late message, or an old file sent again; it is counted, and neither splits nor replays change that."""
    nights = [[f"paid,{older}"], [f"refunded,{newer}"], [f"shipped,{older}"], [f"completed,{newer}"]]
    shop = versioned(new_shop, "updated", *nights)
    assert [row[:2] for row in shop.ask("select arrived_on::varchar, status from {orders} order by 1")] == [
        (NIGHTS[0], "paid"), (NIGHTS[1], "refunded"), (NIGHTS[3], "completed"),
    ]  # fmt: skip
    assert [(entry.rows_in, entry.kept, entry.duplicates) for entry in shop.conform(NIGHTS[2])][:1] == [(1, 0, 1)]
    before = shop.lake_bytes()
    shop.conform(NIGHTS[0])
    for night in NIGHTS:
        shop.conform(night)
    assert shop.lake_bytes() == before


def test_what_the_mapping_counts_itself_is_a_version_within_its_night_only(new_shop: Callable) -> None:
    shop = versioned(new_shop, "_row", ["placed,", "placed,", "paid,"], ["refunded,"])
    assert shop.ask("select arrived_on::varchar, status from {orders} order by 1") == [(NIGHTS[0], "paid"), (NIGHTS[1], "refunded")]


def test_a_replayed_earlier_night_makes_later_older_versions_outdated(new_shop: Callable) -> None:
    shop = versioned(new_shop, "updated", ["paid,2026-03-01 10:00:00"], ["shipped,2026-03-02 10:00:00"])
    shop.drop(NIGHTS[0], "orders.csv", HEAD.strip() + ",updated\no8,u1,2026-03-01 10:00:00,10.00,CNY,cancelled,2026-03-05 10:00:00\n")
    shop.land(NIGHTS[0], accept_changed=True)
    shop.conform(NIGHTS[0])
    assert shop.ask("select arrived_on::varchar, status from {orders} order by 1") == [(NIGHTS[0], "cancelled")]


def test_amounts_of_other_currencies_are_converted_by_the_rate_of_their_day_or_set_aside(new_shop: Callable) -> None:
    rates = [
        {"currency": "JPY", "from_on": "2026-02-01", "rate": "0.0067"},
        {"currency": "JPY", "from_on": "2026-03-01", "rate": "0.0065"},
        {"currency": "GBP", "from_on": "2026-03-02", "rate": "1.345678"},
    ]
    mapping = (
        'select order_id, user_id, "at" as ordered_at, status, converted(amount, currency, "at") as amount, \'USD\' as currency, '
        "_file, _row, _night from orders"
    )
    shop = new_shop(currency="USD", rates=rates, mappings={"orders": mapping})
    rows = ["o1,,2026-03-01 10:00:00,100.00,USD", "o2,,2026-03-01 10:00:00,10000,JPY", "o3,,2026-02-28 10:00:00,10000,JPY"]
    rows += ["o4,,2026-03-01 10:00:00,9.99,GBP", "o5,,2026-03-01 10:00:00,1,XXX", "o6,,2026-03-01 10:00:00,much,JPY"]
    shop.drop(NIGHTS[0], "orders.csv", HEAD + "".join(f"{row},paid\n" for row in rows))
    shop.run(NIGHTS[0])
    assert shop.ask("select order_id, amount::varchar from {orders} order by 1") == [("o1", "100.00"), ("o2", "65.00"), ("o3", "67.00")]
    assert shop.aside() == [("orders", "amount", "no rate of its currency on its date (rates in source.yml)")] * 3


def test_an_address_follows_the_newest_row_while_the_first_day_stays(new_shop: Callable) -> None:
    """Users made of orders: a customer who changed the address is reached at the new one, and is no newcomer."""
    columns = ["order_no", "customer", "email", "created"]
    mapping = (
        "select customer as user_id, min(created) as registered_at, max_by(email, created) as email, max_by(_file, created) as _file, "
        "max_by(_row, created) as _row, night(created) as _night from orders group by customer, night(created)"
    )
    shop = new_shop(
        business_zone="Europe/Berlin",
        zone="Europe/Berlin",
        files={"orders": {"path": "orders*", "columns": columns}},
        tables={"users": {"keeps_first": ["registered_at"]}},
        mappings={"users": mapping},
    )
    rows = [
        "A1,c1,c1@old.example,2026-03-01 10:00:00",
        "A2,c1,c1@new.example,2026-03-02T23:30:00Z",
        "A3,c2,c2@x.example,2026-03-03 00:10:00",
    ]
    (shop.drops / "orders.csv").write_text(",".join(columns) + "\n" + "\n".join(rows) + "\n")
    expected = [
        ("2026-03-01", "c1", "2026-03-01 09:00:00", "c1@old.example"),
        ("2026-03-03", "c1", "2026-03-01 09:00:00", "c1@new.example"),
        ("2026-03-03", "c2", "2026-03-02 23:10:00", "c2@x.example"),
    ]
    users = "select arrived_on::varchar, user_id, registered_at::varchar, email from {users} order by 1, 2"
    shop.run(*NIGHTS)
    assert shop.ask(users) == expected
    assert shop.aside() == []
    before = shop.lake_bytes()
    for night in reversed(NIGHTS):
        shop.conform(night)
    assert shop.lake_bytes() == before


def test_a_time_that_the_mapping_had_to_read_has_the_night_of_the_files_clock(new_shop: Callable) -> None:
    """Written day first, as no ISO time is: the mapping reads it, what it cannot read is set aside as it came, on the first night."""
    mapping = (
        "with read as (select *, try_strptime(\"at\", '%d-%m-%Y %H:%M') as placed_at from orders) "
        'select order_id, user_id, coalesce(cast(placed_at as varchar), "at") as ordered_at, status, amount, currency, _file, _row, '
        "night(placed_at) as _night from read"
    )
    shop = new_shop(
        business_zone="Europe/Berlin",
        zone="America/New_York",
        files={"orders": {"path": "orders*", "columns": HEAD.strip().split(",")}},
        tables={"orders": {"each": "orders"}},
        mappings={"orders": mapping},
    )
    rows = ["o1,u1,01-03-2026 17:59,10.00,CNY,paid", "o2,u1,01-03-2026 18:00,10.00,CNY,paid", "o3,u1,03/01/2026,10.00,CNY,paid"]
    (shop.drops / "orders.csv").write_text(HEAD + "\n".join(rows) + "\n")
    shop.run(*NIGHTS)
    found = shop.ask("select arrived_on::varchar, order_id, ordered_at::varchar from {orders} order by 2")
    assert found == [("2026-03-01", "o1", "2026-03-01 22:59:00"), ("2026-03-02", "o2", "2026-03-01 23:00:00")]
    assert shop.aside() == [("orders", "ordered_at", "not an ISO 8601 time (2026-01-31 13:45:00)")]
