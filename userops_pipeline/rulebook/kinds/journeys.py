"""What is counted over time: funnels, periods, retention and survival.

Add a kind of these here. Must not declare when somebody has churned: that is said in churn.
"""

from __future__ import annotations

from typing import Literal

from userops_pipeline.rulebook.kinds.rule import Rule, Sql, Told
from userops_pipeline.rulebook.problem import Frozen


class FunnelStep(Frozen):
    name: str = ""
    label: str = ""
    when: Sql = ""
    within_days: int | None = None
    same_object: bool = False


class Funnel(Told):
    """Ordered steps of a user, or of a user and one object (the int_activity column named by `object`)."""

    unit: Literal["user", "user_object"] = "user"
    object: str = "object_id"
    steps: tuple[FunnelStep, ...] = ()

    @property
    def text(self) -> str:
        return " → ".join(step.name for step in self.steps)


class PeriodRules(Rule):
    """When a user is new in a period."""

    new_by: str = ""


class Retention(Told):
    """Who starts, who comes back, and in which periods that is looked at."""

    start: str = ""
    returns: str = ""
    grain: str = ""
    kind: str = ""
    entry: str = ""
    periods: int | None = None
    brackets: tuple[int, ...] = ()
    dimensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return f"{self.start} → {self.returns} by {self.grain} ({self.kind}, {self.entry}, {self.periods} periods)"


class Survival(Told):
    """From when a user lives, and by what; the silence that ends it is that of ChurnRules."""

    entry: str = ""
    activity: str = ""

    @property
    def text(self) -> str:
        return f"{self.entry} until churned by {self.activity}"
