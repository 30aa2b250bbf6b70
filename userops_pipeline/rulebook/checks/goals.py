"""Metrics as dbt declares them, and the goals that are held against them.

Add a check of either here. Must not compute a metric.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from userops_pipeline.ground import contract
from userops_pipeline.rulebook.book import Rulebook
from userops_pipeline.rulebook.checks.judging import GRAINS, choice, refuse
from userops_pipeline.rulebook.places import path_of
from userops_pipeline.rulebook.problem import Problem

METRIC_FAMILIES = ("acquisition", "activation", "retention", "revenue", "referral", "activity", "scale", "satisfaction")
ADDS = ("count", "daily", "rate", "stock")


def metrics(rulebook: Rulebook) -> Iterator[Problem]:
    retentions = {retention.name: retention for retention in rulebook.retentions}
    for metric in rulebook.metrics:
        yield from choice(metric, "metric", "family", metric.family, METRIC_FAMILIES)
        yield from choice(metric, "metric", "adds", metric.adds, ADDS)
        yield from choice(metric, "metric", "needs", metric.needs, sorted(contract.tables()))
        if (metric.adds == "rate") != (metric.type == "ratio"):
            yield refuse(
                metric, "metric", f"is of type {metric.type} and adds up as a {metric.adds}; a ratio is a rate, and nothing else is."
            )
        if metric.retention is None:
            continue
        yield from choice(metric, "metric", "retention", metric.retention, sorted(retentions))
        if found := retentions.get(metric.retention):
            cells = (0, *found.brackets) if found.kind == "brackets" else range((found.periods or 0) + 1)
            if metric.period not in cells:
                yield refuse(metric, "metric", f"looks at period {metric.period}, which the retention '{found.name}' has no cell for.")
        asked = [f"= '{metric.retention}'", f"= {metric.period}", "= 'total'"]
        if sorted(re.findall(r"= (?:'[^']*'|\d+)", metric.asks)) != sorted(asked):
            yield refuse(
                metric, "metric", f"its filter does not ask for what its meta says: 'total', '{metric.retention}', {metric.period}."
            )


def goals(rulebook: Rulebook) -> Iterator[Problem]:
    if not rulebook.goals:
        yield Problem(
            file=path_of("goals"),
            rule="goal_scorecard",
            sentence="has no goal; say what operations are there for.",
        )
    known = {metric.name: metric for metric in rulebook.metrics}
    for goal in rulebook.goals:
        if not goal.owner:
            yield refuse(goal, "goal", "has no owner; say who answers for it.")
        if not goal.metrics:
            yield refuse(goal, "goal", "has no metric; a goal that is not measured cannot be reached.")
        for bound in goal.metrics:
            yield from choice(goal, "goal", "metric", bound.metric, sorted(known))
            yield from choice(goal, "goal", "period", bound.period, GRAINS)
            if bound.target is None or bound.direction is None:
                yield refuse(
                    goal, "goal", f"has the metric '{bound.metric}' without a target; give `target` a number and `direction` up or down."
                )
            if bound.at_least < 0 or (bound.at_least and bound.metric in known and known[bound.metric].adds != "rate"):
                yield refuse(goal, "goal", f"at_least of '{bound.metric}' is the least denominator of a rate; take it out.")
        bindings = [(bound.metric, bound.period) for bound in goal.metrics]
        for metric, period in sorted({each for each in bindings if bindings.count(each) > 1}):
            yield refuse(goal, "goal", f"has two targets for the metric '{metric}' by {period}; keep one.")
