"""Promises of comparisons among likes: their figures are scipy's and those in print, and what strata explain is no finding.

Add a promise when comparisons get a figure. Must not build the project: the compiled SQL runs on a table of users drawn here.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from tests.changed_project import GROCER
from userops_pipeline.rulebook.current import described

Models = dict[str, dict[str, Any]]
Flags = npt.NDArray[np.bool_]


def behaviours(models: Models) -> list[str]:
    return [each["name"] for each in described(GROCER).rules_of("churn_precursors")["precursors"]["behaviours"]]


def precursors(compiled: dict[str, str], models: Models, strata: npt.NDArray[np.integer], churned: Flags, did: dict[str, Flags]) -> dict[str, dict[str, Any]]:  # fmt: skip
    """churn_precursors of these users, by behaviour; a behaviour not given nobody showed."""
    names = behaviours(models)
    with duckdb.connect() as con:
        con.execute("create schema intermediate; create table intermediate.int_clock as select date '2024-03-30' as as_of")
        columns = [strata // 5, strata % 5, churned, *(did.get(name, np.zeros(len(strata), bool)) for name in names)]
        listed = ", ".join(
            f"unnest(?) as {name}" for name in ("tenure_band", "value_group", "has_churned", *(f"did_{name}" for name in names))
        )
        con.execute(
            f"create table intermediate.int_user_lookback as select true as is_settled, true as was_there, 0 as active_band, {listed}",
            [column.tolist() for column in columns],
        )
        found = con.sql(re.sub(r'"\w+"\."intermediate"\.', "intermediate.", compiled["churn_precursors"]))
        return {row[0]: dict(zip(found.columns, row, strict=True)) for row in found.fetchall()}


def by_hand(strata: npt.NDArray[np.integer], churned: Flags, did: Flags) -> tuple[float, float, float]:
    """Mantel and Haenszel's difference, Sato's standard error of it, and the Cochran-Mantel-Haenszel statistic without correction."""
    weight = excess = p = q = variance = 0.0
    for each in np.unique(strata):
        here = strata == each
        n, m = int((did & here).sum()), int((~did & here).sum())
        if n == 0 or m == 0:
            continue
        a, b, total = int((churned & did & here).sum()), int((churned & ~did & here).sum()), n + m
        weight += n * m / total
        excess += (a * m - b * n) / total
        p += (n**2 * b - m**2 * a + n * m * (m - n) / 2) / total**2
        q += (a * (m - b) + b * (n - a)) / (2 * total)
        variance += float(stats.hypergeom(total, a + b, n).var())
    difference = excess / weight
    return difference, float(np.sqrt((difference * p + q) / weight**2)), excess**2 / variance


def test_berkeley_admissions_as_r_prints_them(compiled: dict[str, str], models: Models) -> None:
    """UCBAdmissions: `mantelhaen.test` of R gives 1.4269 with the correction by 1/2; crude, men were admitted far more often (0.1416)."""
    # By department: men admitted and rejected, women admitted and rejected.
    table = [(512, 313, 89, 19), (353, 207, 17, 8), (120, 205, 202, 391), (138, 279, 131, 244), (53, 138, 94, 299), (22, 351, 24, 317)]
    cells = [(department, admitted, is_man, count) for department, row in enumerate(table) for count, (is_man, admitted) in
             zip(row, ((True, True), (True, False), (False, True), (False, False)), strict=True)]  # fmt: skip
    strata, admitted, men = (np.repeat([cell[column] for cell in cells], [cell[3] for cell in cells]) for column in range(3))
    found = precursors(compiled, models, strata, admitted, {"payment_failed": men})["payment_failed"]
    assert (found["user_count"], found["with_count"], found["churned_with_count"]) == (4526, 2691, 1198)
    assert float(found["difference"]) == pytest.approx(0.1416, abs=5e-5)
    spread = sum(stats.hypergeom(sum(row), row[0] + row[2], row[0] + row[1]).var() for row in table)
    statistic = float(stats.norm.isf(float(found["matched_p_value"]) / 2)) ** 2
    assert (np.sqrt(statistic * spread) - 0.5) ** 2 / spread == pytest.approx(1.4269, abs=5e-5)
    assert found["verdict"] == "no_difference"  # among likes women were rather ahead
    assert float(found["matched_difference"]) < 0 < float(found["matched_high"])


def test_every_figure_is_that_of_the_formulas(compiled: dict[str, str], models: Models) -> None:
    rng, users = np.random.default_rng(3), 4000
    strata = rng.integers(0, 20, users)
    churned = rng.random(users) < 0.1 + 0.04 * strata
    did = {name: rng.random(users) < np.clip(0.02 * number + 0.02 * strata, 0, 1) for number, name in enumerate(behaviours(models))}
    churned |= did["complained"] & (rng.random(users) < 0.2)
    found = precursors(compiled, models, strata, churned, did)
    crude, matched = [], []
    for name, row in found.items():
        assert row["eligibility"] == "eligible"
        difference, error, statistic = by_hand(strata, churned, did[name])
        assert [float(row[key]) for key in ("matched_difference", "matched_low", "matched_high")] == pytest.approx(
            [difference, difference - stats.norm.isf(0.025) * error, difference + stats.norm.isf(0.025) * error], abs=1e-6
        )
        matched.append((float(stats.chi2.sf(statistic, 1)), float(row["matched_p_value"]), float(row["matched_adjusted_p_value"])))
        table = [[(did[name] & churned).sum(), (did[name] & ~churned).sum()], [(~did[name] & churned).sum(), (~did[name] & ~churned).sum()]]
        crude.append((stats.chi2_contingency(table, correction=False)[1], float(row["p_value"]), float(row["adjusted_p_value"])))
        assert float(row["difference"]) == pytest.approx(churned[did[name]].mean() - churned[~did[name]].mean(), abs=1e-6)
        assert float(row["churner_share"]) == pytest.approx(did[name][churned].mean(), abs=1e-6)
        assert float(row["stayer_share"]) == pytest.approx(did[name][~churned].mean(), abs=1e-6)
    for of_kind in (crude, matched):
        expected = [p for p, _, _ in of_kind]
        assert [p for _, p, _ in of_kind] == pytest.approx(expected, rel=2e-7, abs=6e-10)
        assert [p for _, _, p in of_kind] == pytest.approx(
            stats.false_discovery_control(expected, method="bh").tolist(), rel=2e-7, abs=6e-10
        )
    assert found["complained"]["is_precursor"]
    # Every behaviour is more common where churn is, by strata alone: crude, all differ; among likes, the one that matters.
    assert all(p < 0.001 for p, _, _ in crude)
    assert [name for name, row in found.items() if row["verdict"] != "no_difference"] == ["complained"]


def test_intervals_hold_what_they_promise(compiled: dict[str, str], models: Models) -> None:
    """Nineteen of twenty 95 % intervals cover the true difference, also where strata hold a dozen users each."""
    rng, covered = np.random.default_rng(8), 0
    for _ in range(12):
        strata = rng.integers(0, 100, 1200)
        did = rng.random(1200) < 0.3
        churned = rng.random(1200) < rng.uniform(0.1, 0.5, 100)[strata] + 0.15 * did
        row = precursors(compiled, models, strata, churned, {"complained": did})["complained"]
        covered += row["matched_low"] <= 0.15 <= row["matched_high"]
    assert covered >= 9  # binomial(12, 0.95) is below 9 once in 400


@pytest.mark.parametrize(
    ("users", "with_it", "churned", "strata", "reason"),
    [
        (0, 0, 0, 1, "not_eligible: fewer than 30 users with it"),
        (200, 29, 100, 1, "not_eligible: fewer than 30 users with it"),
        (200, 171, 100, 1, "not_eligible: fewer than 30 users without it"),
        (200, 50, 19, 1, "not_eligible: fewer than 5 expected in a cell"),
        (200, 50, 20, 1, "eligible"),
        (200, 50, 100, 2, "not_eligible: fewer than 30 have a like to be compared with"),
    ],
)
def test_too_few_users_get_a_reason_instead_of_a_number(
    compiled: dict[str, str], models: Models, users: int, with_it: int, churned: int, strata: int, reason: str
) -> None:
    order = np.arange(users)
    did = order < with_it
    of = did.astype(int) if strata == 2 else np.zeros(users, int)  # in two strata nobody has a like
    row = precursors(compiled, models, of, order % max(users, 1) * 7 % max(users, 1) < churned, {"complained": did})["complained"]
    assert row["eligibility"] == reason
    assert (row["matched_difference"] is None) == (row["p_value"] is None) == (reason != "eligible")
    assert (row["verdict"] == "not_eligible") == (reason != "eligible")
    assert row["measured_on"] == date(2023, 12, 31)
