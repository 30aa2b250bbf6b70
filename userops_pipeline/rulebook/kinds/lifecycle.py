"""Stages with their playbook, plan states and what is paid for: where a user stands on the way to a loyal payer, and what is done about it.

Add a key of either here. Must not hold tiers or levels, which are groups.
"""

from __future__ import annotations

from typing import Literal

from userops_pipeline.rulebook.kinds.rule import Lasting, Rule, Sql, Told
from userops_pipeline.rulebook.problem import Frozen


class Kpi(Frozen):
    """What a stage is measured by on every night: an aggregate over all users, and what it should reach."""

    name: str = ""
    label: str = ""
    sql: Sql = ""
    target: float | None = None
    direction: Literal["up", "down"] | None = None
    """`up` where more is better."""


class ActiveRules(Frozen):
    """Which activities make a day an active one, how many of them, within how many days."""

    activities: Literal["own"] | tuple[str, ...] = "own"
    minimum_count: int = 1
    within_days: int = 1


class ActivityRules(Rule):
    """What counts as active, reached, engaged …, and from how many days without an active day on a user is dormant."""

    active: ActiveRules = ActiveRules()
    dormant_after_days: int | None = None
    reached: tuple[str, ...] = ()
    engaged: tuple[str, ...] = ()
    followed: tuple[str, ...] = ()
    unfollowed: tuple[str, ...] = ()
    converted: tuple[str, ...] = ()


STAGE_COLUMN = "stage"  # where a user's stage stands in every table that carries it


class Stage(Lasting):
    """A lifecycle stage with its line of the playbook; of several stages that are on, the first one listed wins."""

    state: str = ""
    state_zh: str = ""
    goal: str = ""
    goal_zh: str = ""
    touchpoint: str = ""
    touchpoint_zh: str = ""
    kpi: Kpi = Kpi()
    action: str = ""
    action_zh: str = ""
    content: str = ""
    content_zh: str = ""
    segment: str = ""


class PlanState(Lasting):
    """A step between visitor and loyal payer; it is chosen as a stage is."""

    goal: str = ""
    goal_zh: str = ""


class PaidRules(Told):
    """How many days a renewal may be late before what was paid for has ended."""

    grace_days: int = 0

    @property
    def text(self) -> str:
        return f"a renewal may be {self.grace_days} days late"


class PaidPeriod(Told):
    """How long a plan payment pays for whose plan has one of the words in its name; of several periods the first one listed."""

    unit: str = ""
    count: int = 1
    words: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return f"{self.count} {self.unit}{'s' if self.count > 1 else ''}, of a plan named with {' or '.join(self.words)}"
