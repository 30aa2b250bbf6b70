"""The edges of the lifecycle stages: on which day a user passes from one to the next, by the rules as they are written.

Add a line when a stage gets another edge.
Must not repeat a rule: conditions are read from the manifest and tried on rows.
"""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from tests.changed_project import GROCER
from userops_pipeline.rulebook.current import described

Models = dict[str, dict[str, Any]]


def stage_of(models: Models, row: dict[str, float | None], ladder: str = "user_lifecycle") -> str:
    """The stage of a user of whom only these features are known; the others are null."""
    columns = {
        name: column["data_type"] for name, column in models["int_user_features"]["columns"].items() if name not in {"user_id", "night_on"}
    }
    assert set(row) <= set(columns)
    row = {"days_since_paid": row.get("days_since_order"), **row}  # without a plan the two are one
    values = ", ".join(f"cast({'null' if row.get(name) is None else row[name]} as {kind}) as {name}" for name, kind in columns.items())
    stages = described(GROCER).rules_of(ladder)["stages"]
    cases = " ".join(f"when {stage['when']} then '{stage['name']}'" for stage in stages)
    found = duckdb.sql(f"select case {cases} end from (select {values})").fetchall()
    return found[0][0]


NOBODY: dict[str, float | None] = {
    "order_count": 0,
    "order_count_90d": 0,
    "purchase_day_count": 0,
    "event_count_30d": 0,
    "late_gap_days": 14,
}
ONE = {**NOBODY, "order_count": 1, "order_count_90d": 1, "purchase_day_count": 1}
RHYTHM = {**NOBODY, "order_count": 9, "order_count_90d": 4, "purchase_day_count": 9, "average_gap_days": 9}
PAID_UP = {"is_paid_up": True, "days_since_paid": 0, "paid_period_number": 1}
RAN_OUT = {"is_paid_up": False, "days_since_paid": 1, "days_since_paid_end": 0}
DAILY = {**RHYTHM, "order_count_90d": 9, "average_gap_days": 1}


@pytest.mark.parametrize(
    ("row", "stage"),
    [
        (NOBODY, "contact"),
        ({**NOBODY, "days_since_active": 31}, "contact"),
        ({**NOBODY, "days_since_active": 30}, "interest"),
        ({**NOBODY, "event_count_30d": 1}, "interest"),
        ({**ONE, "days_since_order": 0}, "first_purchase"),
        ({**ONE, "days_since_order": 90}, "first_purchase"),
        ({**ONE, "days_since_order": 91}, "lapsed"),
        ({**ONE, "days_since_order": 179}, "lapsed"),
        ({**ONE, "days_since_order": 180}, "churned"),
        ({**ONE, "order_count": 2, "days_since_order": 0}, "repeat"),
        ({**RHYTHM, "days_since_order": 1, "order_count_90d": 3}, "repeat"),
        ({**RHYTHM, "days_since_order": 1, "purchase_day_count": 5}, "repeat"),
        ({**RHYTHM, "days_since_order": 1}, "loyal"),
        ({**RHYTHM, "days_since_order": 27}, "loyal"),
        ({**RHYTHM, "days_since_order": 28}, "at_risk"),
        ({**RHYTHM, "days_since_order": 90, "order_count_90d": 1}, "at_risk"),
        ({**RHYTHM, "days_since_order": 91, "order_count_90d": 0}, "lapsed"),
        ({**RHYTHM, "days_since_order": 180, "order_count_90d": 0}, "churned"),
        ({**DAILY, "days_since_order": 14}, "loyal"),
        ({**DAILY, "days_since_order": 15, "late_gap_days": 20}, "loyal"),
        ({**DAILY, "days_since_order": 21, "late_gap_days": 20}, "at_risk"),
        ({**DAILY, "days_since_order": 15}, "at_risk"),
        ({**DAILY, "days_since_order": 15, "purchase_day_count": 2, "order_count": 2}, "repeat"),
        ({**ONE, **PAID_UP, "days_since_order": 180}, "first_purchase"),
        ({**RHYTHM, **PAID_UP, "days_since_order": 180, "order_count_90d": 0}, "repeat"),
        ({**NOBODY, **PAID_UP}, "first_purchase"),  # a subscription, and no order of it
        ({**NOBODY, **PAID_UP, "paid_period_number": 2}, "repeat"),
        ({**ONE, **RAN_OUT, "days_since_order": 373}, "lapsed"),
        ({**ONE, **RAN_OUT, "days_since_order": 20, "days_since_paid_end": None}, "first_purchase"),  # bought goods since
        ({**NOBODY, **RAN_OUT}, "lapsed"),
        ({**NOBODY, **RAN_OUT, "days_since_paid": 180, "days_since_paid_end": 179}, "churned"),
    ],
)
def test_a_stage_begins_and_ends_on_its_day(models: Models, row: dict[str, float | None], stage: str) -> None:
    assert stage_of(models, row) == stage


@pytest.mark.parametrize(
    ("row", "state"),
    [
        ({}, "visitor"),
        ({**NOBODY, "has_plan": True}, "free"),
        ({**NOBODY, "has_plan": True, "days_to_trial_end": 14}, "trial"),
        ({**NOBODY, "days_to_trial_end": 0}, "trial"),
        ({**NOBODY, "has_plan": True, "days_to_trial_end": -1}, "free"),
        ({**NOBODY, "days_to_trial_end": -1}, "visitor"),
        ({**ONE, "has_plan": True, "days_to_trial_end": 5, "days_since_order": 0}, "first_paid"),
        ({**ONE, "days_since_order": 90}, "first_paid"),
        ({**ONE, "days_since_order": 91}, "lapsed_paid"),
        ({**ONE, "order_count": 2, "days_since_order": 3}, "repeat_paid"),
        ({**RHYTHM, "days_since_order": 3, "days_since_first_order": 59}, "repeat_paid"),
        ({**RHYTHM, "days_since_order": 3, "days_since_first_order": 60}, "loyal_paid"),
        ({**RHYTHM, "order_count": 5, "days_since_order": 3, "days_since_first_order": 60}, "repeat_paid"),
        ({**ONE, **PAID_UP, "has_plan": True, "days_since_order": 93}, "first_paid"),  # pro annual, on 10 April
        ({**ONE, **PAID_UP, "has_plan": True, "days_since_order": 372}, "first_paid"),
        ({**ONE, **RAN_OUT, "has_plan": True, "days_since_order": 373}, "lapsed_paid"),
        ({**NOBODY, **PAID_UP, "days_to_trial_end": -1}, "first_paid"),
        ({**NOBODY, **PAID_UP, "paid_period_number": 2}, "repeat_paid"),
        ({**NOBODY, **PAID_UP, "paid_period_number": 13, "days_paid_up": 365}, "repeat_paid"),
        ({**NOBODY, **PAID_UP, "paid_period_number": 13, "days_paid_up": 366}, "loyal_paid"),
        ({**NOBODY, **RAN_OUT}, "lapsed_paid"),
        ({**ONE, **RAN_OUT, "days_since_order": 20, "days_since_paid_end": None}, "first_paid"),
    ],
)
def test_a_plan_state_begins_and_ends_on_its_day(models: Models, row: dict[str, float | None], state: str) -> None:
    assert stage_of(models, row, "user_plan_state") == state


def test_a_user_of_whom_nothing_is_known_still_has_a_stage(models: Models) -> None:
    assert stage_of(models, {}) == "contact"


def test_every_stage_has_a_playbook_in_both_languages_and_a_segment_that_reaches_it(models: Models) -> None:
    segments = models["user_segments"]["columns"]
    texts = {"state", "goal", "touchpoint", "action", "content"}
    for stage in described(GROCER).rules_of("user_lifecycle")["stages"]:
        assert all(stage.get(text) and stage.get(f"{text}_zh") for text in texts), stage["name"]
        assert stage["segment"] in segments, stage["name"]
        assert stage["kpi"]["name"], stage["name"]
        assert stage["kpi"]["sql"], stage["name"]
