"""Conditions that pass for SQL and end the build on some night: refused before it, by what is wrong with them; what is accepted never dies."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from userops_pipeline.rulebook.condition import Typist

COLUMNS = {
    "order_count": "bigint",
    "days": "integer",
    "score": "double",
    "spend": "decimal(18, 2)",
    "region": "varchar",
    "since_on": "date",
    "seen_at": "timestamp",
    "is_member": "boolean",
}

DYING = {
    "order_count % 0 = 1": "may divide by 0",
    "order_count % days = 1": "may divide by 0",
    "1 / order_count > 1": "may divide by 0",
    "1 / (order_count - order_count) > 1": "may divide by 0",
    "1 / 0.0 > 1": "may divide by 0",
    "1 / 0.0000000000000000000000000000000001 > 1": "may divide by 0",
    "1 / nullif(order_count, 1) > 1": "may divide by 0",
    "1 / greatest(order_count, 0) > 1": "may divide by 0",
    "order_count * 1000000000000000000 > 1": "grow too large",
    "order_count * order_count * order_count > 1": "grow too large",
    "spend * spend * spend > 1": "grow too large",
    "order_count > 99999999999999999999": "too large",
    "spend > 1e400": "too large",
    "order_count > 1_000": "a number with _ in it",
    "order_count > 0x1F": "",
    "cast(order_count as tinyint) > 1": "may not fit",
    "cast(score as integer) > 1": "may not fit",
    "cast(spend as decimal(3, 1)) > 1": "may not fit",
    "cast(region as integer) > 1": "write try_cast",
    "cast('abc' as integer) > 1": "may not fit",
    "cast('2024-02-30' as date) > since_on": "may not fit",
    "cast(upper(region) as integer) > 1": "write try_cast",
    "try_cast(region as interval) is null": "a cast to interval is not allowed",
    "try_cast(region as uuid) is null": "a cast to uuid is not allowed",
    "try_cast(region as hugeint) > 1": "is not allowed",
    "since_on > '2024-02-30'": "is not a date",
    "since_on > '20240101'": "is not a date",
    "since_on > '2024-W01-1'": "is not a date",
    "since_on > 'yesterday'": "is not a date",
    "since_on in ('2024-01-01', region)": "is not a date",
    "since_on + 1000000 > since_on": "calculates with",
    "since_on - interval 100000000 year > since_on": "is not allowed",
    "extract(epoch from seen_at) > 1": "extract takes",
    "extract(dow from since_on) > 1": "extract takes",
    "region like 'a\\'": "without a backslash",
    "region like 'a!' escape '!'": "is not allowed",
    "region like region": "needs a text in quotes",
    "region > 1": "explicit cast is required",
    "case when is_member then order_count else 'none' end > 3": "put quotes around texts",
    "case when is_member then 1 else region end = 1": "explicit cast is required",
    "coalesce(order_count, 'x') = 1": "put quotes around texts",
    "order_count in ()": "in () is empty",
    "regexp_matches(region, '(')": "is not allowed",
    "substr(region, 99999999999) = 'x'": "is not allowed",
    "repeat(region, 1000000000) = 'x'": "is not allowed",
    "round(spend, 100000) > 1": "round takes",
    "round(spend, order_count) > 1": "round takes",
    "(" * 900 + "is_member" + ")" * 900: "nested",
    "not " * 400 + "is_member": "nested",
    "-" + " -" * 400 + " 1 > order_count": "nested",
}


@pytest.fixture(scope="module")
def typist() -> Typist:
    return Typist(COLUMNS)


@pytest.mark.parametrize("condition", DYING, ids=range(len(DYING)))
def test_what_could_end_a_build_is_refused_before_it(typist: Typist, condition: str) -> None:
    faults = typist.faults(condition)
    assert faults
    assert DYING[condition] in " ".join(faults)


@pytest.mark.parametrize(
    "condition",
    [
        "order_count + 1 > 3 and days * 24 > 100",
        "spend / nullif(order_count, 0) > 12.5",
        "spend * 0.1 > 1e3",
        "order_count % 7 = 1",
        "order_count / -2 < 1",
        "since_on >= '2024-02-29' and seen_at < '2024-01-01 12:00:00'",
        "try_cast(region as integer) between 1 and 5",
        "round(score, 2) > 0.5",
        "extract(month from since_on) in (11, 12)",
        "case when is_member then spend else 0 end > 100",
        " or ".join(f"region = 'r{number}'" for number in range(90)),
    ],
)
def test_what_people_write_is_accepted(typist: Typist, condition: str) -> None:
    assert typist.faults(condition) == []


NUMBERS = st.recursive(
    st.sampled_from(["order_count", "days", "score", "spend", "0", "1", "7", "0.5", "1e6", "1000000000", "9223372036854775807", "null"]),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/%"), inner),
        st.builds("({} {} nullif({}, 0))".format, inner, st.sampled_from("/%"), inner),
        st.builds("(- {})".format, inner),
        st.builds("{}({})".format, st.sampled_from(["abs", "ceil", "floor", "round"]), inner),
        st.builds("{}({}, {})".format, st.sampled_from(["coalesce", "nullif", "greatest", "least", "round"]), inner, inner),
        st.builds(
            "{}({} as {})".format,
            st.sampled_from(["cast", "try_cast"]),
            inner,
            st.sampled_from(["tinyint", "integer", "bigint", "double", "decimal(38, 10)", "decimal(9, 2)", "varchar", "boolean"]),
        ),
        st.builds("case when is_member then {} else {} end".format, inner, inner),
        st.builds("length(cast({} as varchar))".format, inner),
    ),
    max_leaves=6,
)
TEXTS = st.sampled_from(["region", "'x'", "upper(region)", "trim(region)", "region || 'x'", "'2024-01-01'", "''"])
CONDITIONS = st.one_of(
    st.builds("{} {} {}".format, NUMBERS, st.sampled_from(["=", "<>", "<", ">=", "is distinct from"]), NUMBERS),
    st.builds("{} between {} and {}".format, NUMBERS, NUMBERS, NUMBERS),
    st.builds("try_cast({} as {}) > {}".format, TEXTS, st.sampled_from(["integer", "double", "date", "decimal(38, 20)"]), NUMBERS),
    st.builds("{} in ({}, {})".format, TEXTS, TEXTS, TEXTS),
    st.builds("{} >= {}".format, st.sampled_from(["since_on", "seen_at"]), TEXTS),
    st.builds("extract({} from {}) = {}".format, st.sampled_from(["year", "week"]), st.sampled_from(["since_on", "seen_at"]), NUMBERS),
)


@pytest.fixture(scope="module")
def night() -> duckdb.DuckDBPyConnection:
    """Many users as they may be on some night: other values than those a condition is tried on."""
    connection = duckdb.connect()
    connection.execute(
        """
        create table users as
        select
            cast(case i % 5 when 0 then null when 1 then hash(i, 1) % 1000000000 else hash(i, 2) % 20 end as bigint) as order_count,
            cast(case i % 7 when 0 then null else (hash(i, 3) % 2000)::bigint - 1000 end as integer) as days,
            case i % 3 when 0 then null else (hash(i, 4) % 1000000)::double / 1000000 * (10 ** (i % 12)) end as score,
            cast(case i % 4 when 0 then null when 1 then -0.01 else (hash(i, 5) % 100000000000000)::bigint / 100 end as decimal(18, 2)) as spend,
            case i % 6 when 0 then null when 1 then '' when 2 then '12' when 3 then '1e5' when 4 then '2024-02-30' else '北京' end as region,
            date '2000-01-01' + (hash(i, 6) % 20000)::integer as since_on,
            timestamp '2000-01-01' + to_seconds((hash(i, 7) % 1000000000)::bigint) as seen_at,
            i % 2 = 0 as is_member
        from range(3000) as t(i)
        """
    )
    return connection


@settings(max_examples=80, deadline=None)
@given(CONDITIONS)
def test_what_is_accepted_dies_on_no_night(typist: Typist, night: duckdb.DuckDBPyConnection, condition: str) -> None:
    if not typist.faults(condition):
        night.execute(f"select count(*) from users where {condition}").fetchall()
