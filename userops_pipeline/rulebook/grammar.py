"""Which keys may stand where in the files of rules, and what stands behind each.

They follow from the kinds and places of rules; add here a shape that no kind has had yet. Must not look at a file.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from userops_pipeline.conclude import scored
from userops_pipeline.rulebook.kinds import lists
from userops_pipeline.rulebook.kinds.settings import SETTINGS
from userops_pipeline.rulebook.places import LISTS, PLACES, RULE_FILES, SECTIONS, SETTINGS_FILE


@dataclass(frozen=True)
class Prose:
    """A text for people, in any language."""


@dataclass(frozen=True)
class Word:
    """A name, a number or a word of a vocabulary: plain signs only; one of `known`, where they are given."""

    known: tuple[str, ...] = ()


@dataclass(frozen=True)
class Condition:
    """SQL: plain signs only, but for texts in quotes."""


@dataclass(frozen=True)
class Keys:
    """A mapping: the keys it may have, and what the values of any other are where others are allowed."""

    known: Mapping[str, Shape] = field(default_factory=dict)
    others: Shape | None = None
    bare: Shape | None = None
    """What may stand there instead of a mapping."""
    are_foreign: bool = False
    """Whether the other keys are words of somebody else's, in any language."""


@dataclass(frozen=True)
class Entries:
    """A list."""

    of: Shape
    bare: Shape | None = None
    """What may stand there instead of a list."""


Shape = Prose | Word | Condition | Keys | Entries

PROSE, WORD, CONDITION = Prose(), Word(), Condition()
PROSE_KEYS = {
    "label",
    "about",
    "owner",
    "state",
    "goal",
    "touchpoint",
    "action",
    "content",
    "care",
    "purpose",
    "basis",
    "words",
    "confirmed_by",
    "prospect_label",
    "category",
    "email",
}
CONDITION_KEYS = {"when", "stays_when", "sql", "points"}
NOT_WRITTEN = {
    "file",
}  # of a kind, and no key of the files


def shape_of(annotation: Any, key: str = "") -> Shape:
    """What stands behind a key of a kind of rule."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        found = shape_of(inner[0], key)
        return Keys(found.known, bare=CONDITION) if inner[0] is lists.Step and isinstance(found, Keys) else found
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return keys_of(annotation)
    if origin in (Union, types.UnionType):
        shapes = [shape_of(each, key) for each in inner if each is not type(None)]
        found = next((each for each in shapes if isinstance(each, Keys | Entries)), shapes[0])
        return Entries(found.of, bare=next((each for each in shapes if each != found), None)) if isinstance(found, Entries) else found
    if origin is tuple:
        return Entries(shape_of(inner[0], key))
    if origin is dict:
        return Keys(others=shape_of(inner[1], key))
    if key in CONDITION_KEYS:
        return CONDITION
    return PROSE if key in PROSE_KEYS or key.endswith("_zh") else WORD


@functools.cache
def keys_of(kind: type[BaseModel]) -> Keys:
    """The keys of a kind of rule."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return Keys({name: shape_of(hints[name], name) for name in kind.model_fields if name not in NOT_WRITTEN})


def _without_name(kind: type[BaseModel]) -> dict[str, Shape]:
    return {key: shape for key, shape in keys_of(kind).known.items() if key != "name"}


@functools.cache
def paragraph_of(kind: type[BaseModel]) -> Keys:
    """The keys of a rule's paragraph, whose name is that of the paragraph."""
    return Keys(_without_name(kind))


@functools.cache
def sections() -> Keys:
    """The sections of the settings."""
    return Keys({name: _section(table, key) for name, (table, key) in SECTIONS.items()})


def _section(table: str, key: str) -> Shape:
    if table in SETTINGS:
        known = keys_of(SETTINGS[table]).known
        return known[key] if key else Keys(known)
    if table == scored.USERS:
        return Keys(keys_of(scored.ValueRules).known)
    if table == scored.HISTORY:
        return Keys(keys_of(scored.HistoryRules).known)
    place = next(place for place in PLACES if place.table == table and place.shape in ("settings", "meta") and key in ("", place.key))
    return Keys({name: shape for name, shape in paragraph_of(place.kind).known.items() if name not in ("label", "about")})


@functools.cache
def file_of(file: str) -> Keys:
    """A whole file of rules: sections, or a paragraph for every rule of its kind."""
    if file == SETTINGS_FILE:
        return sections()
    if file == LISTS:
        paragraph = paragraph_of(lists.ContactList)
        return Keys(others=Keys({**paragraph.known, "fields": Keys(others=WORD, are_foreign=True)}))
    return Keys(others=paragraph_of(RULE_FILES[file].kind))


def paragraph_keys(file: str) -> list[str]:
    """The keys of a paragraph of a file; none for the settings, which have sections."""
    paragraph = file_of(file).others
    return list(paragraph.known) if isinstance(paragraph, Keys) else []


@dataclass(frozen=True)
class Home:
    """Where one kind of rule belongs: its name in wording, its keys, and its file."""

    kind: str
    keys: frozenset[str]
    file: str


KINDS = {
    "tag_families": "family",
    "stages": "stage",
    "plan_states": "plan state",
    "paid_periods": "paid period",
    "tags": "tag",
    "segments": "segment",
    "funnels": "funnel",
    "rfm_groups": "group",
    "tiers": "tier",
    "levels": "level",
    "points": "points",
    "benefits": "benefit",
    "retentions": "retention",
    "survivals": "survival",
    "kol_tiers": "opinion leader",
    "precursors": "precursor",
    "behaviours": "behaviour",
    "outcomes": "outcome",
    "value_chain": "key behaviour",
    "goals": "goal",
    "lists": "list",
}
SHARED = {"label", "about", "owner", "purpose", "basis", "channel"}
"""Keys that say nothing of the kind a rule is of."""


@functools.cache
def homes() -> tuple[Home, ...]:
    """Every kind of rule, its file, and by which keys it is known."""
    kinds = {**{file: place.kind for file, place in RULE_FILES.items()}, LISTS: lists.ContactList}
    return tuple(Home(KINDS[file], frozenset(paragraph_of(kind).known), file) for file, kind in kinds.items())


def homes_of(keys: frozenset[str]) -> list[Home]:
    """The kinds of rules that these keys are most like; none where they say nothing."""
    telling = keys - SHARED
    likeness = {home: 2 * len(telling & home.keys) - len(telling - home.keys) for home in homes() if telling & home.keys}
    most = max(likeness.values(), default=0)
    return [home for home, found in likeness.items() if found == most > 0]
