"""Churn, said once; what precedes it; the behaviours that may keep users, and the chain made of them.

Add a kind of these here. Must not hold what an experiment found.
"""

from __future__ import annotations

from pydantic import Field

from userops_pipeline.rulebook.kinds.rule import Conditional, Rule, Told
from userops_pipeline.rulebook.problem import Frozen


class RiskRules(Frozen):
    """What silence is measured in, and from which multiples of it on it is late, and overdue."""

    by: str = ""
    activity: str = ""
    min_gaps: int = 1
    least_days: int = 1
    late_ratio: float = 1
    overdue_ratio: float = 2


class ChurnRules(Told):
    """After how many days of silence a user has churned, by activity: the one place where that is said."""

    after_days: dict[str, int] = Field(default_factory=dict)
    risk: RiskRules = RiskRules()

    @property
    def text(self) -> str:
        ends = ", ".join(f"{days} days without {activity}" for activity, days in self.after_days.items())
        risk = self.risk
        return f"{ends}; risk by {risk.by} of {risk.activity}, from {risk.late_ratio:g} and {risk.overdue_ratio:g} times on"


class Comparison(Rule):
    """How many users a comparison needs, and what share of those called different may be so by chance."""

    least_users: int = 1
    least_expected: float = 5
    false_discovery_rate: float = 0.05


class PrecursorRules(Comparison):
    """Of whom, over which days and against which like users behaviours before churn are looked at."""

    activity: str = ""
    look_back_days: int = 0
    tenure_bounds: tuple[int, ...] = ()
    value_days: int = 0
    value_groups: int = 0
    active_bounds: tuple[int, ...] = ()


class Precursor(Conditional):
    """A behaviour that may precede churn: a condition over sums of int_user_day."""


class Likeness(Frozen):
    """What compared days must be alike in: a column of int_user_day, and where its values are cut into groups."""

    measure: str = ""
    bounds: tuple[int, ...] = ()


class KeyBehaviourRules(Comparison):
    """Which users, how often and within how many first days; what days must be alike in."""

    cohort_days: int = 0
    counts: tuple[int, ...] = ()
    within_days: tuple[int, ...] = ()
    adjust_for: tuple[Likeness, ...] = ()


class Behaviour(Rule):
    """A behaviour that may keep users: a column of int_user_day, added up."""

    measure: str = ""


class Outcome(Rule):
    """What is hoped for later: an activity on one of the days since registration."""

    activity: str = ""
    from_day: int = 0
    to_day: int = -1


class KeyBehaviour(Told):
    """A step of the value chain: a candidate that was chosen, and the experiment that confirmed it, if one has."""

    behaviour: str = ""
    count: int = 0
    within_days: int = 0
    confirmed_by: str = ""

    @property
    def text(self) -> str:
        return f"{self.behaviour} at least {self.count} times in the first {self.within_days} days"
