"""Churn, said once; what precedes it; the behaviours that may keep users, and the chain made of them.

Add a check of these here. Must not judge what an experiment found.
"""

from __future__ import annotations

from collections.abc import Iterator

from userops_pipeline.rulebook.book import Rulebook
from userops_pipeline.rulebook.checks.judging import CHOICES, ascending, choice, faults_of, has_an_end, refuse
from userops_pipeline.rulebook.condition import Typist, guard, least_whole
from userops_pipeline.rulebook.kinds.churn import Comparison, Outcome
from userops_pipeline.rulebook.places import SETTINGS_FILE, path_of
from userops_pipeline.rulebook.problem import Problem


def churn(rulebook: Rulebook) -> Iterator[Problem]:
    """Churn is said once, can be measured, and the stage of that name begins with it."""
    if not rulebook.churn:
        file = path_of(SETTINGS_FILE)
        sentence = "declares no churn; say after how many days of silence a user has churned."
        yield Problem(file=file, rule="user_churn_risk", sentence=sentence)
    for rules in rulebook.churn:
        for activity, days in rules.after_days.items():
            yield from choice(rules, "rules", "after_days", activity, CHOICES["activity"])
            if days < 1:
                yield refuse(rules, "rules", f"after_days of '{activity}' is {days}; give a number of days, at least 1.")
        if "active" not in rules.after_days:
            yield refuse(rules, "rules", "after_days lacks 'active', by which users are counted as churned every night; add it.")
        risk = rules.risk
        yield from choice(rules, "rules", "risk.by", risk.by, ("window", "personal_gap"))
        yield from choice(rules, "rules", "risk.activity", risk.activity, tuple(rules.after_days))
        if risk.by == "personal_gap" and risk.activity != "purchase":
            yield refuse(
                rules, "rules", "risk by personal_gap is measured in gaps between purchases; set `activity: purchase`, or `by: window`."
            )
        if not 0 < risk.late_ratio < risk.overdue_ratio:
            yield refuse(rules, "rules", "late_ratio must lie above 0 and below overdue_ratio, or nobody is ever late.")
        if min(risk.min_gaps, risk.least_days) < 1:
            yield refuse(rules, "rules", "min_gaps and least_days must be at least 1.")
        for stage in rulebook.stages:
            if stage.name != "churned" or guard(stage.when, rulebook.feature_columns):
                continue
            for column, activity in (("days_since_paid", "purchase"), ("days_since_order", "purchase"), ("days_since_active", "active")):
                begins, days = least_whole(stage.when, column), rules.after_days.get(activity)
                if begins is not None and days is not None and begins != days:
                    sentence = f"begins at {begins:g} {column}, but churn is {days} days in the settings; write `{column} >= {days}`."
                    yield refuse(stage, "stage", sentence)


def _comparison(rules: Comparison) -> Iterator[Problem]:
    if not 0 < rules.false_discovery_rate < 1:
        yield refuse(rules, "rules", "false_discovery_rate must lie between 0 and 1; 0.05 lets one in twenty discoveries be chance.")
    if rules.least_users < 1 or rules.least_expected <= 0:
        yield refuse(rules, "rules", "least_users must be at least 1 and least_expected above 0; 30 and 5 are usual.")


def precursors(rulebook: Rulebook, typist: Typist) -> Iterator[Problem]:
    for rules in rulebook.precursor_rules:
        yield from _comparison(rules)
        yield from choice(rules, "rules", "activity", rules.activity, CHOICES["activity"])
        yield from has_an_end(rulebook, rules, "rules", rules.activity)
        yield from ascending(rules, "tenure_bounds", rules.tenure_bounds)
        yield from ascending(rules, "active_bounds", rules.active_bounds)
        if min(rules.look_back_days, rules.value_days, rules.value_groups) < 1:
            yield refuse(rules, "rules", "look_back_days, value_days and value_groups must be at least 1.")
        if not rulebook.precursors:
            yield refuse(rules, "rules", "lists no behaviour to look at; add one under behaviours.")
    for precursor in rulebook.precursors:
        yield from faults_of(typist, precursor, "precursor", precursor.when, "when")


def key_behaviours(rulebook: Rulebook) -> Iterator[Problem]:
    measures = tuple(rulebook.day_measures)
    for behaviour in rulebook.behaviours:
        yield from choice(behaviour, "behaviour", "measure", behaviour.measure, measures)
    for rules in rulebook.key_behaviour_rules:
        yield from _comparison(rules)
        yield from ascending(rules, "counts", rules.counts)
        yield from ascending(rules, "within_days", rules.within_days)
        for likeness in rules.adjust_for:
            yield from choice(rules, "rules", "adjust_for", likeness.measure, measures)
            yield from ascending(rules, f"bounds of {likeness.measure}", likeness.bounds)
        if rules.cohort_days < 1:
            yield refuse(rules, "rules", "needs cohort_days: users of how many dates of registration are looked at, at least 1.")
        if not rulebook.behaviours or not rulebook.outcomes:
            yield refuse(rules, "rules", "needs at least one of behaviours and one of outcomes.")
        if len(rulebook.behaviours) + 7 * (len(rules.adjust_for) + 2) > 62:  # what days are alike in is one whole number
            yield refuse(rules, "rules", "has more behaviours and adjust_for than a comparison can hold; take some out.")
        for outcome in rulebook.outcomes:
            yield from _outcome(outcome, max(rules.within_days, default=0))
        for chosen in rulebook.key_behaviours:
            yield from choice(chosen, "key behaviour", "behaviour", chosen.behaviour, [each.name for each in rulebook.behaviours])
            if chosen.count not in rules.counts or chosen.within_days not in rules.within_days:
                sentence = (
                    f"asks for {chosen.count} within {chosen.within_days} days, which is no candidate; take one of counts and within_days."
                )
                yield refuse(chosen, "key behaviour", sentence)


def _outcome(outcome: Outcome, longest_window: int) -> Iterator[Problem]:
    yield from choice(outcome, "outcome", "activity", outcome.activity, CHOICES["activity"])
    if outcome.from_day < longest_window:
        sentence = f"begins on day {outcome.from_day}, within the longest window of within_days, so who did it had to stay; begin on day {longest_window}."
        yield refuse(outcome, "outcome", sentence)
    if outcome.to_day < outcome.from_day:
        yield refuse(outcome, "outcome", "ends before it begins; give to_day at least from_day.")
