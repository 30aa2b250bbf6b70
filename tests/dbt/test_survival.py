"""The estimate of survival: the numbers lifelines gives for two published samples, and those of plain numpy for any other.

Add a sample whose estimates somebody published. Must not know who churned or when: lives are written into int_user_lifetime as they are.
The samples are the survival times themselves; the expected figures were computed once with lifelines 0.30.3 (KaplanMeierFitter).
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np
import pytest

AS_OF = date(2024, 12, 31)
Lives = list[tuple[int, bool]]

# Remission in weeks under 6-mercaptopurine (Freireich et al. 1963; in R as MASS::gehan, in lifelines load_leukemia), True where it ended.
MERCAPTOPURINE: Lives = [(t, True) for t in (6, 6, 6, 7, 10, 13, 16, 22, 23)] + [
    (t, False) for t in (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)
]
# Lives of flies with the microRNA miR-137 (Walton's data, lifelines load_waltons): everybody died.
MIR_137: Lives = [(t, True) for t, count in {6: 1, 9: 3, 13: 3, 15: 2, 19: 3, 22: 4, 26: 5, 29: 5, 33: 2, 36: 2, 43: 1, 47: 1, 62: 2}.items()
                  for _ in range(count)]  # fmt: skip
# age: at risk, S, Greenwood's standard error, log-log band of 95 %
PUBLISHED = {
    "mercaptopurine": {
        6: (21, 0.857143, 0.076360, 0.619718, 0.951552),
        7: (17, 0.806723, 0.086935, 0.563147, 0.922809),
        10: (15, 0.752941, 0.096350, 0.503200, 0.889362),
        13: (12, 0.690196, 0.106815, 0.431610, 0.849066),
        16: (11, 0.627451, 0.114054, 0.367511, 0.804912),
        22: (7, 0.537815, 0.128234, 0.267779, 0.746791),
        23: (6, 0.448179, 0.134591, 0.188052, 0.680143),
        35: (1, 0.448179, 0.134591, 0.188052, 0.680143),
    },
    "mir_137": {
        6: (34, 0.970588, 0.028976, 0.809010, 0.995804),
        9: (33, 0.882353, 0.055255, 0.716269, 0.954139),
        19: (25, 0.647059, 0.081957, 0.463028, 0.781831),
        26: (18, 0.382353, 0.083342, 0.223283, 0.539837),
        36: (6, 0.117647, 0.055255, 0.037243, 0.248594),
        47: (3, 0.058824, 0.040353, 0.010527, 0.171579),
        62: (2, 0.0, None, None, None),  # lifelines writes 0 for the last three; nothing is known of them, R writes NA
    },
}
MEDIANS = {"mercaptopurine": (23, 13, None), "mir_137": (26, 19, 29)}


def estimated(compiled: dict[str, str], samples: dict[str, Lives]) -> duckdb.DuckDBPyConnection:
    """The two tables over these lives, each sample a channel."""
    tables = duckdb.connect()
    tables.execute("create schema intermediate")
    tables.execute("create table intermediate.int_clock as select cast(? as date) as as_of", [AS_OF])
    tables.execute(
        "create table intermediate.int_user_lifetime (survival varchar, user_id varchar, entry_on date, churned_on date, is_observed boolean, channel varchar)"
    )
    rows = [["active_life", f"{name}{number}", AS_OF - timedelta(days=age), AS_OF if churned else None, True, name]
            for name, lives in samples.items() for number, (age, churned) in enumerate(lives)]  # fmt: skip
    tables.executemany("insert into intermediate.int_user_lifetime values (?, ?, ?, ?, ?, ?)", rows)
    for name in ("user_survival", "survival_monthly"):
        tables.execute(f"create table {name} as " + re.sub(r'"\w+"\."intermediate"\.', "intermediate.", compiled[name]))
    return tables


def curve(tables: duckdb.DuckDBPyConnection, sample: str) -> dict[int, tuple[Any, ...]]:
    rows = tables.execute(
        "select age_days, at_risk_count, survival_share::double, standard_error::double, lower_share::double, upper_share::double "
        "from user_survival where dimension = 'channel' and value = ? order by 1",
        [sample],
    ).fetchall()
    return {age: tuple(rest) for age, *rest in rows}


def test_published_samples_give_published_numbers(compiled: dict[str, str]) -> None:
    tables = estimated(compiled, {"mercaptopurine": MERCAPTOPURINE, "mir_137": MIR_137})
    for sample, published in PUBLISHED.items():
        found = curve(tables, sample)
        assert {age: found[age] for age in published} == {age: pytest.approx(row, abs=1e-6) for age, row in published.items()}
        assert found[0][1:] == (1, 0, 1, 1)
    medians = tables.execute(
        "select value, median_days, median_lower_days, median_upper_days from survival_monthly where dimension = 'channel' and month_on = '2024-12-01'"
    ).fetchall()
    assert {value: tuple(rest) for value, *rest in medians} == MEDIANS


def test_a_median_that_is_not_reached_is_said_so(compiled: dict[str, str]) -> None:
    tables = estimated(compiled, {"young": [(5, True), (9, False), (9, False)], "none": [(3, False)]})
    rows = tables.execute(
        "select value, median_days, median_reason like 'not_eligible: %', mean_days_within_horizon from survival_monthly where dimension = 'channel'"
    ).fetchall()
    assert sorted(rows) == [("none", None, True, None), ("young", None, True, None)]


def reference(lives: Lives, quantile: float = 1.959963984540054) -> dict[int, tuple[float, ...]]:
    """Product limit, Greenwood and log-log by their definitions, nothing shared with the SQL."""
    ages, churned = np.array([age for age, _ in lives]), np.array([ended for _, ended in lives])
    share, greenwood, found = 1.0, 0.0, {}
    for age in np.unique(ages):
        at_risk, events = int((ages >= age).sum()), int((churned & (ages == age)).sum())
        share *= 1 - events / at_risk
        greenwood += events / (at_risk * (at_risk - events)) if events < at_risk else np.nan
        if share in (0.0, 1.0):
            band = (np.nan, np.nan) if share == 0 else (1.0, 1.0)
        else:
            error = quantile * np.sqrt(greenwood) / np.log(share)
            band = (share ** np.exp(-error), share ** np.exp(error))
        found[int(age)] = (at_risk, share, share * np.sqrt(greenwood), *band)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_any_lives_give_the_numbers_of_the_definition(compiled: dict[str, str], seed: int) -> None:
    chance = np.random.default_rng(seed)
    lives = [
        (int(age), bool(ended))
        for age, ended in zip(chance.geometric(0.02, 400), chance.random(400) < [0.5, 1, 0.02, 0.9][seed], strict=True)
    ]
    tables, expected = estimated(compiled, {"random": lives}), reference(lives)
    found = {age: tuple(np.nan if each is None else each for each in row) for age, row in curve(tables, "random").items() if age > 0}
    assert found == {age: pytest.approx(row, abs=1e-6, nan_ok=True) for age, row in expected.items()}
    # The mean within the horizon is the area under the curve, and the same by the day.
    [(mean,)] = tables.execute(
        "select mean_days_within_horizon from survival_monthly where dimension = 'total' and month_on = '2024-12-01'"
    ).fetchall()
    if max(expected) >= 365 or expected[max(expected)][1] == 0:
        daily = [1.0]
        for day in range(1, 365):
            daily.append(expected[day][1] if day in expected else daily[-1])
        assert float(mean) == pytest.approx(sum(daily), abs=0.006)
    else:
        assert mean is None


def test_a_wrong_number_at_risk_would_be_found(compiled: dict[str, str]) -> None:
    """The comparison notices what goes wrong most often: dropping the censored before the age at which they were last seen."""
    early = [(max(age - 1, 0), ended) if not ended else (age, ended) for age, ended in MERCAPTOPURINE]
    assert curve(estimated(compiled, {"early": early}), "early")[6][1] != PUBLISHED["mercaptopurine"][6][1]
