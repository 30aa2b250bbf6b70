"""Metrics as dbt declares them, and the goals that are held against them.

Add a key of either here. Must not compute a metric.
"""

from __future__ import annotations

from typing import Literal

from userops_pipeline.rulebook.kinds.rule import Told
from userops_pipeline.rulebook.problem import Frozen


class Metric(Told):
    """A dbt metric that is published night by night; `adds` says how it is rolled up, `needs` the table without which there is none.

    One of a declared retention names it, and the period of it; `asks` is then what MetricFlow is told to look at.
    """

    type: str = ""
    family: str = ""
    adds: str = ""
    needs: str = ""
    retention: str | None = None
    period: int | None = None
    asks: str = ""
    of: str = ""
    """The measure, or the numerator and the denominator."""

    @property
    def text(self) -> str:
        return f"{self.of} ({self.family}, {self.adds})"


class GoalMetric(Frozen):
    """What a goal is measured by: a metric over a period, and what it should reach."""

    metric: str = ""
    period: str = ""
    target: float | None = None
    direction: Literal["up", "down"] | None = None
    """`up` where more is better."""
    at_least: int = 0
    """The denominator below which a rate says nothing."""


class Goal(Told):
    """An operating goal, who answers for it, and the metrics it is measured by."""

    owner: str = ""
    metrics: tuple[GoalMetric, ...] = ()

    @property
    def text(self) -> str:
        return ", ".join(f"{m.metric} {m.direction} to {m.target:g} by {m.period}" for m in self.metrics)
