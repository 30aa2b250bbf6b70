"""Every bad file and bad value of the fault list, through the real land and conform: each ends where the list says, and nothing is silent.

Here is one row per fault id. Add a row when a new kind of dirt is met; what only the gate can see stands at the end.
Must not assert how the pipeline works inside: what landed, what was said, what is in the lake.
"""

from __future__ import annotations

import gzip
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from userops_pipeline.ground.home import sha256_of
from userops_pipeline.intake.gate import run_gate
from userops_pipeline.intake.landing import refused
from userops_pipeline.intake.nights import conformed_nights

NIGHT = "2026-03-02"
HEAD = "order_id,user_id,at,amount,currency,status\n"
USER_HEAD = "user_id,registered,name,email,phone,birth\n"
# Stands in every record; must stand in no sentence, log or manifest.
CANARY = "canary7q"


def order(number: int = 1, *, at: str = "2026-03-02 10:00:00", amount: str = "10.00", currency: str = "CNY", user: str = "u1") -> str:
    return f"{CANARY}-{number},{user},{at},{amount},{currency},completed\n"


def user(
    number: int = 1, *, registered: str = "2026-03-02 09:00:00", name: str = "", email: str = "", phone: str = "", birth: str = ""
) -> str:
    return f"u{number},{registered},{name or CANARY},{email},{phone},{birth}\n"


WORDS = ("Cancelled", " COMPLETED ", "canceled", "failed", "pending", "voided")
GOOD = HEAD + order(1) + order(2)
CHINESE = GOOD.replace(",u1,", ",茶客,")


@dataclass(frozen=True)
class Case:
    """A fault: the files of one night by name, how their kind is declared, and what must become of them."""

    fault: str
    about: str
    files: dict[str, bytes | str]
    declared: dict[str, Any] = field(default_factory=dict)
    kept: int = 0
    aside: tuple[tuple[str | None, str], ...] = ()
    duplicates: int = 0
    refused: str | None = None
    seen: int = 0
    holds: dict[str, Any] = field(default_factory=dict)  # expected content: SQL -> rows
    shop: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.fault} {self.about}"


def orders(content: bytes | str, name: str = "orders.csv") -> dict[str, bytes | str]:
    return {name: content}


def users(*rows: str) -> dict[str, bytes | str]:
    return {"users.csv": USER_HEAD + "".join(rows)}


def bad_amounts(*amounts: str) -> str:
    quoted = [f'"{amount}"' if "," in amount else amount for amount in amounts]
    return HEAD + "".join(order(number, amount=amount) for number, amount in enumerate(quoted))


PLAIN_DECIMAL = ("amount", "not a plain decimal number (1234.50)")

CASES = [
    Case("I01", "UTF-8 with a byte order mark loads with a clean header", orders(b"\xef\xbb\xbf" + GOOD.encode()), kept=2),
    Case("I02", "UTF-16 with its mark loads when declared", orders(CHINESE.encode("utf-16")), {"encoding": "utf-16"}, kept=2),
    Case("I02", "UTF-16 LE without a mark loads when declared", orders(CHINESE.encode("utf-16-le")), {"encoding": "utf-16-le"}, kept=2),
    Case(
        "I02",
        "UTF-16 BE with a mark loads when declared",
        orders(("\ufeff" + CHINESE).encode("utf-16-be")),
        {"encoding": "utf-16-be"},
        kept=2,
    ),
    Case("I02", "UTF-16 with its mark is refused when not declared", orders(GOOD.encode("utf-16")), refused="it is not utf-8"),
    Case("I02", "UTF-16 without a mark is refused when not declared", orders(GOOD.encode("utf-16-le")), refused="NUL bytes"),
    Case(
        "I03",
        "GB18030 loads when declared, four-byte characters too",
        orders(GOOD.replace(",u1,", ",茶客🍵㐂,").encode("gb18030")),
        {"encoding": "gb18030"},
        kept=2,
        holds={"select distinct user_id from {orders}": [("茶客🍵㐂",)]},
    ),
    Case(
        "I04",
        "GBK is refused when not declared",
        orders(CHINESE.encode("gbk")),
        refused=r"it is not utf-8 \(first wrong byte near line 2\)",
    ),
    Case(
        "I05",
        "two encodings in one file are refused with the line",
        orders((HEAD + order(1)).encode() + "茶\n".encode("gbk")),
        refused="near line 3",
    ),
    Case("I06", "a line break inside quotes is one record", users(user(name=f'"{CANARY}\nsecond line"'), user(2)), kept=2),
    Case("I06", "CRLF inside quotes of an LF file is one record", users(user(name=f'"{CANARY}\r\nsecond"'), user(2)), kept=2),
    Case(
        "I07",
        "a quote never closed is refused",
        orders(HEAD + order(1) + f'"{CANARY},u1,2026-03-02 10:00:00,1.00,CNY,paid\n'),
        refused="never closed",
    ),
    Case(
        "I08", "a file cut inside a record is refused", orders(GOOD[: len(GOOD) - 20]), refused="another number of values than the header"
    ),
    Case(
        "I08",
        "a gzip file that is cut is refused",
        orders(gzip.compress(GOOD.encode(), mtime=0)[:-9], "orders.csv.gz"),
        refused="cannot be unpacked",
    ),
    Case(
        "I08", "a record with a value too many is refused", orders(GOOD + order(3).strip() + ",more\n"), refused="another number of values"
    ),
    Case(
        "I09",
        "a file cut inside its last value is refused by its sidecar",
        {"orders.csv": GOOD[:-3], "orders.csv.sha256": f"{'0' * 64}  orders.csv\n"},
        refused="is not what orders.csv.sha256 states",
    ),
    Case(
        "I09",
        "a required sidecar that is missing is refused",
        orders(GOOD),
        {"sidecar": "required"},
        refused="orders.csv.sha256 is missing",
    ),
    Case("I10", "a missing last line end is no fault", orders(GOOD.rstrip("\n")), kept=2),
    Case("I11", "a file of zero bytes is refused", orders(b""), refused="the file is empty"),
    Case(
        "I14",
        "a missing column is refused",
        orders(GOOD.replace(",currency", "").replace(",CNY", "")),
        refused="the column currency is missing",
    ),
    Case(
        "I15",
        "a column nobody declared is refused",
        orders(GOOD.replace("status\n", "status,note\n").replace("completed\n", "completed,x\n")),
        refused="columns source.yml does not declare: note",
    ),
    Case(
        "I15",
        "a column nobody declared stays in landing where kept",
        orders(GOOD.replace("status\n", "status,note\n").replace("completed\n", "completed,x\n")),
        {"extra_columns": "keep"},
        kept=2,
    ),
    Case(
        "I16",
        "columns in another order are read by name",
        orders(f"status,currency,amount,at,user_id,order_id\npaid,CNY,3.50,2026-03-02 01:00:00,u1,{CANARY}\n"),
        kept=1,
        holds={"select user_id, amount::varchar, status from {orders}": [("u1", "3.50", "paid")]},
    ),
    Case("I17", "a renamed column is refused", orders(GOOD.replace("amount", "total", 1)), refused="the column amount is missing"),
    Case("I17", "a column in other case is refused", orders(GOOD.replace("amount", "Amount", 1)), refused="the column amount is missing"),
    Case("I17", "a column named twice is refused", orders(GOOD.replace("user_id", "order_id", 1)), refused="names order_id twice"),
    Case(
        "I18",
        "amounts that are no plain decimal are set aside",
        orders(bad_amounts("1,234.50", "N/A", "NaN", "1e3", "１２", "inf", "12.50")),
        kept=1,
        aside=(PLAIN_DECIMAL,) * 6,
    ),
    Case(
        "I19",
        "semicolons and decimal commas are refused",
        orders(GOOD.replace(",", ";").replace("10.00", "10,00")),
        refused="separated by another character",
    ),
    Case(
        "I20",
        "mixed line ends lose no record",
        orders(HEAD + order(1).strip() + "\r\n" + order(2) + order(3).strip() + "\r" + order(4)),
        kept=4,
    ),
    Case("I20", "CR-only line ends lose no record", orders(GOOD.replace("\n", "\r")), kept=2),
    Case("I21", "NUL bytes are refused", orders(GOOD.replace("u1", "u\x00", 1)), refused="NUL bytes"),
    Case(
        "I21",
        "control and bidi characters are set aside",
        users(user(name="a\x07b"), user(2, name="a\u202eb"), user(3, name="tab\tok")),
        kept=1,
        aside=(("name", "control or text-reordering"),) * 2,
    ),
    Case(
        "I22",
        "every script and emoji comes back as it was",
        users(*(user(n, name=name) for n, name in enumerate(["👩‍👩‍👧", "שלום", "e\u0301", "𠮷", "a\u2028b"]))),
        kept=5,
        holds={"select list(name order by user_id) from {users}": [(["👩‍👩‍👧", "שלום", "e\u0301", "𠮷", "a\u2028b"],)]},
    ),
    Case("I23", "a value of 9 MB is refused", users(user(name="x" * 9_000_000)), refused="a record is longer than 8 MiB"),
    Case("I28", "the same content under another name is loaded once", {"orders.csv": GOOD, "orders_again.csv": GOOD}, kept=2, seen=1),
    Case("D01", "an equal record twice is kept once and counted", orders(HEAD + order(1) + order(1) + order(2)), kept=2, duplicates=1),
    Case(
        "D02",
        "of two contents of one key the greater is kept and the other is a conflict",
        orders(HEAD + order(1, amount="1.00") + order(1, amount="2.00")),
        kept=1,
        aside=((None, "conflict"),),
        holds={"select amount::varchar from {orders}": [("2.00",)]},
    ),
    Case(
        "D02",
        "an equal record after a conflict counts once",
        orders(HEAD + order(1) + order(1, amount="2.00") + order(1)),
        kept=1,
        aside=((None, "conflict"),),
        duplicates=1,
        holds={"select amount::varchar from {orders}": [("10.00",)]},
    ),
    Case(
        "D03",
        "amounts below zero, of zero and absurd are set aside",
        orders(bad_amounts("-1.00", "0", "1000000000000000", "99999999999999999999999999999999")),
        aside=(("amount", "below 0"), (None, "an order of 0"), ("amount", "above 100000000"), ("amount", "too large")),
    ),
    Case(
        "D04",
        "a currency missing or unknown in form is set aside",
        orders(HEAD + order(1, currency="") + order(2, currency="¥") + order(3, currency="cny")),
        aside=((None, "an amount and its currency, or neither"), ("currency", "ISO 4217"), ("currency", "ISO 4217")),
    ),
    Case(
        "D04",
        "a purchase without money has neither amount nor currency; an amount that is only missing is set aside",
        orders(HEAD + order(1, amount="", currency="") + order(2, amount="")),
        kept=1,
        aside=((None, "an amount and its currency, or neither"),),
        holds={"select amount is null, currency is null from {orders}": [(True, True)]},
    ),
    Case(
        "D05",
        "a time after the night is set aside",
        orders(HEAD + order(1, at="2026-03-03 00:30:00") + order(2, at="2027-03-02 10:00:00") + order(3, at="2026-03-02 23:59:59")),
        kept=1,
        aside=(("ordered_at", "lies after the night"),) * 2,
    ),
    Case(
        "D06",
        "placeholder times are set aside",
        users(*(user(n, registered=day) for n, day in enumerate(["1970-01-01", "0001-01-01", "9999-12-31", "1900-01-01"]))),
        aside=(
            ("registered_at", "placeholder"),
            ("registered_at", "placeholder"),
            ("registered_at", "after the night"),
            ("registered_at", "placeholder"),
        ),
    ),
    Case(
        "D06",
        "placeholder birthdays are set aside",
        users(user(1, birth="1900-01-01"), user(2, birth="9999-12-31")),
        aside=(("birth_date", "placeholder"),) * 2,
    ),
    Case(
        "D07",
        "29 February loads in leap years only",
        users(user(1, birth="2000-02-29"), user(2, birth="1900-02-29"), user(3, birth="2001-02-29")),
        kept=1,
        aside=(("birth_date", "no such date"),) * 2,
    ),
    Case(
        "D04",
        "of a source that states its currency, an amount in another one is set aside",
        orders(HEAD + order(1, currency="CNY") + order(2, currency="JPY")),
        kept=1,
        aside=(("currency", "another currency than source.yml states"),),
        shop={"currency": "CNY", "first_night": NIGHT},
    ),
    Case(
        "D05",
        "a status nobody knows is set aside, a spelling of one is that one",
        orders("".join((HEAD, *(order(n).replace("completed", word) for n, word in enumerate(WORDS))))),
        kept=2,
        aside=(("status", "not one of placed, paid"),) * 4,
        holds={"select list(status order by order_id) from {orders}": [(["cancelled", "completed"],)]},
    ),
    Case(
        "D08",
        "ambiguous dates are never guessed",
        orders(HEAD + order(1, at="03/04/2026") + order(2, at="2026.03.02") + order(3, at="20260302")),
        aside=(("ordered_at", "not an ISO 8601 time"),) * 3,
    ),
    Case(
        "D09",
        "a local time of the hour that is skipped is read by the offset before it, of the hour that comes twice by the later one",
        orders(HEAD + order(1, at="2025-10-26 02:30:00") + order(2, at="2025-03-30 02:30:00")),
        kept=2,
        shop={"zone": "Europe/Berlin", "business_zone": "Europe/Berlin", "first_night": NIGHT},
        holds={"select list(ordered_at::varchar order by order_id) from {orders}": [(["2025-10-26 01:30:00", "2025-03-30 01:30:00"],)]},
    ),
    Case(
        "D09",
        "a stated offset is obeyed",
        orders(HEAD + order(1, at="2026-03-02T10:00:00+08:00") + order(2, at="2026-03-02T10:00:00Z")),
        kept=2,
        holds={"select list(ordered_at::varchar order by order_id) from {orders}": [(["2026-03-02 02:00:00", "2026-03-02 10:00:00"],)]},
    ),
    Case(
        "D09",
        "a date alone is midnight of the source's clock, not an offset: the last two digits of a date are no hours",
        orders(
            HEAD + order(1, at="2026-03-01") + order(2, at="2026-03-01 00:00:00") + order(3, at="2026-03-02") + order(4, at="2026-02-28")
        ),
        kept=4,
        shop={"zone": "America/New_York", "business_zone": "America/New_York", "first_night": NIGHT},
        holds={
            "select list(ordered_at::varchar order by order_id) from {orders}": [
                (["2026-03-01 05:00:00", "2026-03-01 05:00:00", "2026-03-02 05:00:00", "2026-02-28 05:00:00"],)
            ]
        },
    ),
    Case(
        "D09",
        "an offset may stand behind a blank, or be the word UTC; behind a date alone it is none",
        orders(
            HEAD
            + order(1, at="2026-03-02 10:00:00 +0800")
            + order(2, at="2026-03-02 10:00:00.123 -05:30")
            + order(3, at="2026-03-02 10:00:00 UTC")
            + order(4, at="2026-03-02T10:00Z")
            + order(5, at="2026-03-02Z")
            + order(6, at="2026-03-02-01:00")
        ),
        kept=4,
        aside=(("ordered_at", "not an ISO 8601 time"),) * 2,
        holds={
            "select list(ordered_at::varchar order by order_id) from {orders}": [
                (["2026-03-02 02:00:00", "2026-03-02 15:30:00.123", "2026-03-02 10:00:00", "2026-03-02 10:00:00"],)
            ]
        },
    ),
    Case(
        "D10",
        "an order of an unknown user loads and keeps its user",
        orders(HEAD + order(1, user="nobody")),
        kept=1,
        holds={"select count(*) from {orders} where user_id not in (select user_id from {users})": [(1,)]},
    ),
    Case(
        "D11",
        "one user id with two contents is a conflict, ids in other case are other users",
        users(user(1, email="a@x.example"), user(1, email="b@x.example"), user(1).replace("u1", "U1", 1)),
        kept=2,
        aside=((None, "conflict"),),
    ),
    Case(
        "D12",
        "orders 1, 3 and 30 nights late load, 36 nights late are set aside",
        orders(HEAD + "".join(order(n, at=str(date(2026, 3, 2) - timedelta(days=n))) for n in (1, 3, 30, 35, 36))),
        kept=4,
        aside=(("ordered_at", "late"),),
    ),
    Case(
        "D17",
        "variants of an e-mail are one, and what is none is set aside",
        users(
            user(1, email=" Ann+Tea@X.Example "),
            user(2, email="jose\u0301@x.example"),
            user(3, email="a@@x.example"),
            user(4, email="a@localhost"),
        ),
        kept=2,
        aside=(("email", "not an e-mail"),) * 2,
        holds={"select list(email order by user_id) from {users}": [(["ann+tea@x.example", "jos\u00e9@x.example"],)]},
    ),
    Case(
        "D18",
        "phones are E.164 or set aside",
        users(
            user(1, phone="138 0000-0001"),
            user(2, phone="0086(138)00000002"),
            user(3, phone="１３８００００００03"),
            user(4, phone="138-CALL-ME"),
            user(5, phone="12"),
        ),
        kept=3,
        aside=(("phone", "not a phone number"),) * 2,
        holds={"select list(phone order by user_id) from {users}": [(["+8613800000001", "+8613800000002", "+8613800000003"],)]},
    ),
    Case(
        "D19",
        "a formula in a name is text like any other",
        users(user(name='"=HYPERLINK(""http://x"")"')),
        kept=1,
        holds={"select name from {users}": [('=HYPERLINK("http://x")',)]},
    ),
    Case(
        "D22",
        "and the same one when they are delivered the other way round",
        orders(HEAD + order(1, amount="2.00") + order(1, amount="1.00")),
        kept=1,
        aside=((None, "conflict"),),
        holds={"select amount::varchar from {orders}": [("2.00",)]},
    ),
    Case(
        "D23",
        "money is rounded half up to the cent at the door",
        orders(bad_amounts("0.30000000000000004", "2.675", "1.005", "0.004999")),
        kept=3,
        aside=((None, "an order of 0"),),
        holds={"select list(amount::varchar order by order_id) from {orders}": [(["0.30", "2.68", "1.01"],)]},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_ends_as_the_list_says(case: Case, new_shop: Callable, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shop = new_shop(**case.shop)
    kind = "users" if "users.csv" in case.files else "orders"
    for part in ("files", "tables"):
        shop.document[part] = {kind: shop.document[part][kind]}
    shop.document["files"][kind] |= case.declared
    (shop.folder / f"{'users' if kind == 'orders' else 'orders'}.sql").unlink()
    shop.configure()
    delivered = [shop.drop(NIGHT, name, content) for name, content in case.files.items()]
    data = [path for path in delivered if path.suffix != ".sha256"]

    landed = shop.land(NIGHT)
    accounting = {entry.table: entry for entry in shop.conform(NIGHT)}

    outcomes = sorted(entry.outcome for entry in landed)
    assert len(landed) == len(data), "every file has an outcome"
    if case.refused is not None:
        assert outcomes == ["refused"]
        assert landed[0].sentence.startswith("orders.csv" if kind == "orders" else "users.csv")
        assert re.search(case.refused, landed[0].sentence), landed[0].sentence
        assert [entry["reason"] for entry in refused(shop.home)] == [landed[0].sentence]
        copies = [path for path in shop.home.refused.rglob("*") if path.is_file() and not path.name.endswith(".reason.json")]
        assert [sha256_of(path) for path in copies] == [sha256_of(data[0])], "the refused file is kept as it came"
    else:
        assert outcomes == ["landed"] * (len(data) - case.seen) + ["seen"] * case.seen, [entry.sentence for entry in landed]

    # nothing silent: every record of a landed file is kept, set aside or counted, in the lake itself
    entry = accounting[kind]
    assert entry.rows_in == sum(item.rows for item in landed if item.outcome == "landed")
    assert (entry.kept, entry.quarantined, entry.duplicates) == (case.kept, len(case.aside), case.duplicates)
    assert entry.rows_in == entry.kept + entry.quarantined + entry.duplicates
    assert shop.ask(f"select count(*) from {{{kind}}}") == [(entry.kept,)]
    for (table, column, reason), (expected_column, expected_reason) in zip(shop.aside(), case.aside, strict=True):
        assert (table, column) == (kind, expected_column)
        assert expected_reason in reason
    for sql, rows in case.holds.items():
        assert shop.ask(sql) == rows

    # no value of a record is told to anybody
    told = (
        [item.sentence for item in landed] + [reason for _, _, reason in shop.aside()] + [record.getMessage() for record in caplog.records]
    )
    told += [
        path.read_text(encoding="utf-8")
        for root in (shop.home.landing, shop.home.refused, shop.home.nights)
        for path in root.rglob("*.json")
    ]
    assert not [text for text in told if CANARY in text]


# -- what one delivery cannot show -----------------------------------------------------------------------------------


def test_I28_the_same_file_again_is_seen_and_changed_content_waits_for_a_decision(shop: Any) -> None:
    shop.drop(NIGHT, "orders.csv", GOOD)
    shop.run(NIGHT)
    assert [entry.outcome for entry in shop.land(NIGHT)] == ["seen"]
    shop.drop(NIGHT, "orders.csv", GOOD + order(3))
    (outcome,) = shop.land(NIGHT)
    assert outcome.outcome == "refused"
    assert "changed since it was landed" in outcome.sentence
    assert shop.conform(NIGHT)[0].kept == 2
    assert [entry.outcome for entry in shop.land(NIGHT, accept_changed=True)] == ["replaced"]
    assert shop.conform(NIGHT)[0].kept == 3
    assert list(refused(shop.home)) == []


def test_I25_a_parquet_file_cut_or_flipped_is_refused(new_shop: Callable, tmp_path: Path) -> None:
    shop = new_shop()
    shop.document["files"]["orders"] |= {"format": "parquet", "sidecar": "required"}
    shop.configure()
    whole = tmp_path / "whole.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            "copy (select 'o' || i as order_id, 'u1' as user_id, timestamp '2026-03-02 10:00:00' as at, 0.1 + 0.2 as amount, "
            f"'CNY' as currency, 'paid' as status from range(500) as t(i)) to '{whole}' (format parquet)"
        )
    content = whole.read_bytes()
    stated = f"{sha256_of(whole)}  orders.parquet\n"
    shop.drop(NIGHT, "orders.parquet.sha256", stated)
    for position in range(0, len(content), len(content) // 12):
        flipped = bytearray(content)
        flipped[position] ^= 4
        shop.drop(NIGHT, "orders.parquet", bytes(flipped))
        assert [entry.outcome for entry in shop.land(NIGHT)] == ["refused"]
    shop.drop(NIGHT, "orders.parquet.sha256", "").unlink()
    shop.document["files"]["orders"]["sidecar"] = "optional"
    shop.configure()
    shop.drop(NIGHT, "orders.parquet", content[:-20])
    (outcome,) = shop.land(NIGHT)
    assert "not a whole Parquet file" in outcome.sentence
    shop.drop(NIGHT, "orders.parquet", content)
    shop.run(NIGHT)
    assert shop.ask("select count(*), min(amount)::varchar, max(amount)::varchar from {orders}") == [(500, "0.30", "0.30")]


def test_D13_a_refund_of_an_earlier_order_loads_and_reaches_no_further_back_than_itself(new_shop: Callable) -> None:
    shop = new_shop(
        files={
            "orders": {"path": "{night}/orders*", "columns": HEAD.strip().split(",")},
            "refunds": {"path": "{night}/refunds*", "columns": ["refund_id", "order_id", "at", "amount"]},
        },
        tables={"orders": {"each": "orders"}, "refunds": {"each": "refunds"}},
        mappings={"refunds": 'select refund_id, order_id, "at" as refunded_at, amount, _file, _row, _night from refunds'},
    )
    shop.drop(NIGHT, "orders.csv", GOOD)
    shop.drop(
        "2026-03-20",
        "refunds.csv",
        f"refund_id,order_id,at,amount\nr1,{CANARY}-1,2026-03-19 10:00:00,10.00\nr2,{CANARY}-2,2026-01-19,10.00\n",
    )
    shop.run(NIGHT)
    shop.run("2026-03-20")
    assert shop.ask("select refund_id, refunded_at::varchar from {refunds}") == [("r1", "2026-03-19 10:00:00")]
    assert shop.aside() == [("refunds", "refunded_at", "late: arrived more than 35 nights after its date")]
    assert conformed_nights(shop.home)[-1].reach.window_from == date(2026, 3, 19)


def test_I12_I13_I31_a_night_without_records_without_file_or_of_odd_size_is_held(new_shop: Callable) -> None:
    """Fifteen usual nights, then three bad ones in a row, each judged as of itself; one table each would hide the others."""
    shop = new_shop()
    first = date(2026, 3, 1)
    nights = [str(first + timedelta(days=number)) for number in range(18)]
    for number, night in enumerate(nights):
        size = 0 if number == 15 else 400 if number == 17 else 60
        shop.drop(night, "users.csv", USER_HEAD + (user(registered=f"{night} 01:00:00") if number == 0 else ""))
        if number != 16:
            shop.drop(night, "orders.csv", HEAD + "".join(order(number * 1000 + i, at=f"{night} 10:00:00") for i in range(size)))
    shop.run(*nights)
    failed = {}
    for night in nights[15:]:
        results = run_gate(shop.home, [shop.source], [date.fromisoformat(night)], date.fromisoformat(night))
        failed[night] = [f"{result.table}.{result.name}" for result in results if not result.passed and result.severity == "error"]
        assert CANARY not in repr(results)
    assert failed == {
        nights[15]: ["orders.volume_is_usual"],
        nights[16]: ["deliveries.shop_files_are_fresh"],
        nights[17]: ["orders.volume_is_usual"],
    }
    docs = [path.read_text(encoding="utf-8", errors="replace") for path in shop.home.data_docs.rglob("*.html")]
    assert docs
    assert not [text for text in docs if CANARY in text]
