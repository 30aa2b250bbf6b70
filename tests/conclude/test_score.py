"""Promises of the scoring rules and checks: every reason not to score beside the shop that just suffices, and a bad case of every check.

Add a bad case with every check of conclude/scored.py. Must not need dbt: the tables are made here.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import numpy as np
import pytest
from pydantic import ValidationError

from tests.changed_project import GROCER
from userops_pipeline.conclude import value_models
from userops_pipeline.conclude.scored import CHECKS, FITS, USERS, ValueRules
from userops_pipeline.rulebook.current import described
from userops_pipeline.stats.btyd import Histories
from userops_pipeline.stats.spend import RepeatSpend

ENOUGH: dict[str, Any] = {"buyers": 500, "history_days": 180, "most_orders": 3, "days_since_order": 30}


def meta() -> dict[str, Any]:
    return dict(described(GROCER).rules_of(USERS))


RULES = ValueRules.model_validate(meta())


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, "eligible"),
        ({"buyers": 499}, "not_eligible: 499 buyers, 500 are needed"),
        ({"history_days": 179}, "not_eligible: 179 days of purchases, 180 are needed"),
        ({"most_orders": 2}, "not_eligible: nobody has 3 purchase days"),
        ({"days_since_order": 31}, "not_eligible: no purchase for 31 days, at most 30"),
    ],
)
def test_a_shop_that_lacks_one_thing_is_told_which(changed: dict[str, int], reason: str) -> None:
    assert value_models.shop_reason(RULES, **{**ENOUGH, **changed}) == reason


@pytest.mark.parametrize(
    ("changed", "word"),
    [({"model": "pareto"}, "model"), ({"horizon_days": 0}, "horizon_days"), ({"min_buyer": 3}, "min_buyer"), ({"bands": []}, "bands")],
)
def test_rules_that_cannot_be_are_refused(changed: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        ValueRules.model_validate({**meta(), **changed})


def version(spend: RepeatSpend, customers: int = 600) -> value_models.VersionData:
    rng = np.random.default_rng(2)
    histories = []
    for _ in range(customers):
        rate, chance, age = rng.gamma(1.0, 1 / 15), rng.beta(1.0, 3.0), float(rng.integers(100, 300))
        x, recency = 0, 0.0
        while rng.random() > chance and (following := recency + rng.exponential(1 / rate)) <= age:
            x, recency = x + 1, following
        histories.append((float(x), recency, age, 1.0))
    x, recency, age, one = np.array(histories).T
    return value_models.VersionData(date(2026, 7, 1), Histories(x, recency, age, one), spend, None)


def spenders(customers: int, slope: float = 0.0, spread: float = 4.0) -> RepeatSpend:
    rng = np.random.default_rng(6)
    x = 1.0 + rng.poisson(2.0, customers)
    return RepeatSpend.of(x, rng.gamma(spread, 5.0, customers) * rng.gamma(4, 0.25, customers) * np.exp(slope * x))


def test_amounts_have_reasons_of_their_own() -> None:
    fit = value_models.fitted(RULES, version(spenders(400)))
    assert (fit["eligibility"], fit["amount_eligibility"]) == ("eligible", "eligible")
    few = value_models.fitted(RULES, version(spenders(99)))
    assert few["amount_eligibility"] == "not_eligible: 99 repeat buyers, 100 are needed"
    tied = value_models.fitted(RULES, version(spenders(400, slope=0.6)))
    assert tied["amount_eligibility"].startswith("not_eligible: amounts and frequency correlate by 0.")
    assert value_models.purchase_model(tied)
    assert value_models.spend_model(tied) is None
    none = value_models.fitted(RULES, version(spenders(400), customers=499))
    assert none["eligibility"] == "not_eligible: 499 buyers, 500 are needed"
    assert value_models.purchase_model(none) is None


# ---- checks -------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tables() -> duckdb.DuckDBPyConnection:
    """Two scored users and one who has not bought, and a version with its test; all as they should be."""
    con = duckdb.connect()
    con.execute(f"""
        create schema marts;
        create table marts.user_profile as select unnest(['a', 'b', 'c']) as user_id, false as is_paid_up;
        create table marts.{USERS} as
            select 'a' as user_id, 'eligible' as eligibility, 'eligible' as amount_eligibility, date '2026-06-01' as last_purchase_on, 10.0 as historic_amount,
                0.9 as alive_probability, 'low' as churn_risk, 2.0 as predicted_order_count, 20.0 as predicted_amount, 30.0 as total_amount, date '2026-07-01' as next_order_on
            union all select 'b', 'eligible', 'not_eligible: few', date '2026-06-01', 10.0, 0.1, 'lost', 0.0, null, null, null
            union all select 'c', 'not_eligible: has not bought', 'not_eligible: has not bought', null, 0.0, null, null, null, null, null, null;
        create table marts.{FITS} as select date '2026-06-01' as version_on, 'eligible' as eligibility, true as is_converged,
            1.0 as r, 1.0 as alpha, 1.0 as a, 1.0 as b, cast(20 as bigint) as holdout_customer_count
            union all select date '2026-05-01', 'not_eligible: few', null, null, null, null, null, null;
        create table marts.value_calibration as select date '2026-06-01' as version_on, 10 as customer_count from range(2);
    """)  # fmt: skip
    return con


def failed(con: duckdb.DuckDBPyConnection) -> set[str]:
    return {name for name, query in CHECKS.items() if con.execute(f"select count(*) from ({query})").fetchone() != (0,)}


def test_checks_pass_on_sound_tables(tables: duckdb.DuckDBPyConnection) -> None:
    assert failed(tables) == set()


@pytest.mark.parametrize(
    ("check", "fault"),
    [
        ("every_user_has_one_value", f"delete from marts.{USERS} where user_id = 'c'"),
        ("every_user_has_one_value", f"insert into marts.{USERS} select * from marts.{USERS} where user_id = 'a'"),
        ("predictions_stand_where_users_are_eligible", f"update marts.{USERS} set alive_probability = 0.5 where user_id = 'c'"),
        ("predictions_stand_where_users_are_eligible", f"update marts.{USERS} set eligibility = 'not_eligible: ' where user_id = 'c'"),
        ("predictions_stand_where_users_are_eligible", f"update marts.{USERS} set predicted_amount = null where user_id = 'a'"),
        ("predicted_values_are_possible", f"update marts.{USERS} set alive_probability = 1.1 where user_id = 'a'"),
        ("predicted_values_are_possible", f"update marts.{USERS} set total_amount = 29 where user_id = 'a'"),
        ("predicted_values_are_possible", f"update marts.{USERS} set next_order_on = last_purchase_on where user_id = 'a'"),
        ("fits_and_their_tests_belong_together", f"update marts.{FITS} set is_converged = false where eligibility = 'eligible'"),
        ("fits_and_their_tests_belong_together", "delete from marts.value_calibration"),
    ],
)
def test_each_check_finds_its_fault(tables: duckdb.DuckDBPyConnection, check: str, fault: str) -> None:
    tables.execute(fault)
    assert failed(tables) == {check}


def test_every_check_has_a_bad_case() -> None:
    cases = test_each_check_finds_its_fault.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {check for check, _ in cases} == CHECKS.keys()
