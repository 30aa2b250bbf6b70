"""Promises of the personas: their intervals and p-values are scipy's and those in print, computed by the compiled SQL on small populations.

Add a case when a formula of macros/rules/proportions.sql or its use changes. Must not know the rules of a tag or segment.
"""

from __future__ import annotations

import re
from typing import Any

import duckdb
import numpy as np
import pytest
from scipy import stats

from tests.changed_project import GROCER
from userops_pipeline.rulebook.current import described

Models = dict[str, dict[str, Any]]
Column = np.ndarray[Any, Any]


def personas(
    compiled: dict[str, str], models: Models, segments: dict[str, Column], tags: dict[str, Column], **attributes: Column
) -> duckdb.DuckDBPyConnection:
    """segment_personas of a population, each segment, tag and attribute one value per user; other tags and attributes are empty."""
    users = len(next(iter(segments.values())))
    con = duckdb.connect()
    con.execute("create schema marts")
    flags = [name for name, column in models["user_tags"]["columns"].items() if "when" in column["config"]["meta"]]
    assert set(tags) <= set(flags)
    ids = np.arange(users)
    held = [tags.get(name, np.zeros(users, bool)).tolist() for name in flags]
    con.execute(
        f"create table marts.user_tags as select {', '.join(f'unnest(?) as {name}' for name in ('user_id', *flags))}",
        [list(map(str, ids)), *held],
    )
    shown = [entry["name"] for entry in described(GROCER).rules_of("segment_personas")["personas"]["attributes"]]
    con.execute("create table marts.user_profile (user_id varchar" + "".join(f", {name} varchar" for name in shown) + ")")
    con.executemany(
        f"insert into marts.user_profile values ({', '.join('?' * (len(shown) + 1))})",
        [[str(user), *(attributes[name][user] if name in attributes else None for name in shown)] for user in ids],
    )
    con.execute("create table marts.segment_members (segment varchar, user_id varchar)")
    for segment, members in segments.items():
        con.executemany("insert into marts.segment_members values (?, ?)", [[segment, str(user)] for user in np.flatnonzero(members)])
    sql = re.sub(r'"\w+"\."marts"\.', "marts.", compiled["segment_personas"])
    con.execute(f"create table marts.segment_personas as {sql}")
    return con


def first(count: int, of: int) -> Column:
    return np.arange(of) < count


def test_newcombes_own_example(compiled: dict[str, str], models: Models) -> None:
    """Statistics in Medicine 17, 1998, table II, example (a), method 10: 56/70 - 48/80 is 0.2 with 0.0524 to 0.3339."""
    segment = first(70, 150)
    tagged = first(56, 150) | ((np.arange(150) >= 70) & (np.arange(150) < 70 + 48))
    con = personas(compiled, models, {"one": segment}, {"new_user": tagged})
    row = con.execute(
        "select difference, difference_low, difference_high, over_index from marts.segment_personas where trait = 'new_user'"
    ).fetchone()
    assert row is not None
    assert [round(float(value), 4) for value in row] == [0.2, 0.0524, 0.3339, round((56 / 70) / (104 / 150), 4)]


def test_every_interval_and_p_value_is_scipys(compiled: dict[str, str], models: Models) -> None:
    rng, users = np.random.default_rng(5), 900
    flags = [name for name, column in models["user_tags"]["columns"].items() if "when" in column["config"]["meta"]]
    segments = {name: rng.random(users) < share for name, share in (("small", 0.06), ("half", 0.5), ("large", 0.9))}
    tags = {name: rng.random(users) < np.where(segments["half"], rng.uniform(0.02, 0.6), rng.uniform(0.02, 0.6)) for name in flags}
    con = personas(compiled, models, segments, tags, region=rng.choice(["north", "south"], users))
    rows = con.execute(
        "select segment, user_count, segment_user_count, base_user_count, base_size_count, difference, difference_low, difference_high, "
        "p_value, adjusted_p_value, is_distinct from marts.segment_personas where eligibility = 'eligible' order by all"
    ).fetchall()
    assert len(rows) > 150
    found: dict[str, list[tuple[float, float, bool]]] = {}
    for segment, inside, size, base, everybody, difference, low, high, p_value, adjusted, distinct in rows:
        outside, rest = base - inside, everybody - size
        p, q = inside / size, outside / rest
        one = stats.binomtest(inside, size).proportion_ci(method="wilson")
        other = stats.binomtest(outside, rest).proportion_ci(method="wilson")
        expected_low = p - q - np.hypot(p - one.low, other.high - q)
        expected_high = p - q + np.hypot(one.high - p, q - other.low)
        assert [float(difference), float(low), float(high)] == pytest.approx([p - q, expected_low, expected_high], abs=6e-7)
        # The pooled z-test is the chi-square test of the table without correction.
        table = [[inside, size - inside], [outside, rest - outside]]
        expected_p = stats.chi2_contingency(table, correction=False)[1]
        assert float(p_value) == pytest.approx(expected_p, rel=2e-7, abs=6e-10)
        found.setdefault(segment, []).append((expected_p, float(adjusted), distinct))
    for of_segment in found.values():
        expected = stats.false_discovery_control([p for p, _, _ in of_segment], method="bh")
        assert [adjusted for _, adjusted, _ in of_segment] == pytest.approx(expected.tolist(), rel=2e-7, abs=6e-10)
        assert [distinct for _, _, distinct in of_segment] == (expected <= 0.05).tolist()
    assert any(distinct for _, _, distinct in found["half"])


def test_false_discoveries_keep_their_rate(compiled: dict[str, str], models: Models) -> None:
    """A segment drawn by lot differs in nothing: seldom is any of its seventy tags called distinct (at most 5 % of segments by the method)."""
    rng, users = np.random.default_rng(11), 600
    flags = [name for name, column in models["user_tags"]["columns"].items() if "when" in column["config"]["meta"]]
    segments = {f"lot_{number}": rng.random(users) < 0.4 for number in range(60)}
    tags = {name: rng.random(users) < rng.uniform(0.1, 0.9) for name in flags}
    con = personas(compiled, models, segments, tags)
    [(all_traits, hits, wrong)] = con.execute(
        "select count(*), count(*) filter (p_value <= 0.05), count(distinct segment) filter (is_distinct) from marts.segment_personas where eligibility = 'eligible'"
    ).fetchall()
    assert all_traits == 60 * len(flags)
    assert 0.03 < hits / all_traits < 0.07  # without the correction: one in twenty
    assert wrong <= 9  # binomial(60, 0.05) exceeds 9 once in 2,000


@pytest.mark.parametrize(
    ("size", "tagged", "reason"),
    [
        (29, 60, "not_eligible: fewer than 30 users in the segment"),
        (75, 60, "not_eligible: fewer than 30 users outside it"),
        (100, 60, "not_eligible: the segment is everybody"),
        (50, 9, "not_eligible: fewer than 5 expected in a cell"),
        (50, 91, "not_eligible: fewer than 5 expected in a cell"),
        (50, 10, "eligible"),
    ],
)
def test_too_few_users_get_a_reason_instead_of_a_number(
    compiled: dict[str, str], models: Models, size: int, tagged: int, reason: str
) -> None:
    con = personas(compiled, models, {"one": first(size, 100)}, {"new_user": first(tagged, 100)})
    row = con.execute("select eligibility, p_value is null, difference_low is null, over_index from marts.segment_personas").fetchall()
    assert [each[:3] for each in row] == [(reason, reason != "eligible", reason != "eligible")]
    assert float(row[0][3]) == pytest.approx((min(size, tagged) / size) / (tagged / 100), abs=1e-4)
