"""What every check says and asks in the same way: refusals and doubts, single conditions, ladders, choices, numbers.

Add what two subjects ask alike; what one asks lives in its own file. Must not know a subject.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import get_args

from userops_pipeline.rulebook.book import Rulebook
from userops_pipeline.rulebook.condition import (
    Typist,
    conjuncts,
    contradiction,
    guard,
    harder_to_keep,
    is_everything,
    texts_compared_with,
)
from userops_pipeline.rulebook.kinds.rule import Conditional, Lasting, Rule
from userops_pipeline.rulebook.kinds.settings import Activity, Grain, Start
from userops_pipeline.rulebook.problem import Problem, nearest
from userops_pipeline.rulebook.vocabulary import VALUES
from userops_pipeline.rulebook.wording import Said, hint, problem

NAME = re.compile(r"[a-z][a-z0-9_]*")
GRAINS = get_args(Grain)
ACTIVITIES = get_args(Activity)
CHOICES = {
    "new_by": ("first_activity", "person_created"),
    "grain": GRAINS,
    "kind": ("on_period", "on_or_after", "brackets"),
    "entry": ("first_time", "recurring"),
    "start": get_args(Start),
    "returns": ACTIVITIES,
    "activity": ACTIVITIES,
}
OUTSIDE = "outside"  # where users come from and go to who are not known the night before or after


def refuse(rule: Rule, kind: str, sentence: str) -> Problem:
    return Problem(file=rule.file, rule=f"{kind} {rule.name}", sentence=sentence)


def tell(rule: Rule, kind: str, clauses: list[Said]) -> Problem:
    """A refusal that is said in either language."""
    return problem(rule.file, f"{kind} {rule.name}", clauses)


def warn(rule: Rule, kind: str, sentence: str) -> Problem:
    return Problem(file=rule.file, rule=f"{kind} {rule.name}", sentence=sentence, is_warning=True)


def faults_of(typist: Typist, rule: Rule, kind: str, condition: str, key: str, *, is_aggregate: bool = False) -> list[Problem]:
    return [refuse(rule, kind, f"in '{key}', {sentence}") for sentence in typist.faults(condition, is_aggregate=is_aggregate)]


def sound(typist: Typist, rules: Iterable[Conditional], kind: str) -> Iterator[Problem]:
    """Each condition by itself: allowed, typed, and possible."""
    for rule in rules:
        faults = faults_of(typist, rule, kind, rule.when, "when")
        yield from faults
        if not faults and (sentence := contradiction([rule.when])):
            yield refuse(rule, kind, sentence)


def memory(typist: Typist, rules: Iterable[Lasting], kind: str) -> Iterator[Problem]:
    """What keeps a rule on: over the features alone, and easier to meet than what switches it on."""
    for rule in rules:
        if rule.stays_when is None:
            continue
        faults = faults_of(typist, rule, kind, rule.stays_when, "stays_when")
        if not faults and rule.when.strip():
            faults = faults_of(typist, rule, kind, rule.when, "when, which a rule with a memory asks of the features alone")
        yield from faults
        if faults or not rule.when.strip():
            continue
        if is_everything(rule.stays_when):
            yield refuse(rule, kind, "stays on for ever with `stays_when: true`; say when a user leaves.")
        elif is_everything(rule.when) or conjuncts(rule.when) <= conjuncts(rule.stays_when):
            yield refuse(rule, kind, "'stays_when' holds only where 'when' does, so it keeps nobody; loosen it or take it out.")
        elif sentence := contradiction([rule.stays_when]):
            yield refuse(rule, kind, f"in 'stays_when', {sentence}")
        elif part := harder_to_keep(rule.when, rule.stays_when):
            yield refuse(rule, kind, f"asks for more to stay ('{part}') than to enter; loosen 'stays_when' or tighten 'when'.")


def ladder(typist: Typist, rules: Sequence[Lasting], kind: str, model: str, file: str) -> Iterator[Problem]:
    """A ladder as a whole: every rule can be asked, every rule can win, and nobody falls off."""
    if not rules:
        yield Problem(file=file, rule=model, sentence=f"has no {kind}; every user needs one.")
        return
    yield from sound(typist, rules, kind)
    yield from memory(typist, rules, kind)
    yield from first_match_wins([rule for rule in rules if not guard(rule.when, typist.columns)], kind)
    if not guard(rules[-1].when, typist.columns) and not is_everything(rules[-1].when):
        yield refuse(rules[-1], kind, "is the last one and must catch everybody left; write `when: true`.")
    for rule in rules:
        if rule.name == OUTSIDE:
            yield refuse(rule, kind, "has the name that stands for users who are not known yet or no more; take another name.")


def first_match_wins(rules: Sequence[Conditional], kind: str) -> Iterator[Problem]:
    """A rule below a wider one can never win, so which of the two was meant is not said."""
    for earlier, later in itertools.combinations(rules, 2):
        if is_everything(earlier.when):
            yield refuse(earlier, kind, f"catches everybody before '{later.name}' is asked; put it last.")
        elif conjuncts(earlier.when) <= conjuncts(later.when):
            sentence = (
                f"can never be reached: whoever fits it already fits '{earlier.name}' above; put the narrower one first or tell them apart."
            )
            yield refuse(later, kind, sentence)


def choice(
    rule: Rule, kind: str, key: str, value: str, known: Sequence[str], words: Mapping[str, Collection[str]] = VALUES
) -> Iterator[Problem]:
    """A word of a closed vocabulary; `words` are the other words people use for those of it."""
    if not value:
        yield tell(rule, kind, [("has_none", {"key": key, "known": ", ".join(known)}), ("end", {})])
    elif value not in known:
        facts = {"key": key, "value": value[:60], "known": ", ".join(known)}
        yield tell(rule, kind, [("one_of", facts), *hint(value, nearest(value, known, words))])


def names(rule: Rule, kind: str, where: str, what: str, value: str, known: Sequence[Rule]) -> Iterator[Problem]:
    """The name of another rule, which people know by its label too."""
    if not value:
        yield tell(rule, kind, [("has_none", {"key": what, "known": ", ".join(each.name for each in known)}), ("end", {})])
    elif value not in [each.name for each in known]:
        labels = {each.name: (each.label,) for each in known if each.label}
        near = nearest(value, [each.name for each in known], labels)
        yield tell(rule, kind, [("does_not_exist", {"where": where, "kind": what, "value": value[:60]}), *hint(value, near)])


def known_names(
    rulebook: Rulebook, rule: Rule, kind: str, condition: str, columns: Mapping[str, str], *, is_aggregate: bool = False
) -> Iterator[Problem]:
    """The stages, tiers and the like that a condition asks for by name; of one that is none nobody ever is."""
    if guard(condition, columns, is_aggregate=is_aggregate):
        return
    for column, (what, rules) in rulebook.named_in.items():
        for text in texts_compared_with(condition, column):
            yield from names(rule, kind, "", what, text, rules)


def owners(rulebook: Rulebook) -> Iterator[Problem]:
    """Who answers for rules is for the shop to say; one that stands once and is spelt nearly as another was most likely that other."""
    owned = [
        *(("tag", tag) for tag in rulebook.tags),
        *(("segment", segment) for segment in rulebook.segments),
        *(("goal", goal) for goal in rulebook.goals),
    ]
    counted = Counter(rule.owner for _, rule in owned if rule.owner)
    for kind, rule in owned:
        others = [owner for owner, count in counted.items() if owner != rule.owner and count > 1]
        if counted[rule.owner] == 1 and (near := difflib.get_close_matches(rule.owner, others, n=1, cutoff=0.8)):
            facts = {"value": rule.owner[:60], "meant": near[0]}
            yield problem(rule.file, f"{kind} {rule.name}", [("odd_owner", facts), ("end", {})], is_warning=True)


def has_an_end(rulebook: Rulebook, rule: Rule, kind: str, activity: str) -> Iterator[Problem]:
    """What speaks of the churn of an activity finds its days declared."""
    if activity in CHOICES["activity"] and rulebook.churned_after(activity) is None:
        yield refuse(rule, kind, f"needs the days of silence that end '{activity}'; add them to after_days of churn in the settings.")


def ascending(rules: Rule, key: str, values: Sequence[int]) -> Iterator[Problem]:
    if not values or values[0] < 1 or any(earlier >= later for earlier, later in itertools.pairwise(values)):
        yield refuse(rules, "rules", f"{key} must be numbers that ascend from 1 or more; they are {list(values)}.")


def at_least(rule: Rule, kind: str, least: int, **values: int | None) -> Iterator[Problem]:
    for key, value in values.items():
        if value is None or value < least:
            yield refuse(rule, kind, f"needs {key}: a whole number, at least {least}.")
