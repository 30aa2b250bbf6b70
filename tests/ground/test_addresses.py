"""Addresses: the spellings of one are one, what is none is none, and SQL's short way says what the library says."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from userops_pipeline.ground import addresses
from userops_pipeline.ground.addresses import INVISIBLE, normal

EMAILS = {
    "k1@x.example": [
        "K1@X.Example", " k1@x.example\u00a0", "k1\u200b@x.example", "k1\u00ad@x.example", "\ufeffk1@x.example", "\u202ek1@x.example\u202c",
        "k1\u2060@x.example", "k1\ufe0f@x.example", "<k1@x.example>", "Kay One <k1@x.example>", '"One, Kay" <k1@x.example>', "k1@x.example (Kay)",
        "mailto:k1@x.example", "MAILTO:k1%40x.example?subject=a%20b", "<mailto:k1@x.example>", "smtp:k1@x.example", "k1@x.example.", "k1@x.example;",
        "'k1@x.example'", "\uff4b\uff11\uff20\uff58\uff0eexample", "k1@x\u3002example", "k1 @ x.example", "\tk1@x.example\r\n",
    ],
    "jos\u00e9@x.example": ["jose\u0301@x.example", "JOS\u00c9@x.example", "jose\u200d\u0301@x.example"],
    "k1@xn--bcher-kva.example": ["k1@b\u00fccher.example", "k1@bu\u0308cher.example", "k1@XN--BCHER-KVA.example", "k1@B\u00dcCHER.example"],
    "a@shop.test": ["A@shop.test"],
    "a@mail.local": ["a@mail.local"],
}  # fmt: skip
NO_EMAILS = ["", " ", "k1", "k1@", "@x.example", "k1@x", "k1@x..example", "k1 x@x.example", "a@x.example; b@x.example", "k1@[10.0.0.1]", '"k 1"@x.example',
             "k1@x.example\x07", "k1\ufffd@x.example", "mailto:?to=k1@x.example", "k" * 1001 + "@x.example", "k1@xn--a.example"]  # fmt: skip
PHONES = {
    ("+86", "+8613800000001"): [
        "13800000001", "138 0000 0001", "(138) 0000-0001", "008613800000001", "+86 138 0000 0001", "\uff0b\uff18\uff16\uff11\uff13\uff18\uff10\uff10\uff10\uff10\uff10\uff10\uff10\uff11",
        "\u0661\u0663\u0668\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0661", "tel:+86-138-0000-0001", "138\u200b00000001", "\u202d13800000001\u202c", "13800000001 ext. 12", "tel:13800000001;ext=12",
        "tel:13800000001;phone-context=+86", "'13800000001", "13800000001.0", "138\u201300000001", "<13800000001>", "86 13800000001", "whatsapp:+8613800000001",
    ],
    ("+86", "+442079460958"): ["+44 (0)20 7946 0958", "0044 20 7946 0958", "+44 20 7946 0958 x12"],
    ("+44", "+442079460958"): ["020 7946 0958", "(020) 7946 0958", "+442079460958", "00442079460958"],
    ("+1", "+12025550123"): ["202-555-0123", "(202) 555-0123", "1-202-555-0123", "001 202 555 0123", "011 1 202 555 0123"],
    ("+39", "+390612345678"): ["06 1234 5678", "+39 06 1234 5678"],
    (None, "+8613800000001"): ["+86 13800000001", "0086 13800000001"],
}  # fmt: skip
NO_PHONES = [
    "",
    "12",
    "138-CALL-ME",
    "call me",
    "+",
    "13800000001 13800000002",
    "13800000001;13800000002",
    "13800000001+86",
    "+999 12345678",
    "1.38e10",
    "+86 12",
]
CHANNELS = [*addresses.EMAIL_CHANNELS, *addresses.PHONE_CHANNELS, *addresses.OTHER_CHANNELS, None, "pigeon"]


@pytest.fixture(scope="module")
def sql() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        addresses.register(connection)
        yield connection


@pytest.mark.parametrize(("right", "spelling"), [(right, spelling) for right, spellings in EMAILS.items() for spelling in spellings])
def test_the_spellings_of_an_e_mail_address_are_one(right: str, spelling: str) -> None:
    assert normal("email", spelling, None) == right
    assert normal("email", right, None) == right


@pytest.mark.parametrize(
    ("prefix", "right", "spelling"), [(*right, spelling) for right, spellings in PHONES.items() for spelling in spellings]
)
def test_the_spellings_of_a_phone_number_are_one(prefix: str | None, right: str, spelling: str) -> None:
    assert normal("sms", spelling, prefix) == right


@pytest.mark.parametrize(("channel", "text"), [*(("email", text) for text in NO_EMAILS), *(("sms", text) for text in NO_PHONES)])
def test_what_is_no_address_is_none(channel: str, text: str) -> None:
    assert normal(channel, text, "+86") is None


def test_an_address_without_a_form_of_its_own_keeps_its_case() -> None:
    assert normal("postal", " Household\u00a0 12\u200b", None) == "Household 12"
    assert normal("push", "aB\x00c", None) is None


def test_an_address_of_no_known_channel_is_read_as_what_it_looks_like() -> None:
    assert [normal(None, text, "+86") for text in ("K1@x.example", "138 0000 0001", "Token-7")] == [
        "k1@x.example",
        "+8613800000001",
        "Token-7",
    ]


def test_every_format_character_is_invisible() -> None:
    formats = "".join(chr(code) for code in range(sys.maxunicode) if unicodedata.category(chr(code)) == "Cf")
    assert addresses.clean(formats) == ""
    assert INVISIBLE.isascii() is False


# -- the short way and the long one ------------------------------------------------------------------------------------

PIECES = st.sampled_from(["k1", "A.b", "x.example", "@", ".", "-", "--", "_", " ", "+", "0", "00", "86", "+86", "138", "0000", "1", "011", "44", "xn--", "co",
                          "\u200b", "\u00e9", "\uff21", "<", ">", "'", "ext 1", "12345678901", "(0)", "\x01", "mailto:"])  # fmt: skip
TEXTS = st.lists(PIECES, max_size=9).map("".join) | st.text(max_size=12) | st.text("0123456789+- ", max_size=17)
PREFIXES = ["+86", "+1", "+44", "+39", "+52", "+49", "+61", "+7", "+800", None]


@settings(max_examples=20, deadline=None)
@given(st.lists(TEXTS, min_size=20, max_size=60), st.sampled_from(PREFIXES))
def test_sql_says_what_python_says(sql: duckdb.DuckDBPyConnection, texts: list[str], prefix: str | None) -> None:
    texts = [text.replace("\x00", "") for text in texts]
    rows = [(text, channel) for text in texts for channel in CHANNELS]
    sql.execute("create or replace temp table t (i integer, text varchar, channel varchar)")
    values = ", ".join(["(?, ?, ?)"] * len(rows))
    sql.execute(f"insert into t values {values}", [value for i, row in enumerate(rows) for value in (i, *row)])
    said = sql.execute(
        f"select {addresses.normal_sql('channel', 'text', prefix)}, {addresses.word_sql('text')}, {addresses.clean_sql('text')} from t order by i"
    ).fetchall()
    assert said == [(normal(channel, text, prefix), addresses.word(text), addresses.clean(text) or None) for text, channel in rows]


@settings(max_examples=300, deadline=None)
@given(st.from_regex(addresses.PLAIN_EMAIL, fullmatch=True).filter(str.isascii))
def test_the_library_makes_of_a_plain_e_mail_address_the_same_in_lower_case(text: str) -> None:
    if addresses.is_plain_email(text):
        assert addresses._validated_email(text) == text.lower()


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(PREFIXES[:-2]), st.text("0123456789", min_size=4, max_size=12))
def test_the_library_makes_of_a_plain_phone_number_itself(prefix: str, national: str) -> None:
    if addresses.is_plain_e164(prefix + national):
        assert addresses._parsed_phone(prefix + national, None) == prefix + national


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(PREFIXES[:-2]), st.lists(st.text("0123456789", min_size=6, max_size=13), min_size=60, max_size=60))
def test_sql_makes_of_a_plain_national_number_what_the_library_does(
    sql: duckdb.DuckDBPyConnection, prefix: str, nationals: list[str]
) -> None:
    # Where the short way answers, `concat` is not reached, which would give the text with the prefix behind it.
    short = addresses.phone_sql("text", prefix).replace("userops_phone", "concat")
    texts = [f"{front}{national}" for national in nationals for front in ("", prefix)]
    said = sql.execute(f"select {short} from (select unnest(?) as text)", [texts]).fetchall()
    asked = [(text, found) for text, (found,) in zip(texts, said, strict=True) if found != text + prefix]
    assert asked == [(text, addresses._parsed_phone(text, prefix)) for text, _ in asked]


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.sampled_from(CHANNELS), st.sampled_from(PREFIXES))
def test_a_normal_form_is_its_own(text: str, channel: str | None, prefix: str | None) -> None:
    once = normal(channel, text, prefix)
    assert once is None or normal(channel, once, prefix) == once
