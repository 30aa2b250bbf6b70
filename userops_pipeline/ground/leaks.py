"""Leaks: how a text that holds somebody's address is told from any other, in SQL, so that nothing but the contact table and the lists holds one.

Here live the patterns and the counts that the gate asks of what arrived and publishing of what everybody will read; add a way of writing an
address here. Must not show a value: what is found is a column and a count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import duckdb

from userops_pipeline.ground.sql import identifier, quoted

# Every address has one of these signs, and hardly any other text: only where one stands is a pattern tried.
_SIGNS = ("@", "＠", "%40", "+", "＋", "%2B")
_WORD = r"[^\s@＠<>\"'(),:;=&?/\\|\[\]{}]"
EMAIL = rf"{_WORD}+(?:@|＠|%40){_WORD}+\.[\p{{L}}][\p{{L}}\d-]+"
PHONE = r"(?:^|[^\d+])(?:\+|＋|%2B)[1-9](?:[ ().-]{0,2}\d){7,14}(?:$|\D)"
# A Chinese mobile number without its country: only digits, as an id may be.
MOBILE = r"1[3-9]\d[ -]?\d{4}[ -]?\d{4}"
OVER_DATA = re.compile(r"\b(?:Conversion|Invalid Input|Out of Range|Constraint|Mismatch Type|Parameter Not Allowed) Error\b")
# Numbers given out one after another fill their range; those of people lie thousands apart.
SPARSE = 1000

REMEDY = (
    "an id or a name that is somebody's address must not leave the lake. Let the mapping hash it "
    "(for example sha256(lower(trim(user_no)))), the same way in every table"
)


def without_values(message: str) -> str:
    """What a database says of an error, without the values of rows that it quotes: of errors over data their kind alone."""
    kind = OVER_DATA.search(message)
    if kind:
        return f"{kind[0]}: a value is not what the SQL takes it for"
    lines = [line for line in message.splitlines() if "'" not in line]
    return " ".join(re.sub(r"\S*[@＠]\S*|\+?\d{7,}", "…", " ".join(lines)).split())


def looks_like_address(text: str) -> str:
    """SQL: whether a text holds an e-mail address or an international phone number; null for null."""
    return f"case when {_has_sign(text)} then regexp_matches({text}, {quoted(EMAIL)}) or regexp_matches({text}, {quoted(PHONE)}) else false end"


def _has_sign(text: str) -> str:
    return "(" + " or ".join(f"contains({text}, {quoted(sign)})" for sign in _SIGNS) + ")"


def addresses_in(connection: duckdb.DuckDBPyConnection, relation: str, columns: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Columns of a relation that hold addresses, and in how many rows; one scan, and another of columns that have a sign of one.

    Bare mobile numbers count where they are at least half of a column and do not follow upon one another, as given-out ids do.
    """
    names = list(columns)
    if not names:
        return
    signs = [f"bool_or({_has_sign(text)} or (strlen({text}) in (11, 13) and {text}[1] = '1'))" for text in map(identifier, names)]
    found = connection.execute(f"select {', '.join(signs)} from {relation}").fetchone()
    assert found is not None
    for name in (name for name, has_sign in zip(names, found, strict=True) if has_sign):
        text = identifier(name)
        number = f"cast(regexp_replace({text}, '[ -]', '', 'g') as bigint)"
        sure, filled, mobiles, width, distinct = connection.execute(
            f"select count(*) filter (where {looks_like_address(text)}), count({text}), count(m), coalesce(max(m) - min(m), 0), count(distinct m) "
            f"from (select {text}, case when regexp_full_match({text}, {quoted(MOBILE)}) then {number} end as m from {relation})"
        ).fetchone() or (0, 0, 0, 0, 0)
        is_bare = mobiles and 2 * mobiles >= filled and (distinct == 1 or width / distinct >= SPARSE)
        if sure or is_bare:
            yield name, max(sure, mobiles if is_bare else 0)
