"""A word that stops contact reaches the lake, however it is written and whatever else is wrong with its row."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from userops_pipeline.ground.contract import tables
from userops_pipeline.ground.home import UserOpsError

FIRST, TONIGHT = "2026-03-01", "2026-03-02"
CONSENTS = "user_id,contact_point,channel,purpose,state,basis,changed_at"
TOUCHES = "touch_id,user_id,channel,contact_point,sent_at,unsubscribed_at,complained_at,bounced_at"
SUPPRESSIONS = "suppression_id,user_id,contact_point,channel,purpose,said_at,reason"
COLUMNS = {"consents": CONSENTS, "touches": TOUCHES, "suppressions": SUPPRESSIONS}
AT = "2026-03-02 09:00:00"


@pytest.fixture
def hearing(new_shop: Callable) -> Callable[..., Any]:
    """A shop whose files have the columns of the contract's tables, delivered on one night and conformed."""

    def hear(*, shop: Any = None, **files: list[str]) -> Any:
        if shop is None:
            shop = new_shop(
                files={table: {"path": f"{{night}}/{table}*", "columns": COLUMNS[table].split(",")} for table in files},
                tables={table: {"each": table} for table in files},
                mappings={table: f"select {COLUMNS[table]}, _file, _row, _night from {table}" for table in files},
            )
        for table, rows in files.items():
            shop.drop(TONIGHT, f"{table}.csv", "\n".join([COLUMNS[table], *rows]) + "\n")
        shop.run(TONIGHT)
        return shop

    return hear


def stops(shop: Any) -> list[tuple]:
    return shop.ask(
        "select user_id, contact_point, channel, purpose, said_at::varchar, reason from {suppressions} "
        "order by source_file, source_row, reason, user_id nulls first, contact_point nulls first"
    )


def consent(user: str = "k1", point: str = "k1@x.example", channel: str = "email", purpose: str = "marketing", **other: str) -> str:
    return ",".join([user, point, channel, purpose, other.get("state", "unsubscribed"), other.get("basis", "esp"), other.get("at", AT)])


# -- consents that are set aside ---------------------------------------------------------------------------------------

ASIDE = {
    "no address": (consent(point=""), [("k1", None, "email", "marketing")]),
    "no address but a space": (consent(point=" "), [("k1", None, "email", "marketing")]),
    "an address that is none": (consent(point="k1 at x.example"), [("k1", None, "email", "marketing")]),
    "a time in another form": (consent(at="03/02/2026 09:00"), [("k1", "k1@x.example", "email", "marketing")]),
    "no time": (consent(at=""), [("k1", "k1@x.example", "email", "marketing")]),
    "a time after the night": (consent(at="2026-03-03 00:30:00"), [("k1", "k1@x.example", "email", "marketing")]),
    "a placeholder for a time": (consent(at="1970-01-01 00:00:00"), [("k1", "k1@x.example", "email", "marketing")]),
    "no user": (consent(user=""), [(None, "k1@x.example", "email", "marketing")]),
    "no user and no address": (consent(user="", point=""), [(None, None, "email", "marketing")]),
    "no basis": (consent(basis=""), [("k1", "k1@x.example", "email", "marketing")]),
    "a basis with a hidden sign": (consent(basis="e\u202esp"), [("k1", "k1@x.example", "email", "marketing")]),
    "a user that is a word for nothing": (consent(user="null"), [(None, "k1@x.example", "email", "marketing")]),
    "a user whose id lost its digits": (consent(user="1.23E+15"), [(None, "k1@x.example", "email", "marketing")]),
    "another purpose": (consent(purpose="all"), [("k1", "k1@x.example", "email", None)]),
    "no purpose": (consent(purpose=""), [("k1", "k1@x.example", "email", None)]),
    "no state": (consent(state=""), [("k1", "k1@x.example", "email", "marketing")]),
    "another state": (consent(state="opt-out"), [("k1", "k1@x.example", "email", "marketing")]),
    "another channel": (consent(channel="E-Mail"), [("k1", None, None, "marketing"), ("k1", "k1@x.example", None, "marketing")]),
    "no channel, and a phone number": (
        consent(channel="", point="138 0000 0001"),
        [("k1", None, None, "marketing"), ("k1", "+8613800000001", None, "marketing"), ("k1", "138 0000 0001", None, "marketing")],
    ),
    "a subscription that is set aside": (consent(state="Subscribed", basis=""), []),
}


@pytest.mark.parametrize("what", ASIDE)
def test_a_consent_set_aside_stops_as_widely_as_it_leaves_open(hearing: Callable, what: str) -> None:
    row, expected = ASIDE[what]
    shop = hearing(consents=[row])
    assert shop.content("consents") == []
    assert len(shop.aside()) == 1
    assert stops(shop) == [(*stop, None, "unreadable") for stop in sorted(expected, key=lambda stop: (stop[0] or "", stop[1] or ""))]


def test_a_spelling_of_a_word_or_of_an_address_is_that_word_and_that_address(hearing: Callable) -> None:
    shop = hearing(
        consents=[
            consent("k1", "k1\u200b@x.example", "Email", "MARKETING", state="UNSUBSCRIBED"),
            consent("k2", "<K2@x.example>", "\uff25\uff4d\uff41\uff49\uff4c", " marketing\u00a0", state="Unsubscribed\u200b"),
            consent("k16", "jose\u0301@x.example"),
            consent("k3", "MAILTO:k3@b\u00fccher.example?subject=stop"),
            consent("k4", "0086 138-0000-0001", "SMS"),
        ]
    )
    assert shop.ask("select user_id, contact_point, channel, purpose, state from {consents} order by all") == [
        ("k1", "k1@x.example", "email", "marketing", "unsubscribed"),
        ("k16", "jos\u00e9@x.example", "email", "marketing", "unsubscribed"),
        ("k2", "k2@x.example", "email", "marketing", "unsubscribed"),
        ("k3", "k3@xn--bcher-kva.example", "email", "marketing", "unsubscribed"),
        ("k4", "+8613800000001", "sms", "marketing", "unsubscribed"),
    ]
    assert (shop.aside(), stops(shop)) == ([], [])


def test_a_user_id_with_something_unseen_is_the_user_it_is_read_as(hearing: Callable) -> None:
    shop = hearing(consents=[consent("k1\u200b"), consent(" k\x072", "k2@x.example", state="subscribed")])
    assert [row[0] for row in shop.ask("select user_id from {consents} order by 1")] == ["k1", "k2"]
    assert stops(shop) == []


@pytest.mark.parametrize("versions", ["", ", _row as _version"])
def test_of_two_words_at_one_instant_the_withdrawal_stays_whatever_is_newer(hearing: Callable, new_shop: Callable, versions: str) -> None:
    for name, states in (("one", ["unsubscribed", "did_not_subscribe", "subscribed"]), ("two", ["subscribed", "unsubscribed"])):
        shop = new_shop(
            name=name,
            files={"consents": {"path": "{night}/consents*", "columns": CONSENTS.split(",")}},
            tables={"consents": {"each": "consents"}},
            mappings={"consents": f"select {CONSENTS}, _file, _row, _night{versions} from consents"},
        )
        hearing(shop=shop, consents=[consent(state=state) for state in states])
        assert shop.ask("select state from {consents}") == [("unsubscribed",)]
        assert {reason for _, _, reason in shop.aside()} == {
            "conflict: a newer or stricter record of this delivery has the same key and other content"
        }
        assert stops(shop) == [], "the record that stays says it all"


# -- answers to messages -----------------------------------------------------------------------------------------------


def test_what_a_message_was_answered_with_is_a_stop_kept_or_set_aside(hearing: Callable) -> None:
    sent = "2026-03-01 09:00:00"
    shop = hearing(
        touches=[
            f"t1,k1,email,,{sent},{AT},,",
            f"t2,k2,Email,K2@x.example,{sent},,{AT},{AT}",
            f"t3,k3,email,,{sent},yesterday,,",
            f"t4,k4,sms,,{sent},,2026-03-04 00:00:00,",
            f"t5,k5,pigeon,k5@x.example,{sent},,,{AT}",
            f"t6,,email,k6@x.example,2019-01-01 00:00:00,{AT},,",
            f"t7,k7,email,,{sent},,,",
            f"t1,k1,email,,{sent},{AT},,",
            f"t8,k8,email,,{sent},,,{AT}",
            f"t8,k8,email,,2026-03-01 08:00:00,,,{AT}",
        ]
    )
    assert stops(shop) == [
        ("k1", None, "email", None, AT, "unsubscribed"),
        ("k2", "k2@x.example", "email", None, AT, "bounced"),
        ("k2", "k2@x.example", "email", None, AT, "complained"),
        ("k3", None, "email", None, None, "unsubscribed"),
        ("k4", None, "sms", None, None, "complained"),
        ("k5", None, None, None, AT, "bounced"),
        ("k5", "k5@x.example", None, None, AT, "bounced"),
        (None, "k6@x.example", "email", None, AT, "unsubscribed"),
        ("k8", None, "email", None, AT, "bounced"),
        ("k8", None, "email", None, AT, "bounced"),
    ]


# -- a shop's own list -------------------------------------------------------------------------------------------------


def test_a_list_of_stops_is_kept_and_what_cannot_be_read_of_it_stops_too(hearing: Callable) -> None:
    shop = hearing(
        suppressions=[
            "s1,,s1@x.example,email,,,Suppressed",
            "s2,k2,,,marketing,2026-03-01 00:00:00,unsubscribed",
            "s3,,13800000003,,,,suppressed",
            ",k4,k4@x.example,email,,,suppressed",
            "s5,k5,,email,newsletters,,suppressed",
            "s6,k6,,email,,,because",
            "s7,k7,,email,,,suppressed",
            "s7,k8,,email,,,suppressed",
            "s9,,,email,,,suppressed",
        ]
    )
    assert stops(shop) == [
        (None, "s1@x.example", "email", None, None, "suppressed"),
        ("k2", None, None, "marketing", "2026-03-01 00:00:00", "unsubscribed"),
        (None, "+8613800000003", None, None, None, "suppressed"),
        (None, "13800000003", None, None, None, "suppressed"),
        ("k4", "k4@x.example", "email", None, None, "unreadable"),
        ("k5", None, "email", None, None, "unreadable"),
        ("k6", None, "email", None, None, "unreadable"),
        ("k7", None, "email", None, None, "unreadable"),
        ("k8", None, "email", None, None, "suppressed"),
        (None, None, "email", None, None, "unreadable"),
    ]
    assert len(shop.aside()) == 5


# -- in the lake -------------------------------------------------------------------------------------------------------


def test_stops_are_counted_have_a_key_of_their_own_and_are_the_same_bytes_again(hearing: Callable) -> None:
    files = {
        "consents": [consent(), consent("k2", "", state="gone"), consent("k2", "", state="gone")],
        "touches": [f"t1,k1,email,,2026-03-01 09:00:00,{AT},{AT},"],
    }
    shop = hearing(**files)
    assert shop.ask("select suppression_id, arrived_on::varchar, source_file, source_row from {suppressions} order by 1") == [
        (f"shop:consents:{TONIGHT}/consents.csv:2:unreadable", TONIGHT, f"{TONIGHT}/consents.csv", 2),
        (f"shop:consents:{TONIGHT}/consents.csv:3:unreadable", TONIGHT, f"{TONIGHT}/consents.csv", 3),
        (f"shop:touches:{TONIGHT}/touches.csv:1:complained", TONIGHT, f"{TONIGHT}/touches.csv", 1),
        (f"shop:touches:{TONIGHT}/touches.csv:1:unsubscribed", TONIGHT, f"{TONIGHT}/touches.csv", 1),
    ]
    assert [(entry.rows_in, entry.kept, entry.quarantined) for entry in shop.conform(TONIGHT) if entry.table == "suppressions"] == [
        (4, 4, 0)
    ]
    (mark,) = shop.home.nights.glob(f"{TONIGHT}/*.json")
    assert "suppressions:4:" in json.loads(mark.read_text())["content_hash"]
    before = shop.lake_bytes()
    shop.run(TONIGHT)
    assert shop.lake_bytes() == before


def test_a_stop_is_gone_when_its_row_was_repaired(hearing: Callable) -> None:
    shop = hearing(consents=[consent(at="03/02/2026 09:00")])
    assert len(stops(shop)) == 1
    shop.drop(TONIGHT, "consents.csv", f"{CONSENTS}\n{consent(at=AT)}\n")
    shop.land(TONIGHT, accept_changed=True)
    shop.conform(TONIGHT)
    assert (stops(shop), len(shop.content("consents"))) == ([], 1)
    assert not list(shop.home.raw.glob(f"suppressions/arrived_on={TONIGHT}/*"))


def test_json_gives_the_same_stops(new_shop: Callable, hearing: Callable) -> None:
    shop = new_shop(
        name="json",
        files={"touches": {"path": "{night}/touches*", "format": "jsonl", "columns": TOUCHES.split(",")}},
        tables={"touches": {"each": "touches"}},
        mappings={"touches": f"select {TOUCHES}, _file, _row, _night from touches"},
    )
    said = {"touch_id": "t1", "user_id": "k1", "channel": "email", "sent_at": "2026-03-01T09:00:00Z"}
    empty = dict.fromkeys(TOUCHES.split(","))
    rows = [{**empty, **said, "unsubscribed_at": True}, {**empty, **said, "touch_id": "t2", "bounced_at": "2026-03-02T09:00:00Z"}]
    shop.drop(TONIGHT, "touches.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    shop.run(TONIGHT)
    assert stops(shop) == [("k1", None, "email", None, None, "unsubscribed"), ("k1", None, "email", None, AT, "bounced")]


# -- no row is lost before it is judged --------------------------------------------------------------------------------


def test_a_record_of_a_daily_file_arrived_in_the_night_of_its_file_whatever_its_date_says(new_shop: Callable, hearing: Callable) -> None:
    shop = new_shop(
        files={"consents": {"path": "{night}/consents*", "columns": CONSENTS.split(",")}},
        tables={"consents": {}},
        mappings={"consents": f"select {CONSENTS}, _file, _row, left(changed_at, 10) as _night from consents"},
    )
    hearing(
        shop=shop, consents=[consent("k1", at="03/02/2026 09:00"), consent("k2", at="2026-03-01 09:00:00"), consent("k3", at="2062-03-02")]
    )
    assert shop.ask("select arrived_on::varchar, user_id from {consents}") == [(TONIGHT, "k2")]
    assert [stop[0] for stop in stops(shop)] == ["k1", "k3"]


def test_a_record_of_an_archive_is_in_some_night_of_it_whatever_its_date_says(new_shop: Callable) -> None:
    shop = new_shop(
        last_night=TONIGHT,
        files={"consents": {"path": "consents.csv", "columns": CONSENTS.split(",")}},
        tables={"consents": {}},
        mappings={"consents": f"select {CONSENTS}, _file, _row, left(changed_at, 10) as _night from consents"},
    )
    rows = [consent("k1", at="03/02/2026 09:00"), consent("k2", at="2001-03-01 09:00:00"), consent("k3", at="2062-03-02")]
    shop.drop(".", "consents.csv", "\n".join([CONSENTS, *rows]) + "\n")
    shop.run(FIRST, TONIGHT)
    assert shop.ask("select arrived_on::varchar, user_id, reason from {suppressions} order by all") == [
        (FIRST, "k1", "unreadable"),
        (TONIGHT, "k3", "unreadable"),
    ]
    assert shop.ask("select arrived_on::varchar, user_id from {consents}") == [(FIRST, "k2")]


@pytest.mark.parametrize("table", COLUMNS)
def test_known_keys_cannot_be_skipped_where_a_row_may_withdraw(new_shop: Callable, table: str) -> None:
    shop = new_shop(
        files={table: {"path": f"{{night}}/{table}*", "columns": COLUMNS[table].split(",")}},
        tables={table: {"known_keys": "skip"}},
        mappings={table: f"select {COLUMNS[table]}, _file, _row, _night from {table}"},
    )
    with pytest.raises(UserOpsError, match=f"tables.{table}.known_keys: skip would leave out who withdraws"):
        _ = shop.source


def test_every_column_of_a_consent_or_stop_that_decides_is_closed_or_has_a_form() -> None:
    deciding = {
        f"{table}.{name}"
        for table, names in {"consents": ["channel", "purpose", "state", "contact_point"], "touches": ["channel", "contact_point"],
                             "suppressions": ["channel", "purpose", "reason", "contact_point"]}.items()
        for name in names
        if not (tables()[table].column(name).only or tables()[table].column(name).format == "contact_point")
    }  # fmt: skip
    assert deciding == set()
