"""Ids: every spelling of one id is that id, a word for nothing is none, and an id that lost its digits is set aside.

Add a spelling met at a source here. Must not test addresses (test_addresses) nor what becomes of a row without an id.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import pytest

NIGHT = "2026-03-02"
HEAD = "order_id,user_id,at,amount,currency,status\n"


def users_of(shop: Any, *spellings: str) -> list[str | None]:
    """What becomes of an order's user, in the order of the spellings."""
    rows = [f'o{number:02},"{spelling}",2026-03-02 10:00:00,1.00,CNY,paid\n' for number, spelling in enumerate(spellings)]
    shop.drop(NIGHT, "orders.csv", HEAD + "".join(rows))
    shop.run(NIGHT)
    return [row[0] for row in shop.ask("select user_id from {orders} order by order_id")]


def test_spellings_of_an_id_are_one_id(shop: Any) -> None:
    spellings = ["u1", "u1 ", " u1", "u1\u00a0", "u1\u200b", "\ufeffu1", "u1\u200e", "u\u00ad1", "\uff55\uff11"]
    assert set(users_of(shop, *spellings)) == {"u1"}


def test_case_leading_zeros_and_inner_signs_are_part_of_an_id(shop: Any) -> None:
    other = ["U1", "01", "1", "u-1", "u_1", "u 1", "1e5", "9E12", "000", "nullable", "茶客"]
    assert users_of(shop, *other) == other


def test_a_word_for_nothing_is_no_id(shop: Any) -> None:
    words = ["NULL", "null", "None", "undefined", "nan", "NaN", "0", "\\N", "#N/A", "[object Object]", "   ", "(not set)"]
    words += ["00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"]
    assert set(users_of(shop, *words)) == {None}


def test_a_source_may_state_its_own_words_for_nothing(new_shop: Callable[..., Any]) -> None:
    assert users_of(new_shop(nothing=["GUEST"]), "guest", "Guest", "0", "null") == [None, None, "0", "null"]


def test_an_id_that_is_needed_is_set_aside_where_it_is_none(shop: Any) -> None:
    rows = ["o1,u1", "null,u1", "1.23457E+15,u1", "o2,1.23457E+15"]
    shop.drop(NIGHT, "orders.csv", HEAD + "".join(f"{row},2026-03-02 10:00:00,1.00,CNY,paid\n" for row in rows))
    shop.run(NIGHT)
    lost = "an id that lost its digits (1.23E+15); export it as text"
    assert shop.aside() == [
        ("orders", "order_id", "required, but a word for nothing (null, undefined, a nil UUID)"),
        ("orders", "order_id", lost),
        ("orders", "user_id", lost),
    ]
    assert shop.ask("select order_id from {orders}") == [("o1",)]


@pytest.mark.parametrize("form", ["bigint", "double", "float", "varchar", "decimal(20, 3)"])
def test_a_column_that_changes_its_type_keeps_its_ids(new_shop: Callable[..., Any], form: str) -> None:
    """pandas makes a column of whole numbers one of floats when a single value is missing."""
    shop = new_shop()
    shop.document["files"]["orders"]["format"] = "parquet"
    shop.configure()
    path = shop.drop(NIGHT, "orders.parquet", b"")
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select 'o' || i as order_id, cast(case when i <> 3 then 1000 + i end as {form}) as user_id, "
            f"timestamp '2026-03-02 10:00:00' as at, 10.0 as amount, 'CNY' as currency, 'paid' as status from range(5) as t(i)) "
            f"to '{path}' (format parquet)"
        )
    shop.run(NIGHT)
    assert shop.ask("select user_id from {orders} order by order_id") == [("1000",), ("1001",), ("1002",), (None,), ("1004",)]


def test_a_float_too_large_to_hold_each_whole_number_is_no_id(new_shop: Callable[..., Any]) -> None:
    shop = new_shop()
    shop.document["files"]["orders"]["format"] = "parquet"
    shop.configure()
    path = shop.drop(NIGHT, "orders.parquet", b"")
    with duckdb.connect() as connection:
        connection.execute(
            "copy (select 'o' || i as order_id, 9007199254740990.0 + i as user_id, timestamp '2026-03-02 10:00:00' as at, 0.1 + 0.2 as amount, "
            f"'CNY' as currency, 'paid' as status from range(4) as t(i)) to '{path}' (format parquet)"
        )
        connection.execute(f"copy (select * replace (cast(user_id as double) as user_id) from '{path}') to '{path}' (format parquet)")
    shop.run(NIGHT)
    assert shop.ask("select user_id, amount::varchar from {orders} order by 1") == [
        ("9007199254740990", "0.30"),
        ("9007199254740991", "0.30"),
    ]
    assert {reason for _, _, reason in shop.aside()} == {"an id that lost its digits (1.23E+15); export it as text"}
    assert len(shop.aside()) == 2
