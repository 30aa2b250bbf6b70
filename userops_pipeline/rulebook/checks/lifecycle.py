"""Stages, plan states and what is paid for: each can be reached, in order, with a playbook, a KPI that is measured and a segment that is exported.

Add a check of either here. Must not judge tiers or levels, which are groups.
"""

from __future__ import annotations

from collections.abc import Iterator

from userops_pipeline.rulebook.book import Rulebook
from userops_pipeline.rulebook.checks.judging import choice, faults_of, known_names, ladder, names, refuse
from userops_pipeline.rulebook.condition import Typist, columns_in, conjuncts, guard, texts_allowed
from userops_pipeline.rulebook.kinds.lifecycle import STAGE_COLUMN, Stage
from userops_pipeline.rulebook.places import path_of
from userops_pipeline.rulebook.problem import Problem

PLAYBOOK = ("label", "state", "goal", "touchpoint", "action", "content", "segment")


def plan_states(rulebook: Rulebook, features: Typist) -> Iterator[Problem]:
    yield from ladder(features, rulebook.plan_states, "plan state", "user_plan_state", path_of("plan_states"))
    for state in rulebook.plan_states:
        if not state.goal:
            yield refuse(state, "plan state", "has no goal; say what its users should do next.")


def paid(rulebook: Rulebook) -> Iterator[Problem]:
    """What is paid for ends at some time, and each period is some plan's."""
    for rules in rulebook.paid_rules:
        if not 0 <= rules.grace_days <= 365:
            yield refuse(rules, "rules", f"grace_days is {rules.grace_days}; give the days a renewal may be late, 0 to 365.")
    seen: dict[str, str] = {}
    for period in rulebook.paid_periods:
        yield from choice(period, "paid period", "unit", period.unit, ("day", "week", "month", "year"))
        if not 1 <= period.count <= 3650:
            yield refuse(period, "paid period", f"has the count {period.count}; give how many units one payment pays for, 1 to 3650.")
        if not period.words or not all(word.strip() for word in period.words):
            yield refuse(period, "paid period", "has no words; list those by which the name of a plan is known to have it.")
        for word in period.words:
            if word.lower() in seen:
                yield refuse(
                    period, "paid period", f"has the word '{word}', which '{seen[word.lower()]}' above has; it can never be reached."
                )
            seen.setdefault(word.lower(), period.name)


def stages(rulebook: Rulebook, features: Typist, state: Typist) -> Iterator[Problem]:
    stages = rulebook.stages
    yield from ladder(features, stages, "stage", "user_lifecycle", path_of("stages"))
    exported = {each.segment for each in rulebook.lists}
    for stage in stages:
        if not guard(stage.when, rulebook.feature_columns) and (
            used := [name for name in columns_in(stage.when) if name in rulebook.sensitive]
        ):
            yield refuse(
                stage, "stage", f"uses the sensitive column '{used[0]}'; a stage says what users did, so make a tag with a purpose of it."
            )
    for stage in stages:
        for key in PLAYBOOK:
            if not getattr(stage, key):
                yield refuse(stage, "stage", f"has no {key}; a stage without its line of the playbook cannot be worked on.")
        yield from _kpi(rulebook, state, stage)
        if stage.segment and rulebook.segment(stage.segment) is None:
            yield from names(stage, "stage", "", "segment", stage.segment, rulebook.segments)
        elif stage.segment and stage.segment not in exported:
            yield refuse(
                stage, "stage", f"names the segment '{stage.segment}', which no list exports, so nobody can act on it; add a list."
            )
        elif stage.segment and not _reaches(rulebook, stage.segment, stage.name):
            yield refuse(
                stage, "stage", f"names the segment '{stage.segment}', which takes users of other stages only; name one that reaches it."
            )


def _kpi(rulebook: Rulebook, state: Typist, stage: Stage) -> Iterator[Problem]:
    """A stage is measured: by a number that follows from its users, with a target to hold it against."""
    kpi = stage.kpi
    if not kpi.name or not kpi.sql:
        yield refuse(stage, "stage", "has no KPI; give `kpi` a name and an sql over the users of the night.")
        return
    faults = faults_of(state, stage, "stage", kpi.sql, "kpi.sql", is_aggregate=True)
    faults += known_names(rulebook, stage, "stage", kpi.sql, state.columns, is_aggregate=True)
    yield from faults
    if not faults and not columns_in(kpi.sql):
        yield refuse(stage, "stage", f"has the KPI '{kpi.name}', which measures nothing: its sql reads no column.")
    if not kpi.label:
        yield refuse(stage, "stage", f"has the KPI '{kpi.name}' without a label; add what people call it.")
    if kpi.target is None or kpi.direction is None:
        yield refuse(stage, "stage", f"has the KPI '{kpi.name}' without a target; give `target` a number and `direction` up or down.")


def _reaches(rulebook: Rulebook, segment: str, stage: str, within: tuple[str, ...] = ()) -> bool:
    """Whether a segment can hold users of a stage, as far as its steps name stages; what cannot be read counts as yes."""
    found = rulebook.segment(segment)
    if found is None or segment in within:
        return True
    for is_wanted, steps in ((True, found.include), (False, found.exclude)):
        for step in steps:
            if step.segment is not None:
                if is_wanted and not _reaches(rulebook, step.segment, stage, (*within, segment)):
                    return False
            elif step.when and not guard(step.when, rulebook.state_columns):
                allowed = texts_allowed(step.when, STAGE_COLUMN)
                taken_out = not is_wanted and allowed is not None and len(conjuncts(step.when)) == 1 and stage in allowed
                if taken_out or (is_wanted and allowed is not None and stage not in allowed):
                    return False
    return True
