"""A source is held against its own files and the contract before anything is landed: every way not to fit is told, with file and column.

Add a case when a source that could not work was found out only by its data. What a mapping may say at all is tested with the attacks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from userops_pipeline.ground.home import PROJECT_DIR, Home, UserOpsError
from userops_pipeline.intake.binding import bind
from userops_pipeline.intake.shop import Shop
from userops_pipeline.intake.source import SOURCES_DIR, TAKEN, load_source

ORDERS = 'select order_id, user_id, "at" as ordered_at, status, amount, currency, _file, _row, _night from orders'


@pytest.mark.parametrize("name", sorted(path.parent.name for path in SOURCES_DIR.glob("*/source.yml")))
def test_every_source_of_the_project_fits(name: str) -> None:
    source = load_source(name)
    assert bind(source).keys() == source.tables.keys()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (ORDERS.replace("amount,", "total as amount,"), 'orders.sql cannot be run (line 1): Binder Error: Referenced column "total"'),
        (ORDERS.replace("amount,", "amount as total,"), "gives total, which the contract's orders has not"),
        (ORDERS.replace(", _night", ""), "does not give _night"),
        (ORDERS.replace("status,", ""), "does not give status"),
        (ORDERS.replace("status,", "status, order_id as STATUS,"), "gives status twice"),
        (ORDERS.replace("amount,", "try_cast(\"at\" as date) as amount,"), "gives amount as DATE, of which no value is a money"),
        (ORDERS.replace("amount,", "[amount] as amount,"), "gives amount as VARCHAR[]"),
        (ORDERS.replace('"at" as', "try_cast(amount as int) as"), "gives ordered_at as INTEGER, of which no value is a timestamp"),
        (ORDERS.replace("_night", "_row as _night"), "gives _night as BIGINT"),
        (ORDERS.replace("amount,", "converted(amount, currency, \"at\") as amount,"), "states no currency to convert to"),
        ("select", "is not SQL"),
    ],
)  # fmt: skip
def test_a_mapping_that_cannot_work_is_told_before_a_file_is_touched(shop: Any, wrong: str, sentence: str) -> None:
    shop.map("orders", wrong)
    shop.drop("2026-03-01", "orders.csv", "order_id,user_id,at,amount,currency,status\n")
    with pytest.raises(UserOpsError, match=re.escape(sentence)) as fault:
        Shop(shop.home, (shop.source,)).check()
    assert str(fault.value).startswith("shop/orders.sql ")
    assert "\n" not in str(fault.value)
    assert not shop.home.landing.exists() or not any(path.is_file() for path in shop.home.landing.rglob("*"))


def test_every_record_of_a_file_that_is_not_read_is_told(shop: Any) -> None:
    shop.document["tables"]["orders"]["each"] = "users"
    shop.configure()
    with pytest.raises(UserOpsError, match="does not read users, every record of which"):
        bind(shop.source)


def test_a_second_source_that_is_wrong_keeps_the_first_from_landing(new_shop: Callable) -> None:
    first, second = (new_shop(name=name) for name in ("one", "two"))
    second.map("orders", "select order_id from orders")
    with pytest.raises(UserOpsError, match="does not give"):
        Shop(first.home, (first.source, second.source)).check()
    second.map("orders", ORDERS)
    second.document["root"] = {"path": str(second.drops / "nowhere")}
    second.configure()
    with pytest.raises(UserOpsError, match="its folder of files does not exist"):
        Shop(first.home, (first.source, second.source)).check()


def test_a_name_has_no_case(new_shop: Callable) -> None:
    """A file's own spelling passed on is the contract's column, for whoever is to be forgotten too (`bind` tells both what is given)."""
    columns = ["Order_ID", "USER_ID", "Ordered_At", "Status", "AMOUNT", "Currency"]
    shop = new_shop(
        files={"Orders": {"path": "{night}/orders.csv", "columns": columns}},
        tables={"orders": {"each": "Orders"}},
        mappings={"orders": f"select {', '.join(columns)}, _file, _ROW, _night from orders"},
    )
    shop.drop("2026-03-01", "orders.csv", ",".join(columns) + "\no1,u1,2026-03-01 10:00:00,paid,5.00,CNY\n")
    shop.run("2026-03-01")
    assert shop.ask("select order_id, user_id, amount::varchar from {orders}") == [("o1", "u1", "5.00")]
    assert shop.aside() == []


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"orders": {"path": "o.csv", "columns": ["id", "ID"]}}, "columns names ID, id twice, in other case"),
        ({"orders": {"path": "o.csv", "columns": ["id", "_Row"]}}, "columns names '_Row', which every record has of its own"),
        ({"rates": {"path": "o.csv", "columns": ["id"]}}, "rates is the name of a table of ours"),
        ({"../orders": {"path": "o.csv", "columns": ["id"]}}, "'../orders' is no name that a mapping can read"),
        ({"a": {"path": "a.csv", "columns": ["id"]}, "A": {"path": "b.csv", "columns": ["id"]}}, "A stands twice, in other case"),
        ({"orders": {"path": "o.jsonl", "columns": ["id"], "format": "jsonl", "header": False}}, "header says nothing about a jsonl file"),
        ({"orders": {"path": "o.pq", "columns": ["id"], "format": "parquet", "header": False}}, "header says nothing about a parquet file"),
        ({"orders": {"path": "o.csv", "columns": ["id"], "header": False, "extra_columns": "keep"}}, "declare every column"),
    ],
)
def test_files_that_no_mapping_could_read_are_told(shop: Any, files: dict, sentence: str) -> None:
    shop.document["files"] = files
    shop.configure()
    with pytest.raises(UserOpsError, match=re.escape(sentence)):
        load_source(str(shop.folder))


def test_texts_that_are_not_utf8_are_told(shop: Any) -> None:
    (shop.folder / "orders.sql").write_bytes(b"-- \xb6\xa9\xb5\xa5\n" + ORDERS.encode())
    with pytest.raises(UserOpsError, match=r"^shop/orders\.sql is not UTF-8"):
        bind(shop.source)
    (shop.folder / "source.yml").write_bytes(b"about: \xb6\xa9\xb5\xa5\n")
    with pytest.raises(UserOpsError, match=r"^shop/source\.yml is not UTF-8"):
        load_source(str(shop.folder))


def test_no_table_of_ours_can_be_taken_for_a_file() -> None:
    """Every temporary table that conform makes beside the files is among the names a file cannot have."""
    rooms = ("binding", "conform", "forget", "reach", "stops", "usual")
    texts = [(PROJECT_DIR / "userops_pipeline" / "intake" / f"{name}.py").read_text() for name in rooms]
    made = {name for text in texts for name in re.findall(r"create (?:or replace )?temp (?:table|view) (\w+)", text)}
    assert made == TAKEN


def test_a_file_without_a_header_gives_the_declared_columns(new_shop: Callable) -> None:
    shop = new_shop()
    shop.document["files"]["orders"]["header"] = False
    shop.configure()
    shop.drop("2026-03-01", "orders.csv", "o1,u1,2026-03-01 10:00:00,5.00,CNY,paid\no2,u1,2026-03-01 11:00:00,6.00,CNY,paid\n")
    shop.drop("2026-03-02", "orders.csv", "order_id,user_id,at,amount,currency,status\no3,u1,2026-03-02 10:00:00,5.00,CNY,paid\n")
    shop.drop("2026-03-03", "orders.csv", "\n")
    outcomes = shop.land("2026-03-01", "2026-03-02", "2026-03-03")
    assert [(landed.outcome, landed.rows) for landed in outcomes] == [("landed", 2), ("refused", 0), ("landed", 0)]
    assert "its first record holds the names of the columns, but source.yml says that it has no header" in outcomes[1].sentence
    shop.conform("2026-03-01")
    assert shop.ask("select order_id, source_row from {orders} order by 1") == [("o1", 1), ("o2", 2)]


def test_erased_people_leave_a_file_without_a_header(new_shop: Callable) -> None:
    """Their record is the right one, and a file left without any record is still one that can be read."""
    from userops_pipeline.ground.tombstones import ADDRESS, add

    for columns, text, left in (
        (["user_id", "registered", "name", "email", "phone", "birth"], "u1,2026-03-01,n,ann@x.example,,\nu2,2026-03-01,n,bob@x.example,,\n", 1),
        (["email"], "ann@x.example\n", 0),
        (["email"], "bob@x.example\n\nann@x.example\n", 1),
    ):  # fmt: skip
        names = {"email as user_id" if len(columns) == 1 else "user_id", "email"}
        registered = "'2026-03-01'" if len(columns) == 1 else "registered"
        shop = new_shop(
            name=f"shop{len(columns)}{left}",
            files={"users": {"path": "{night}/users.csv", "columns": columns, "header": False}},
            tables={"users": {"each": "users"}},
            mappings={"users": f"select {', '.join(sorted(names))}, {registered} as registered_at, _file, _row, _night from users"},
        )
        add(shop.home, {ADDRESS: ["ann@x.example"]})
        shop.drop("2026-03-01", "users.csv", text)
        shop.run("2026-03-01")
        (copy,) = shop.home.landing.rglob("users.csv")
        assert "ann@" not in copy.read_text()
        assert shop.ask("select count(*) from {users}") == [(left,)]


def test_a_run_refuses_a_wrong_source_without_starting(tmp_path: Path, shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line asks before it builds its definitions, which take longer than the answer."""
    from click.testing import CliRunner

    from userops_pipeline import definitions
    from userops_pipeline.cli import main

    def never(_: Any) -> None:
        raise AssertionError("the run was begun")

    monkeypatch.setattr(definitions, "build_definitions", never)
    monkeypatch.setenv("USEROPS_SOURCE", str(shop.folder))
    shop.map("orders", ORDERS.replace("amount,", "amount as total,"))
    home = Home(tmp_path / "of_the_run")
    answer = CliRunner().invoke(main, ["--home", str(home.root), "nightly", "--date", str(date(2026, 3, 1))])
    assert answer.exit_code == 1
    assert "shop/orders.sql gives total, which the contract's orders has not" in answer.output
    assert not list(home.landing.rglob("*.csv"))
