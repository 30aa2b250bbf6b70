"""What is counted over time: funnels, periods, retention and survival.

Add a check of these here. Must not declare when somebody has churned: that is said in churn.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from userops_pipeline.rulebook.book import Rulebook
from userops_pipeline.rulebook.checks.judging import CHOICES, NAME, choice, faults_of, has_an_end, refuse
from userops_pipeline.rulebook.condition import Typist
from userops_pipeline.rulebook.kinds.journeys import Funnel, Retention
from userops_pipeline.rulebook.kinds.lifecycle import STAGE_COLUMN
from userops_pipeline.rulebook.problem import Problem, closest


def funnels(rulebook: Rulebook, typist: Typist) -> Iterator[Problem]:
    for funnel in rulebook.funnels:
        yield from _funnel_shape(funnel, typist)
        for step in funnel.steps:
            yield from faults_of(typist, funnel, "funnel", step.when, f"step {step.name}")


def _funnel_shape(funnel: Funnel, typist: Typist) -> Iterator[Problem]:
    names = [step.name for step in funnel.steps]
    if len(names) < 2:
        yield refuse(funnel, "funnel", "has fewer than two steps; a funnel leads from one step to another.")
    if len(set(names)) < len(names):
        yield refuse(funnel, "funnel", "has two steps of the same name; rename one of them.")
    if funnel.object not in typist.columns:
        yield refuse(
            funnel,
            "funnel",
            f"holds the object '{funnel.object}', which is no column of int_activity{closest(funnel.object, typist.columns) or '.'}",
        )
    for number, step in enumerate(funnel.steps, 1):
        if not NAME.fullmatch(step.name) or not step.label:
            yield refuse(funnel, "funnel", f"step {number} needs a name of lower-case letters, digits and _, and a label.")
        if number == 1 and step.within_days is not None:
            yield refuse(funnel, "funnel", "its first step has within_days, but nothing comes before it; take it out.")
        if number > 1 and (step.within_days is None or step.within_days < 0):
            yield refuse(funnel, "funnel", f"step '{step.name}' needs within_days: the days allowed since the step before.")
        if step.same_object and funnel.unit == "user":
            yield refuse(
                funnel, "funnel", f"step '{step.name}' asks for the same object, but the unit is the user; set `unit: user_object`."
            )


def periods(rulebook: Rulebook) -> Iterator[Problem]:
    for rules in rulebook.periods:
        yield from choice(rules, "rules", "new_by", rules.new_by, CHOICES["new_by"])


def retentions(rulebook: Rulebook) -> Iterator[Problem]:
    for retention in rulebook.retentions:
        for key in ("start", "returns", "grain", "kind", "entry"):
            yield from choice(retention, "retention", key, getattr(retention, key), CHOICES[key])
        for dimension in retention.dimensions:
            yield from choice(
                retention, "retention", "dimensions", dimension, [name for name in rulebook.dimensions if name != STAGE_COLUMN]
            )
        yield from _retention_cells(retention)


def _retention_cells(retention: Retention) -> Iterator[Problem]:
    if retention.periods is None or retention.periods < 1:
        yield refuse(retention, "retention", "needs periods: the last one that is looked at, at least 1.")
    if (retention.kind == "brackets") != bool(retention.brackets):
        yield refuse(retention, "retention", "needs brackets, the first period of each, exactly when its kind is brackets.")
    ascending = all(earlier < later for earlier, later in itertools.pairwise((0, *retention.brackets)))
    if retention.brackets and (not ascending or retention.brackets[-1] > (retention.periods or 0)):
        yield refuse(retention, "retention", "its brackets must ascend from 1 on, and none may begin after its periods.")
    if retention.start == "registered" and retention.entry == "recurring":
        yield refuse(retention, "retention", "starts from the registration, which happens once; set `entry: first_time`.")


def survivals(rulebook: Rulebook) -> Iterator[Problem]:
    for survival in rulebook.survivals:
        yield from choice(survival, "survival", "activity", survival.activity, CHOICES["activity"])
        yield from choice(survival, "survival", "entry", survival.entry, ("registered", "first_activity"))
        yield from has_an_end(rulebook, survival, "survival", survival.activity)
