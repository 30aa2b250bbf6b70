"""An explanation in lines for a terminal, English with the Chinese labels people use.

Here lives the wording only; add here when an explanation should read better. Must not look anything up: answers does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from userops_pipeline.core.rulebook.answers import Explanation


def as_lines(explanation: Explanation) -> Iterator[str]:
    """Stage, tags, segments and lists of one user, each with its rule and the values it saw."""
    yield f"User {explanation.user_id}"
    stage = explanation.stage
    if stage is not None:
        before = f", before that {stage.previous_stage}" if stage.previous_stage else ""
        yield ""
        yield f"Stage  {stage.name} {stage.label}  since {stage.since_on} ({stage.days_in_stage} days{before})"
        yield f"       because {stage.when}{_seen(stage.values)}"
    yield ""
    yield f"Tags ({len(explanation.tags)})"
    for tag in explanation.tags:
        why = f"agent {tag.author} said so" if tag.author else f"{tag.when}{_seen(tag.values)}"
        yield f"  {tag.name} {tag.label}  since {tag.since_on}: {why}"
    members = [segment for segment in explanation.segments if segment.is_member]
    others = [segment for segment in explanation.segments if not segment.is_member]
    yield ""
    yield f"In {len(members)} segments"
    for segment in members:
        yield f"  {segment.name} {segment.label}: " + "; ".join(
            f"{'not ' if step.kind == 'exclude' else ''}{step.text}{_seen(step.values)}" for step in segment.steps
        )
    yield f"Not in {len(others)}"
    for segment in others:
        failed = segment.failed
        if failed is not None:
            why = "is excluded by" if failed.kind == "exclude" else "does not meet"
            yield f"  {segment.name} {segment.label}: {why} step {failed.number}, {failed.text}{_seen(failed.values)}"
    yield ""
    yield "Lists"
    for entry in explanation.lists:
        yield f"  {'on ' if entry.is_on else 'off'}  {entry.name} {entry.label} ({entry.tool}): {entry.reason}"


def _seen(values: Mapping[str, Any]) -> str:
    """The values a condition saw, behind it; nothing where it saw none of its own."""
    if not values:
        return ""
    return "  [" + ", ".join(f"{name} = {'missing' if value is None else value}" for name, value in values.items()) + "]"
