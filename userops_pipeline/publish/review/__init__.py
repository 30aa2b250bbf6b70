"""The review: one published night as one HTML page that a head of operations reads, in English or Chinese, without network.

Here stands the list of its sections in reading order, and how the page is found, made and written. Add a section as a small function in
the file of its subject and a line here. Must not read the private warehouse: only what is published.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from userops_pipeline.ground.home import Home, UserOpsError, share, write_atomically
from userops_pipeline.publish import generations
from userops_pipeline.publish.generations import Generation
from userops_pipeline.publish.pictures import Picture
from userops_pipeline.publish.review import churn, community, goals, lifecycle, membership, retention, segments, value
from userops_pipeline.publish.review.page import as_html
from userops_pipeline.publish.review.parts import Drawing, Section, opened

SECTIONS: tuple[Section, ...] = (
    lifecycle.glance,
    goals.scorecard,
    goals.metrics,
    lifecycle.stages,
    lifecycle.playbook,
    lifecycle.periods,
    lifecycle.funnels,
    retention.retention,
    retention.survival,
    churn.churn_risk,
    churn.key_behaviours,
    value.rfm,
    value.concentration,
    value.value_model,
    membership.membership,
    community.core_users,
    segments.personas,
    segments.tags,
    segments.lists,
    segments.data,
)


@dataclass(frozen=True)
class Review:
    """A finished page, and the pictures in it by name."""

    html: str
    pictures: dict[str, Picture]


def review(generation: Generation) -> Review:
    """The page of one generation; the same generation gives the same bytes."""
    with opened(generation) as published:
        made = [(section, section.parts(published)) for section in SECTIONS]
    drawn = {part.name: part.picture for _, parts in made for part in parts if isinstance(part, Drawing)}
    return Review(as_html(generation, made), drawn)


def write(path: Path, page: Review) -> Path:
    """Write the page under a temporary name and rename it into place."""
    write_atomically(path, page.html.encode())
    share(path)
    return path


def published_on(home: Home, night: date | None) -> Generation:
    """The current generation, or the one of a night (of several the current one, else the last written), after every file was compared.

    Raises:
        UserOpsError: nothing is published, there is no generation of that night, or its files cannot be trusted.
    """
    found = generations.current(home)
    if night is not None and (found is None or found.as_of != night):
        known = generations.list_generations(home)
        found = next((generation for generation in known if generation.as_of == night), None)
        if found is None and known:
            nights = ", ".join(sorted({generation.as_of.isoformat() for generation in known}))
            kept = f" The review written that night is {home.review_of(night)}." if home.review_of(night).is_file() else ""
            raise UserOpsError(f"There is no generation of {night} any more, or not yet; there are those of {nights}.{kept}")
    if found is None:
        raise UserOpsError("Nothing is published yet; run a night first.")
    generations.verify(found.path)
    return found
