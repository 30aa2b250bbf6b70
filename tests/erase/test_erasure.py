"""Erasure in the lake: an erased person's records leave landing, raw and quarantine, in every format, and do not come back.

Add a way in which a record can name somebody. Must not build a warehouse: tests/flow/test_flow_erasure.py goes through the whole home.
"""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from canaries import MAIL, PERSON, PHONE, every_table, scan

from tests.small_shop import Shop
from userops_pipeline.erase import erasure
from userops_pipeline.erase.erasure import Journal, Request
from userops_pipeline.ground import contract, tombstones
from userops_pipeline.ground.home import Home, UserOpsError
from userops_pipeline.intake.landing import manifests

NIGHT, LATE = "2026-03-01", "2026-03-02"
USERS = """user_id,registered,name,email,phone,birth
CANARY-U1,2026-02-01 10:00:00,CANARY-anna,CANARY-Anna@Example.com,13800138000,1990-01-01
U2,2026-02-01 10:00:00,"Ben, the
second",ben@example.com,13900139000,1990-01-01
U3,2026-02-01 10:00:00,Eve,not an address of CANARY-anna@example.com,13700137000,1990-01-01
"""
ORDERS = """order_id,user_id,at,amount,currency,status
CANARY-O1,CANARY-U1,2026-02-20 10:00:00,120.00,EUR,paid
O2,U2,2026-02-20 10:00:00,30.00,EUR,paid
CANARY-O3,CANARY-U1,2026-02-20 10:00:00,-1,EUR,paid
"""
CANARIES = ["canary", "13800138000"]


def erase(shop: Shop, *users: str, addresses: tuple[str, ...] = ()) -> erasure.Person:
    """What the command does to the lake."""
    person = erasure.resolve(shop.home, [shop.source], Request(frozenset(users), frozenset(addresses)))
    tombstones.add(shop.home, person.stones({shop.source.phone_prefix}))
    erasure.clean_lake(shop.home, [shop.source], lambda _: None)
    return person


@pytest.fixture
def filled(shop: Shop) -> Shop:
    shop.drop(NIGHT, "users.csv", USERS)
    shop.drop(NIGHT, "orders.csv", ORDERS)
    shop.run(NIGHT)
    return shop


def test_no_byte_of_the_lake_names_an_erased_person_and_everybody_else_is_as_before(filled: Shop) -> None:
    assert len(scan(filled.home.root, CANARIES).hits) > 5  # the search finds what is there
    others = [row for row in filled.content("orders") if "CANARY" not in row[1]]
    erase(filled, "CANARY-U1")
    found = scan(filled.home.root, CANARIES)
    assert (found.hits, found.bytes > 5_000) == ({}, True)
    assert filled.content("orders") == others
    assert [row[1] for row in filled.content("users")] == ["U2"]
    assert filled.aside() == []
    [(path, manifest)] = manifests(filled.home, filled.source, "users", date.fromisoformat(NIGHT))
    assert (manifest.rows, manifest.erased) == (1, 2)
    assert path.read_text() == USERS.splitlines(keepends=True)[0] + "".join(USERS.splitlines(keepends=True)[2:4])


def test_of_a_person_in_every_column_of_every_table_no_byte_stays(new_shop: Callable[..., Shop]) -> None:
    document, mappings, drops = every_table()
    shop = new_shop(mappings=mappings, **document)
    for name, content in drops.items():
        shop.drop(NIGHT, name, content)
    shop.run(NIGHT)
    planted = scan(shop.home.root, [MAIL, PHONE, "canary"])
    tables = set(contract.tables())
    assert {table for table in tables if any(f"landing/shop/{table}/" in path for path in planted.hits)} == tables
    own = {
        table: shop.ask(f"select count(*) from {{{table}}} where contains(t::text, 'CANARY')".replace(f"{{{table}}}", f"{{{table}}} as t"))
        for table in tables
    }
    assert {table for table, [(rows,)] in own.items() if not rows} <= {"products", "campaigns", "channel_costs"}
    others = {table: [row for row in shop.content(table) if "canary" not in str(row).lower()] for table in tables}
    erase(shop, PERSON)
    found = scan(shop.home.root, [MAIL, PHONE, PHONE[3:], "canary"])
    assert (found.hits, found.bytes > 20_000) == ({}, True)
    assert {table: shop.content(table) for table in tables} == others


def test_the_delivery_it_came_from_is_known_again_and_not_loaded(filled: Shop) -> None:
    erase(filled, "CANARY-U1")
    assert {outcome.outcome for outcome in filled.land(NIGHT)} == {"seen"}
    before = filled.lake_bytes()
    filled.conform(NIGHT)
    assert filled.lake_bytes() == before
    filled.drop(NIGHT, "users.csv", USERS + "U4,2026-02-01 10:00:00,Dan,dan@example.com,,\n")
    assert "refused" in {outcome.outcome for outcome in filled.land(NIGHT)}
    assert scan(filled.home.root, CANARIES).hits == {}  # a refused file is not kept any more: nobody can tell who is in it
    filled.land(NIGHT, accept_changed=True)
    filled.conform(NIGHT)
    assert [row[1] for row in filled.content("users")] == ["U2", "U4"]
    assert scan(filled.home.root, CANARIES).hits == {}


def test_a_late_file_with_the_same_person_stays_out_however_it_names_them(filled: Shop) -> None:
    erase(filled, "CANARY-U1")
    filled.drop(
        LATE,
        "users.csv",
        USERS + "N1,2026-02-01 10:00:00,New,Anna <canary-ANNA@example.com>,,\nN2,2026-02-01 10:00:00,Other,,+86 138 0013 8000,\n",
    )
    filled.drop(
        LATE,
        "orders.csv",
        ORDERS + "CANARY-O9,CANARY-U1,2026-02-20 10:00:00,9.00,EUR,paid\nCANARY-O1,,2026-02-20 10:00:00,120.00,EUR,paid\n",
    )
    accounts = filled.run(LATE)
    assert scan(filled.home.root, CANARIES).hits == {}
    assert [(row[0].isoformat(), row[1]) for row in filled.content("users")] == [(NIGHT, "U2"), (LATE, "U2")]
    assert [row[1] for row in filled.content("orders")] == ["O2", "O2"]
    assert {account.table: (account.rows_in, account.kept, account.quarantined) for account in accounts} == {
        "users": (1, 1, 0),
        "orders": (1, 1, 0),
    }


def test_only_who_is_named_is_remembered_and_only_as_a_keyed_hash(filled: Shop) -> None:
    erase(filled, "CANARY-U1")
    stones = tombstones.Tombstones.of(filled.home)
    assert stones.has("user", "CANARY-U1")
    assert not stones.has("user", "U2")
    assert (filled.home.erasures / "key").stat().st_mode & 0o777 == 0o600
    (filled.home.erasures / "key").unlink()
    with pytest.raises(UserOpsError, match="restore the folder erasures"):
        filled.conform(NIGHT)


def test_a_lifted_tombstone_lets_a_new_sign_up_in(filled: Shop) -> None:
    erase(filled, "CANARY-U1")
    again = "user_id,registered,name,email,phone,birth\nN1,2026-03-02 10:00:00,Anna,CANARY-anna@example.com,,\n"
    filled.drop(LATE, "users.csv", again)
    filled.run(LATE)
    assert [row[1] for row in filled.content("users")] == ["U2"]
    assert erasure.forgive(filled.home, [filled.source], Request(addresses=frozenset({"canary-anna@EXAMPLE.com"}))) == 1
    filled.drop("2026-03-03", "users.csv", again)
    filled.run("2026-03-03")
    assert [row[1] for row in filled.content("users")] == ["U2", "N1"]


def test_an_address_that_somebody_else_has_too_stays_with_them(new_shop: Callable[..., Shop]) -> None:
    shop = new_shop()
    shop.drop(NIGHT, "users.csv", USERS + "U5,2026-02-01 10:00:00,Tom,canary-anna@example.com,,\n")
    shop.drop(NIGHT, "orders.csv", ORDERS)
    shop.run(NIGHT)
    person = erase(shop, "CANARY-U1")
    assert (person.counts["shared_addresses"], person.users) == (1, {"CANARY-U1"})
    assert [row[1] for row in shop.content("users")] == ["U2", "U5"]
    assert [row[1] for row in shop.content("orders")] == ["O2"]
    by_address = erase(shop, addresses=("CANARY-anna@example.com",))
    assert by_address.users == {"U5"}
    assert scan(shop.home.root, CANARIES).hits == {}


def test_what_was_said_against_an_address_that_stays_is_still_heard(new_shop: Callable[..., Shop]) -> None:
    consents = ["user_id", "contact_point", "channel", "purpose", "state", "basis", "changed_at"]
    shop = new_shop(
        files={"consents": {"path": "{night}/consents.csv", "columns": consents}},
        tables={"consents": {"each": "consents"}},
        mappings={"consents": f"select {', '.join(consents)}, _file, _row, _night from consents"},
    )
    rows = [
        "CANARY-U1,shared@example.com,email,marketing,unsubscribed,consent,2026-02-03",
        "CANARY-U1,shared@example.com,email,service,subscribed,consent,2026-02-03",
        "U2,Shared@example.com,email,marketing,subscribed,consent,2026-02-04",
        "U3,ben@example.com,email,marketing,subscribed,consent,2026-02-04",
    ]
    shop.drop(NIGHT, "consents.csv", "\n".join([",".join(consents), *rows]))
    shop.run(NIGHT)
    erase(shop, "CANARY-U1")
    assert scan(shop.home.root, CANARIES).hits == {}
    heard = shop.ask("select user_id, contact_point, channel, purpose, said_at, reason from {suppressions}")
    assert heard == [(None, "shared@example.com", "email", "marketing", None, "suppressed")]


@pytest.mark.parametrize(
    ("settings", "write"),
    [
        ({"encoding": "utf-16"}, lambda text: text.encode("utf-16")),
        ({"delimiter": ";"}, lambda text: ("\ufeff" + text.replace(",", ";")).replace("\n", "\r\n").encode()),
        ({"path": "{night}/users*.gz"}, lambda text: gzip.compress(text.encode())),
        ({}, lambda text: text.rstrip("\n").replace("\n", "\n\n").encode()),
    ],
)
def test_a_file_keeps_its_shape(new_shop: Callable[..., Shop], settings: dict[str, Any], write: Callable[[str], bytes]) -> None:
    columns = ["user_id", "registered", "name", "email", "phone", "birth"]
    shop = new_shop(files={"users": {"path": "{night}/users*", "columns": columns} | settings}, tables={"users": {"each": "users"}})
    header = "user_id,registered,name,email,phone,birth\n"
    ours = "U2,2026-02-01 10:00:00,本,ben@example.com,,\n"
    theirs = "CANARY-U1,2026-02-01 10:00:00,安娜,canary-anna@example.com,,\n"
    name = "users.csv.gz" if "path" in settings else "users.csv"
    shop.drop(NIGHT, name, write(header + ours + theirs + ours.replace("U2", "U3") + theirs.replace("U1", "U7")))
    shop.run(NIGHT)
    erase(shop, "CANARY-U1", "CANARY-U7")
    assert [row[1] for row in shop.content("users")] == ["U2", "U3"]
    [(path, _)] = manifests(shop.home, shop.source, "users", date.fromisoformat(NIGHT))
    assert scan(shop.home.root, CANARIES).hits == {}
    content, expected = path.read_bytes(), write(header + ours + ours.replace("U2", "U3"))
    if name.endswith(".gz"):
        content, expected = gzip.decompress(content), gzip.decompress(expected)
    assert [line for line in content.split(b"\n") if line] == [line for line in expected.split(b"\n") if line]


def test_json_lines_and_parquet_lose_the_same_records(new_shop: Callable[..., Shop], tmp_path: Path) -> None:
    shop = new_shop(
        files={
            "users": {
                "path": "{night}/users.parquet",
                "format": "parquet",
                "columns": ["user_id", "registered", "score"],
                "extra_columns": "keep",
            },
            "orders": {"path": "{night}/orders.jsonl", "format": "jsonl", "columns": ["order_id", "user_id", "at", "amount", "props"]},
            "visits": {"path": "{night}/visits.csv", "columns": ["user_id", "seen"]},  # no mapping makes a row of it
        },
        mappings={
            "users": "select user_id, registered as registered_at, _file, _row, _night from users",
            "orders": "select order_id, user_id, \"at\" as ordered_at, 'paid' as status, amount, 'EUR' as currency, _file, _row, _night from orders",
        },
    )
    table = tmp_path / "users.parquet"
    query = (
        "select if(range % 3 = 0, 'CANARY-U' || range, 'U' || range) as user_id, timestamp '2026-02-01 10:00:00' as registered, "
        "range::double as score, {'note': user_id} as more from range(9)"
    )
    duckdb.execute(f"copy ({query}) to '{table}'")
    shop.drop(NIGHT, "users.parquet", table.read_bytes())
    lines = [
        {"order_id": f"O{n}", "user_id": "CANARY-U0" if n < 2 else "U1", "at": "2026-02-20", "amount": "1", "props": {"a": n}}
        for n in range(3)
    ]
    lines.append({**lines[2], "order_id": "O7", "props": {"to": "gift for CANARY-anna@example.com"}})
    shop.drop(NIGHT, "orders.jsonl", "\n".join(json.dumps(line) for line in lines))
    shop.drop(NIGHT, "visits.csv", "user_id,seen\nU1,2026\nCANARY-U3,2026\nCANARY-U3,2027\n")
    shop.run(NIGHT)
    erase(shop, "CANARY-U0", "CANARY-U3", "CANARY-U6", addresses=("canary-anna@example.com",))
    assert scan(shop.home.root, CANARIES).hits == {}
    assert len(shop.content("users")) == 6
    assert [row[1] for row in shop.content("orders")] == ["O2"]
    [(path, _)] = manifests(shop.home, shop.source, "users", date.fromisoformat(NIGHT))
    kept, schema = (duckdb.execute(f"{what} from read_parquet('{path}')").fetchall() for what in ("select *", "describe"))
    assert (len(kept), schema) == (6, duckdb.execute(f"describe from read_parquet('{table}')").fetchall())


def test_nobody_left_in_a_file_leaves_an_empty_one(new_shop: Callable[..., Shop]) -> None:
    shop = new_shop(
        files={"orders": {"path": "{night}/orders.jsonl", "format": "jsonl", "columns": ["order_id", "user_id", "at", "amount"]}},
        tables={"orders": {"each": "orders"}},
        mappings={
            "orders": "select order_id, user_id, \"at\" as ordered_at, 'paid' as status, amount, 'EUR' as currency, _file, _row, _night from orders"
        },
    )
    shop.drop(NIGHT, "orders.jsonl", json.dumps({"order_id": "1", "user_id": "CANARY-U1", "at": "2026-02-20", "amount": "1"}) + "\n")
    shop.run(NIGHT)
    erase(shop, "CANARY-U1")
    assert shop.content("orders") == []
    assert [account.rows_in for account in shop.run(NIGHT)] == [0]


def test_what_left_the_totals_is_told_per_table_and_night(filled: Shop) -> None:
    person = erasure.resolve(filled.home, [filled.source], Request(users=frozenset({"CANARY-U1"})))
    tombstones.add(filled.home, person.stones({"+86"}))
    left = erasure.clean_lake(filled.home, [filled.source], lambda _: None)
    night = date.fromisoformat(NIGHT)
    assert left == [("orders", night, 1, Decimal("120.00")), ("users", night, 1, None)]
    assert erasure.clean_lake(filled.home, [filled.source], lambda _: None) == []


def test_an_account_merged_into_the_erased_one_is_the_same_person(new_shop: Callable[..., Shop]) -> None:
    columns = ["user_id", "registered", "into"]
    shop = new_shop(
        files={"users": {"path": "{night}/users*", "columns": columns}},
        tables={"users": {"each": "users"}},
        mappings={"users": 'select user_id, registered as registered_at, "into" as merged_into, _file, _row, _night from users'},
    )
    shop.drop(NIGHT, "users.csv", "user_id,registered,into\nA,2026-02-01,B\nB,2026-02-01,C\nC,2026-02-01,\nD,2026-02-01,\n")
    shop.run(NIGHT)
    assert erase(shop, "B").users == {"A", "B", "C"}
    assert [row[1] for row in shop.content("users")] == ["D"]


def test_files_that_nobody_can_read_any_more_stop_it_before_it_begins(filled: Shop) -> None:
    erasure.refuse_unknown(filled.home, [filled.source])
    with pytest.raises(UserOpsError, match="name all sources"):
        erasure.refuse_unknown(filled.home, [])
    filled.document["files"]["people"] = filled.document["files"].pop("users")
    filled.document["tables"]["users"] = {"each": "people"}
    filled.configure()
    with pytest.raises(UserOpsError, match="no kind of file in source.yml"):
        erasure.refuse_unknown(filled.home, [filled.source])


def test_requests_come_from_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "requests.csv"
    file.write_text("\ufeffuser_id,address\nU1,\n,a@b.example\n")
    assert Request.of(["U2"], [], file) == Request(frozenset({"U1", "U2"}), frozenset({"a@b.example"}))
    file.write_text("name\nAnna\n")
    with pytest.raises(UserOpsError, match="column user_id or address"):
        Request.of([], [], file)
    with pytest.raises(UserOpsError, match="Nobody is named"):
        Request.of([], [" "], None)


def test_logs_lose_lines_databases_words_and_other_files_go(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    database = home.dagster / "history" / "runs.db"
    database.parent.mkdir(parents=True)
    with closing(sqlite3.connect(database)) as con:
        con.execute("pragma journal_mode = wal")
        con.execute("create table events (id integer primary key, event text, body blob)")
        con.executemany(
            "insert into events (event, body) values (?, ?)",
            [(json.dumps({"said": "Änna CANARY-U1 of 3"}), b"CANARY-U1"), ("CANARY-U10 is somebody else", None)],
        )
        con.commit()
        for path, text in (
            (home.root / "alerts.log", "all is well\nrow of CANARY-U1\nCANARY-U10\n"),
            (home.dagster / "storage" / "run" / "compute_logs" / "step.err", "canary-u1\nfine\n"),
            (home.published / "reviews" / "own.html", "<p>CANARY-U1</p>"),
            (home.published / "reviews" / "2026-03-01.html", "<p>60 users</p>"),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        found = erasure.clean_texts(home, ["CANARY-U1"])
        assert found == {"lines": 2, "files": 1, "records": 2}
        assert con.execute("select event from events").fetchall() == [
            (json.dumps({"said": "Änna erased of 3"}),),
            ("CANARY-U10 is somebody else",),
        ]
    assert (home.root / "alerts.log").read_text() == "all is well\nCANARY-U10\n"
    assert [path.name for path in (home.published / "reviews").iterdir()] == ["2026-03-01.html"]
    assert all(re.search(rb"CANARY-U1(?!0)", path.read_bytes()) is None for path in home.root.rglob("*") if path.is_file())
    assert erasure.clean_texts(home, ["CANARY-U1"]) == {"lines": 0, "files": 0, "records": 0}


def test_a_list_in_a_file_loses_only_the_line_of_the_erased(shop: Shop) -> None:
    tombstones.add(shop.home, {"user": ["U1"], "address": ["+8613800138000", "anna@example.com"]})
    folder = shop.home.exports / "news" / NIGHT
    folder.mkdir(parents=True)
    lines = '\ufeff"email","name"\r\n"Anna@example.com","=1"\r\n"ben@example.com","\'=1+1"\r\n"x@example.com","138 0013 8000"\r\n"y@example.com","U1"\r\n'
    (folder / "full.csv").write_bytes(lines.encode())
    (folder / ".full.csv.1.part").write_bytes(lines.encode())
    assert erasure.clean_exports(shop.home, [shop.source]) == 3
    assert (folder / "full.csv").read_bytes().decode() == '\ufeff"email","name"\r\n"ben@example.com","\'=1+1"\r\n'
    assert [path.name for path in folder.iterdir()] == ["full.csv"]


def test_the_journal_tells_what_was_done_and_not_to_whom(tmp_path: Path) -> None:
    home, request = Home(tmp_path / "home"), Request(users=frozenset({"CANARY-U1"}))
    journal = Journal.of(home, request)
    journal.begin({"users": 1})
    assert "give the same `userops erase` command again" in erasure.unfinished(home)[0]
    journal.note("lake", rows={"orders": 2})
    again = Journal.of(home, request)
    assert (again.path, again.document["steps"], again.is_finished) == (journal.path, ["lake"], False)
    again.finish()
    assert erasure.unfinished(home) == []
    assert json.loads(journal.path.read_text())["counts"] == {"users": 1, "rows": {"orders": 2}}
    assert scan(home.root, CANARIES).hits == {}
