"""The gate: every kind of expectation catches a bad case, a good night passes, a quiet one too, and no value of a row is told."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import duckdb
import pytest

from userops_pipeline.ground import contract
from userops_pipeline.ground.home import Home
from userops_pipeline.intake.gate import GateResult, expectations, run_gate
from userops_pipeline.intake.source import load_source

FIRST = date(2026, 3, 1)
NIGHTS = [FIRST + timedelta(days=number) for number in range(20)]
TONIGHT = NIGHTS[-1]
CANARY = "canary7q"
HEAD = "order_id,user_id,at,amount,currency,status\n"
USER_HEAD = "user_id,registered,name,email,phone,birth\n"


@pytest.fixture
def twenty_nights(shop: Any) -> Any:
    """A shop that delivers 60 good orders a night; Sundays it is closed."""
    shop.document["quiet"] = {"weekdays": ["sunday"]}
    shop.configure()
    for night in NIGHTS:
        if shop.source.is_quiet(night):
            continue
        users = "".join(f"u{i},{night} 01:00:00,{CANARY},{CANARY}{i}@x.example,,\n" for i in range(10)) if night == NIGHTS[1] else ""
        shop.drop(str(night), "users.csv", USER_HEAD + users)
        shop.drop(
            str(night), "orders.csv", HEAD + "".join(f"{CANARY}-{night}-{i},u{i % 10},{night} 10:00:00,5.00,CNY,paid\n" for i in range(60))
        )
    return shop


def failed(results: list[GateResult], severity: str = "error") -> set[str]:
    return {f"{result.table}.{result.name}" for result in results if not result.passed and result.severity == severity}


def rewrite(home: Home, night: date, sql: str) -> None:
    """Replace a night's raw orders by a query over them; conform would never let such rows through."""
    (file,) = home.raw.glob(f"orders/arrived_on={night}/*.parquet")
    with duckdb.connect() as connection:
        connection.execute(f"create table t as select * from read_parquet('{file}', hive_partitioning = false)")
        connection.execute(f"copy ({sql}) to '{file}' (format parquet)")


def test_good_nights_and_a_quiet_one_pass_and_every_kind_of_bad_case_is_caught(twenty_nights: Any) -> None:
    shop = twenty_nights
    shop.run(*map(str, NIGHTS))
    source = shop.source

    good = run_gate(shop.home, [source], NIGHTS, TONIGHT)
    assert failed(good) | failed(good, "warning") == set()
    assert {result.name for result in good if result.rows == 0} == set(), "every expectation looked at something"
    quiet = next(night for night in reversed(NIGHTS) if source.is_quiet(night))
    still = run_gate(shop.home, [source], [quiet], quiet)
    assert failed(still) | failed(still, "warning") == set()

    # tonight: a file refused, half of another set aside, no users file, ten times fewer orders, and rows conform would never write
    shop.drop(
        str(TONIGHT), "orders.csv", HEAD + f"{CANARY}-1,u1,{TONIGHT} 10:00:00,5.00,CNY,paid\n{CANARY}-2,u1,{TONIGHT} 10:00:00,x,CNY,paid\n"
    )
    shop.drop(str(TONIGHT), "orders_more.csv", f"wrong,{CANARY}\n")
    for path in shop.home.landing.rglob("*"):
        if path.is_file() and str(TONIGHT) in str(path) and "users" in path.name:
            path.unlink()
    (shop.home.nights / str(TONIGHT) / "shop.json").unlink()  # it was conformed from the file that is gone
    (shop.drops / str(TONIGHT) / "users.csv").unlink()
    shop.land(str(TONIGHT), accept_changed=True)
    shop.conform(str(TONIGHT))
    rewrite(
        shop.home,
        TONIGHT,
        f"""
        select * from t
        union all select * from t
        union all select * replace ('{CANARY}-3' as order_id, 'stranger' as user_id) from t
        union all select * replace ('{CANARY}-4' as order_id, null as ordered_at) from t
        union all select * replace ('{CANARY}-5' as order_id, '{CANARY}' as status) from t
        union all select * replace ('{CANARY}-6' as order_id, cast(-5 as decimal(18, 2)) as amount, 'stranger@shop.example' as merchant_id) from t
        union all select * replace ('{CANARY}-8' as order_id, 'JPY' as currency) from t
        """,
    )
    bad = run_gate(shop.home, [source], [TONIGHT], TONIGHT, waived=frozenset({"orders.key_is_unique", "orders.status_is_there"}))
    assert failed(bad) == {
        "orders.key_is_unique",
        "orders.ordered_at_is_there",
        "orders.status_is_known",
        "orders.user_id_resolves",
        "orders.amount_in_range",
        "orders.currency_is_one",
        "orders.holds_no_address",
        "orders.quarantine_is_small",
        "orders.volume_is_usual",
        "deliveries.shop_files_are_accepted",
        "deliveries.shop_files_are_fresh",
    }
    assert failed(bad, "warning") == set()
    assert {f"{result.table}.{result.name}" for result in bad if result.waived} == {"orders.key_is_unique"}, "what passes needs no waiver"
    details = {result.name: result.detail for result in bad}
    assert details["volume_is_usual"] == f"{TONIGHT}: 2 rows, usually 60"
    assert details["quarantine_is_small"] == "amount not a plain decimal number (1234.50): 1 rows"
    assert details["shop_files_are_fresh"] == f"users: {TONIGHT}"
    counts = {result.name: (result.rows, result.unexpected) for result in bad if result.table == "orders" and not result.passed}
    assert counts["key_is_unique"] == (7, 2)
    assert counts["ordered_at_is_there"] == (7, 1)

    pages = [path.read_text(encoding="utf-8", errors="replace") for path in shop.home.data_docs.rglob("*") if path.is_file()]
    assert any("orders" in page for page in pages)
    for text in [*pages, repr(bad), repr(good)]:
        assert CANARY not in text
        assert "stranger" not in text
    assert not list((shop.home.root / "lake").glob(".*")), "no scratch stays"


def test_each_of_two_sources_is_held_to_its_own_tolerances(new_shop: Any) -> None:
    """The second is stricter about volume and laxer about what is set aside; neither setting is the other's."""
    first, second = (new_shop(name=name) for name in ("one", "two"))
    second.document["name"] = "shop_app"
    second.document["gate"] = {"volume": [0.9, 1.1], "quarantine_share": 0.5}
    second.configure()
    second.home = first.home
    for night in NIGHTS:
        size = 30 if night == TONIGHT else 60
        for shop, mark in ((first, "a"), (second, "b")):
            shop.drop(str(night), "users.csv", USER_HEAD)
            rows = [f"{mark}-{night}-{i},,{night} 10:00:00,{'x' if night == TONIGHT and i < 3 else '5.00'},CNY,paid\n" for i in range(size)]
            shop.drop(str(night), "orders.csv", HEAD + "".join(rows))
    for shop in (second, first):
        shop.run(*map(str, NIGHTS))
    assert second.ask("select source_name, count(*) from {orders} group by 1 order by 1") == [("shop", 1167), ("shop_app", 1167)], (
        "conforming `shop` again leaves the nights of `shop_app` alone"
    )
    results = run_gate(first.home, [first.source, second.source], [TONIGHT], TONIGHT)
    assert failed(results) == {"orders.shop_quarantine_is_small", "orders.shop_app_volume_is_usual"}

    # the night after, one of the two sends cents
    after = TONIGHT + timedelta(days=1)
    for shop, mark, amount in ((first, "a", "500.00"), (second, "b", "5.00")):
        shop.drop(str(after), "users.csv", USER_HEAD)
        shop.drop(str(after), "orders.csv", HEAD + "".join(f"{mark}-{after}-{i},,{after} 10:00:00,{amount},CNY,paid\n" for i in range(60)))
        shop.run(str(after))
    results = run_gate(first.home, [first.source, second.source], [after], after)
    assert failed(results) == {"deliveries.shop_columns_are_usual"}
    (unusual,) = (result for result in results if not result.passed)
    assert unusual.detail == f"{after} orders.amount: a median of 500, usually 5 (20 nights)"


def test_a_night_whose_file_never_came_is_held_until_it_is_let_pass_and_told_in_a_longer_history(new_shop: Any) -> None:
    """Also when the next night's file has come; the bad volume of an earlier night likewise."""
    shop = new_shop()
    lost, few = NIGHTS[16], NIGHTS[17]
    for night in NIGHTS:
        shop.drop(str(night), "users.csv", USER_HEAD)
        rows = "".join(f"{night}-{i},,{night} 10:00:00,5.00,CNY,paid\n" for i in range(3 if night == few else 60))
        if night != lost:
            shop.drop(str(night), "orders.csv", HEAD + rows)
    shop.run(*map(str, NIGHTS))
    unproven = NIGHTS[15:]
    results = run_gate(shop.home, [shop.source], unproven, TONIGHT)
    assert failed(results) == {"deliveries.shop_files_are_fresh", "orders.volume_is_usual"}
    details = {result.name: result.detail for result in results}
    assert details["shop_files_are_fresh"] == f"orders: {lost}"
    assert details["volume_is_usual"] == f"{few}: 3 rows, usually 60", "the night without a file is told as that"
    assert failed(run_gate(shop.home, [shop.source], [TONIGHT], TONIGHT)) == set(), "what was published with them is let pass"

    # the same as the beginning of a longer history that is loaded at once
    later = [NIGHTS[-1] + timedelta(days=number) for number in range(1, 12)]
    for night in later:
        shop.drop(str(night), "users.csv", USER_HEAD)
        shop.drop(str(night), "orders.csv", HEAD + "".join(f"{night}-{i},,{night} 10:00:00,5.00,CNY,paid\n" for i in range(60)))
    shop.run(*map(str, later))
    said: list[str] = []
    results = run_gate(shop.home, [shop.source], [*NIGHTS, *later], later[-1], progress=said.append)
    assert failed(results) == set()
    assert f"orders of shop: {few}: 3 rows, usually 60" in said
    # one night may be late, so it is not expected yet when the next one has come
    shop.document["gate"] = {"fresh_days": 1}
    shop.configure()
    assert "deliveries.shop_files_are_fresh" not in failed(run_gate(shop.home, [shop.source], unproven, TONIGHT))


def test_half_a_file_and_a_file_that_came_twice_are_told_and_hold_nothing(new_shop: Any) -> None:
    shop = new_shop()
    half, twice = NIGHTS[-2:]
    for night in NIGHTS:
        shop.drop(str(night), "users.csv", USER_HEAD)
        size = 100 if night == half else 200
        rows = "".join(f"{night}-{i},,{night} 10:00:00,5.00,CNY,paid\n" for i in range(size))
        shop.drop(str(night), "orders.csv", HEAD + rows * (2 if night == twice else 1))
    shop.run(*map(str, NIGHTS))
    results = run_gate(shop.home, [shop.source], [half, twice], TONIGHT)
    assert failed(results) == set()
    assert failed(results, "warning") == {"orders.volume_does_not_leap", "orders.copies_are_few"}
    details = {result.name: result.detail for result in results}
    assert details["volume_does_not_leap"] == f"{half}: 100 rows, usually 200; {twice}: 400 rows, usually 200"
    assert failed(run_gate(shop.home, [shop.source], [NIGHTS[-3]], NIGHTS[-3]), "warning") == set()


def test_an_archive_is_not_held_for_the_nights_where_it_was_cut(new_shop: Any) -> None:
    """Its first and last night are partial; another night of few rows, or one after its end, is told."""
    shop = new_shop(
        last_night=str(TONIGHT),
        files={"orders": {"path": "orders.csv", "columns": HEAD.strip().split(",")}},
        tables={"orders": {"each": "orders"}},
        mappings={"orders": 'select order_id, user_id, "at" as ordered_at, status, amount, currency, _file, _row, night("at") as _night from orders'},
    )  # fmt: skip
    sizes = {night: 2 if night in (NIGHTS[0], NIGHTS[-1]) else 60 for night in NIGHTS}

    def held(sizes: dict[date, int]) -> dict[str, str]:
        rows = "".join(f"{night}-{i},,{night} 10:00:00,5.00,CNY,paid\n" for night, size in sizes.items() for i in range(size))
        shop.drop(".", "orders.csv", HEAD + rows)
        shop.land(*map(str, NIGHTS), accept_changed=True)
        shop.conform(*map(str, NIGHTS))
        return {result.name: result.detail for result in run_gate(shop.home, [shop.source], NIGHTS, TONIGHT) if not result.passed}

    assert held(sizes) == {}
    assert held(sizes | {NIGHTS[-2]: 2}) == {"volume_is_usual": f"{NIGHTS[-2]}: 2 rows, usually 60"}
    assert held(sizes | {NIGHTS[-1]: 0}) == {"volume_is_usual": f"{TONIGHT}: 0 rows, usually 60"}


def test_every_kind_of_expectation_is_among_those_shown_a_bad_case() -> None:
    """A kind added to the gate must be added to the test above."""
    kinds = {
        next(
            end
            for end in (
                "is_unique",
                "is_there",
                "resolves",
                "is_known",
                "in_range",
                "no_address",
                "is_small",
                "is_usual",
                "are_accepted",
                "are_usual",
                "are_few",
                "does_not_leap",
                "is_one",
                "are_fresh",
            )
            if name.endswith(end)
        )
        for name in (expectation.name for expectation in expectations([load_source("sample_shop")]))
    }
    assert len(kinds) == 14


def test_names_are_unique_and_what_is_expected_follows_the_contract() -> None:
    source = load_source("complete_journey")
    found = expectations([source])
    assert len({(expectation.table, expectation.name) for expectation in found}) == len(found)
    names = {f"{expectation.table}.{expectation.name}" for expectation in found}
    for table in (contract.tables()[name] for name in source.tables):
        assert f"{table.name}.key_is_unique" in names
        assert {f"{table.name}.{column.name}_is_there" for column in table.columns if column.required} <= names
        assert {f"{table.name}.{column.name}_resolves" for column in table.columns if column.refers} <= names
