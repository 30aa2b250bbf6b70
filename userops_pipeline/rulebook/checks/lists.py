"""Tags, segments and the lists made of them: what nobody can ever enter, what must not be asked, who may be written to.

Add a check of these here. Must not know how a tool is reached.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator

from userops_pipeline.ground import contract
from userops_pipeline.ground.channels import foreign_addresses
from userops_pipeline.rulebook.book import Rulebook
from userops_pipeline.rulebook.checks.judging import choice, faults_of, known_names, names, refuse, sound, warn
from userops_pipeline.rulebook.condition import Typist, columns_in, contradiction, guard
from userops_pipeline.rulebook.kinds.lists import Segment, Tag
from userops_pipeline.rulebook.problem import Problem, closest

PRECEDENCES = ("manual", "rule")
MODES = ("mirror", "additive", "enrich")
MATCH_KEYS = ("user_id", "email", "phone", "contact_point")
CONTACT_FIELDS = ("contact_point", "email", "phone", "name")


def tags(rulebook: Rulebook, typist: Typist) -> Iterator[Problem]:
    yield from sound(typist, rulebook.tags, "tag")
    for tag in rulebook.tags:
        if not tag.owner:
            yield refuse(tag, "tag", "has no owner; say who answers for it.")
        families = {family.name: (family.label,) for family in rulebook.families}
        yield from choice(tag, "tag", "family", tag.family, tuple(families), families)
        yield from choice(tag, "tag", "precedence", tag.precedence, PRECEDENCES)
        for condition in (tag.when, tag.stays_when or "true"):
            yield from known_names(rulebook, tag, "tag", condition, rulebook.tag_columns)
        yield from _reasoned(rulebook, tag, "tag", [tag.when])


def _reasoned(rulebook: Rulebook, rule: Tag | Segment, kind: str, conditions: Iterable[str]) -> Iterator[Problem]:
    """A rule over what people are, not what they did, says what for and with what right."""
    columns = rulebook.tag_columns if isinstance(rule, Tag) else rulebook.state_columns
    readable = [condition for condition in conditions if not guard(condition, columns)]
    used = [name for condition in readable for name in columns_in(condition) if name in rulebook.sensitive]
    missing = [key for key in ("purpose", "basis") if not getattr(rule, key).strip()]
    if used and missing:
        yield refuse(
            rule,
            kind,
            f"uses the sensitive column '{used[0]}' without {' and '.join(missing)}; declare both (what it is for, and on what basis the shop "
            "may use it), or leave the column out.",
        )


def segments(rulebook: Rulebook, typist: Typist) -> Iterator[Problem]:
    known = [segment.name for segment in rulebook.segments]
    exported = {each.segment for each in rulebook.lists}
    used = {step.segment for segment in rulebook.segments for step in segment.steps}
    for segment in rulebook.segments:
        if not segment.owner:
            yield refuse(segment, "segment", "has no owner; say who answers for it.")
        if not segment.include:
            yield refuse(segment, "segment", "has no include step; write `include: ['true']` for a segment that begins with everybody.")
        faults: list[Problem] = []
        for key, steps in (("include", segment.include), ("exclude", segment.exclude)):
            for number, step in enumerate(steps, 1):
                if (step.when is None) == (step.segment is None):
                    faults.append(refuse(segment, "segment", f"{key} step {number} must be one condition or one {{segment: name}}."))
                elif step.segment is not None and step.segment not in known:
                    faults += names(segment, "segment", f"{key} step {number} ", "segment", step.segment, rulebook.segments)
                elif step.when is not None:
                    faults += faults_of(typist, segment, "segment", step.when, f"{key} step {number}")
                    faults += known_names(rulebook, segment, "segment", step.when, typist.columns)
        yield from faults
        yield from _reasoned(rulebook, segment, "segment", [step.when for step in segment.steps if step.when])
        if path := _way_back(rulebook, segment):
            yield refuse(segment, "segment", f"is defined by itself ({' → '.join(path)}); take one of these steps out.")
        elif not faults and (sentence := _impossible(segment)):
            yield refuse(segment, "segment", sentence)
        if segment.name not in exported | used:
            yield warn(segment, "segment", "is exported by no list; add a list or take it out.")


def _way_back(rulebook: Rulebook, start: Segment) -> list[str] | None:
    """The chain of references that leads from a segment back to itself."""
    waiting = [[start.name]]
    visited: set[str] = set()
    while waiting:
        path = waiting.pop(0)
        segment = rulebook.segment(path[-1])
        for step in segment.steps if segment else ():
            if step.segment == start.name:
                return [*path, start.name]
            if step.segment is not None and step.segment not in visited:
                visited.add(step.segment)
                waiting.append([*path, step.segment])
    return None


def _impossible(segment: Segment) -> str | None:
    if both := {step.segment for step in segment.include} & {step.segment for step in segment.exclude} - {None}:
        return f"the segment '{min(filter(None, both))}' is both required and excluded, so nobody is left."
    return contradiction([step.when for step in segment.include if step.when], [step.when for step in segment.exclude if step.when])


def lists(rulebook: Rulebook, known_tools: Collection[str]) -> Iterator[Problem]:
    consents = contract.tables()["consents"]
    fields = [
        *itertools.chain.from_iterable(rulebook.columns[model] for model in ("user_profile", "user_lifecycle", "user_tags")),
        *CONTACT_FIELDS,
    ]
    for each in rulebook.lists:
        yield from names(each, "list", "", "segment", each.segment, rulebook.segments)
        for key, known in (
            ("tool", sorted(known_tools)),
            ("mode", MODES),
            ("match_key", MATCH_KEYS),
            ("channel", consents.column("channel").only),
            ("purpose", consents.column("purpose").only),
        ):
            yield from choice(each, "list", key, getattr(each, key), known)
        for tool_field, column in each.fields.items():
            if column not in fields:
                yield refuse(
                    each,
                    "list",
                    f"fills the field '{tool_field}' from '{column}', which is no column a list may carry{closest(column, fields) or '.'}",
                )
        if not 0 < each.max_removed_share <= 1:
            yield refuse(
                each, "list", "max_removed_share must lie above 0 and not above 1; 0.5 stops a list that would lose more than half."
            )
        if not 0 <= each.max_age_days <= 366:
            yield refuse(
                each, "list", "max_age_days must lie from 0 to 366; 3 holds what a generation adds when it is more than three days behind."
            )
        if each.channel in consents.column("channel").only:
            for sentence in foreign_addresses(each.channel, each.match_key, each.fields):
                yield refuse(each, "list", f"{sentence}.")
