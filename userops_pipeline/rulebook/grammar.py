"""Which keys may stand where in the YAML files of the dbt project, and what stands behind each: dbt's own keys, and those of the rules.

The keys of rules follow from their kinds and places; add here what dbt reads besides, when the project begins to use it. Must not look at a file.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from userops_pipeline.conclude import scored
from userops_pipeline.rulebook.kinds import goals, lists
from userops_pipeline.rulebook.kinds.settings import SETTINGS
from userops_pipeline.rulebook.places import PLACES, SEGMENTS, TAGS, lists_in


@dataclass(frozen=True)
class Anything:
    """What nobody here judges."""


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
    """A list. Entries that are looked for by name need one."""

    of: Shape
    are_named: bool = False


@dataclass(frozen=True)
class Named:
    """A mapping whose keys depend on its name."""

    keys: Callable[[str], Keys]


Shape = Anything | Prose | Word | Condition | Keys | Entries | Named

ANY, PROSE, WORD, CONDITION = Anything(), Prose(), Word(), Condition()
PROSE_KEYS = {
    "label",
    "description",
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
NOT_WRITTEN = {"file", "depends_on_audiences"}  # of a kind, and no key of the files
SQL_TYPES = (
    "string",
    "varchar",
    "boolean",
    "tinyint",
    "smallint",
    "integer",
    "int",
    "bigint",
    "float",
    "double",
    "decimal",
    "date",
    "timestamp",
)


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
        return next((each for each in shapes if isinstance(each, Keys | Entries)), shapes[0])
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
def meta_of(table: str) -> Keys:
    """The keys of the meta of a table: those of everybody, and of the rules and settings that stand there."""
    known: dict[str, Shape] = {"label": PROSE, "owner": PROSE}
    for place in PLACES:
        if place.table != table:
            continue
        if place.shape == "list":
            known[place.key] = Entries(keys_of(place.kind), are_named=True)
        elif place.shape == "meta":
            known |= _without_name(place.kind)
        elif place.shape == "settings":
            inner = {
                each.inner: Entries(keys_of(each.kind), are_named=True)
                for each in PLACES
                if (each.table, each.key) == (table, place.key) and each.inner in lists_in(table, place.key)
            }
            known[place.key] = Keys({**_without_name(place.kind), **inner})
    if table in SETTINGS:
        known |= keys_of(SETTINGS[table]).known
    if table == "int_value_history":
        known |= keys_of(scored.HistoryRules).known
    return Keys(known)


CONFIG = ("enabled", "tags", "group")
MODEL_CONFIG = (
    *CONFIG,
    "access",
    "alias",
    "batch_size",
    "begin",
    "concurrent_batches",
    "contract",
    "database",
    "docs",
    "event_time",
    "format",
    "freshness",
    "full_refresh",
    "grants",
    "incremental_predicates",
    "incremental_strategy",
    "indexes",
    "location",
    "lookback",
    "materialized",
    "on_configuration_change",
    "on_schema_change",
    "options",
    "packages",
    "persist_docs",
    "post-hook",
    "post_hook",
    "pre-hook",
    "pre_hook",
    "quoting",
    "schema",
    "sql_header",
    "static_analysis",
    "unique_key",
)
COLUMN_META: dict[str, Shape] = {"label": PROSE, "personal": WORD, "sensitive": WORD, "alike": ANY}


def _any(*keys: str) -> dict[str, Shape]:
    return dict.fromkeys(keys, ANY)


def _config(meta: Keys, *others: str) -> Keys:
    known = {"meta": meta, **_any(*CONFIG, *others)}
    return Keys(known | ({"contract": Keys(_any("enforced", "alias_types"))} if "contract" in others else {}))


def _column(table: str, tests: Shape) -> Keys:
    meta = {TAGS: Keys({**COLUMN_META, **_without_name(lists.Tag)}), SEGMENTS: Keys({**COLUMN_META, **_without_name(lists.Segment)})}
    return Keys(
        {
            "name": WORD,
            "data_type": Word(SQL_TYPES),
            "description": PROSE,
            "config": _config(meta.get(table, Keys(COLUMN_META))),
            "data_tests": Entries(tests),
            **_any("constraints", "quote", "granularity", "policy_tags", "dimension", "entity"),
        }
    )


def file_of(tests: Mapping[str, tuple[str, ...]]) -> Keys:
    """A whole file; `tests` are the arguments of the generic tests of the project, by name."""
    ours = {
        "not_null": (),
        "unique": (),
        "accepted_values": ("values", "quote"),
        "relationships": ("to", "field"),
        **tests,
    }
    test = Keys(
        {
            name: Keys(
                {
                    "arguments": Keys(_any(*arguments)),
                    "name": WORD,
                    "description": PROSE,
                    "config": ANY,
                }
            )
            for name, arguments in ours.items()
        },
        bare=Word(tuple(ours)),
    )

    def model(name: str) -> Keys:
        return Keys(
            {
                "name": WORD,
                "description": PROSE,
                "config": _config(meta_of(name), *MODEL_CONFIG),
                "columns": Entries(_column(name, test), are_named=True),
                "data_tests": Entries(test),
                **_any("constraints", "latest_version", "versions", "deprecation_date", "time_spine"),
            }
        )

    def table(name: str) -> Keys:
        meta = {"label": PROSE, "owner": PROSE, **_any("key", "at", "lateness", "stitch", "staging")}
        if name == scored.USERS:
            meta |= keys_of(scored.ValueRules).known
        return Keys(
            {
                "name": WORD,
                "description": PROSE,
                "config": _config(Keys(meta), "event_time", "freshness", "loaded_at_field", "loaded_at_query"),
                "columns": Entries(_column("", test), are_named=True),
                "data_tests": Entries(test),
                **_any("external", "identifier", "loader", "quoting"),
            }
        )

    source = Keys(
        {
            "name": WORD,
            "schema": WORD,
            "description": PROSE,
            "tables": Entries(Named(table), are_named=True),
            "config": _config(Keys(others=ANY), "event_time", "freshness", "loaded_at_field", "loaded_at_query"),
            **_any("database", "loader", "quoting"),
        }
    )
    contact_list = _without_name(lists.ContactList) | {"fields": Keys(others=WORD, are_foreign=True), "owner": PROSE}
    exposure = Keys(
        {
            "name": WORD,
            "label": PROSE,
            "type": Word(("dashboard", "notebook", "analysis", "ml", "application")),
            "owner": Keys({"name": PROSE, "email": PROSE}),
            "description": PROSE,
            "config": _config(Keys(contact_list)),
            **_any("depends_on", "maturity", "url"),
        }
    )
    metric = Keys(
        {
            "name": WORD,
            "label": PROSE,
            "description": PROSE,
            "type": Word(("simple", "ratio", "derived", "cumulative", "conversion")),
            "type_params": Keys(
                _any(
                    "measure",
                    "numerator",
                    "denominator",
                    "expr",
                    "metrics",
                    "cumulative_type_params",
                    "conversion_type_params",
                    "window",
                    "grain_to_date",
                )
            ),
            "filter": CONDITION,
            "config": _config(
                Keys({key: shape for key, shape in _without_name(goals.Metric).items() if key not in ("type", "asks", "of")})
            ),
            **_any("time_granularity"),
        }
    )
    measure = Keys(
        {
            "name": WORD,
            "agg": Word(("sum", "min", "max", "average", "sum_boolean", "count_distinct", "percentile", "median", "count")),
            "expr": CONDITION,
            "label": PROSE,
            "description": PROSE,
            "config": Keys({"meta": Keys({"column": WORD})}),
            **_any("create_metric", "non_additive_dimension", "agg_params", "agg_time_dimension"),
        }
    )
    dimension = Keys(
        {
            "name": WORD,
            "type": Word(("categorical", "time")),
            "expr": CONDITION,
            "label": PROSE,
            "description": PROSE,
            **_any("type_params", "is_partition", "config"),
        }
    )
    semantic_model = Keys(
        {
            "name": WORD,
            "label": PROSE,
            "model": WORD,
            "description": PROSE,
            "dimensions": Entries(dimension, are_named=True),
            "measures": Entries(measure, are_named=True),
            **_any("defaults", "primary_entity", "entities", "config"),
        }
    )
    rows = _any("input", "rows", "format", "fixture")
    unit_test = Keys(
        {
            "name": WORD,
            "description": PROSE,
            "model": WORD,
            "given": Entries(Keys(rows)),
            "expect": Keys({key: ANY for key in rows if key != "input"}),
            "overrides": Keys(_any("macros", "vars", "env_vars")),
            **_any("config", "versions"),
        }
    )
    plain = Keys(
        {
            "name": WORD,
            "description": PROSE,
            "config": ANY,
            "columns": Entries(_column("", test), are_named=True),
            "data_tests": Entries(test),
        }
    )
    return Keys(
        {
            "version": WORD,
            "models": Entries(Named(model), are_named=True),
            "sources": Entries(source, are_named=True),
            "exposures": Entries(exposure, are_named=True),
            "metrics": Entries(metric, are_named=True),
            "semantic_models": Entries(semantic_model, are_named=True),
            "unit_tests": Entries(unit_test, are_named=True),
            "seeds": Entries(plain, are_named=True),
            "snapshots": Entries(Keys({**plain.known, **_any("relation")}), are_named=True),
            **_any("macros", "groups", "saved_queries", "functions", "analyses"),
        }
    )


@dataclass(frozen=True)
class Home:
    """Where one kind of entry belongs: its name in wording, its keys, and table and key of the meta, or the key of the file."""

    kind: str
    keys: frozenset[str]
    table: str = ""
    key: str = ""


KINDS = {
    "families": "family",
    "stages": "stage",
    "plan_states": "plan state",
    "paid_periods": "paid period",
    "tags": "tag",
    "segments": "segment",
    "funnels": "funnel",
    "rfm_groups": "group",
    "tiers": "tier",
    "levels": "level",
    "point_rules": "points",
    "benefits": "benefit",
    "retentions": "retention",
    "survivals": "survival",
    "kol_tiers": "opinion leader",
    "precursors": "precursor",
    "behaviours": "behaviour",
    "outcomes": "outcome",
    "key_behaviours": "key behaviour",
    "goals": "goal",
}
SHARED = {"name", "label", "description", "owner", "config", "data_type", "purpose", "basis", "channel", "data_tests", "meta"}
"""Keys that say nothing of the kind an entry is of."""


@functools.cache
def homes() -> tuple[Home, ...]:
    """Every kind of entry with a name, where it belongs, and by which keys it is known."""
    written = [
        Home(KINDS[place.field], frozenset(keys_of(place.kind).known), place.table, ".".join(filter(None, (place.key, place.inner))))
        for place in PLACES
        if place.field in KINDS
    ]
    file = file_of({}).known
    others = [
        ("list", "exposures", lists.ContactList),
        ("metric", "metrics", goals.Metric),
        ("table", "models", None),
        ("unit test", "unit_tests", None),
    ]
    for kind, key, of in others:
        shape = file[key]
        assert isinstance(shape, Entries)
        keys = shape.of.keys("") if isinstance(shape.of, Named) else shape.of
        assert isinstance(keys, Keys)
        written.append(Home(kind, frozenset(keys.known) | (frozenset(keys_of(of).known) if of else frozenset()), key=key))
    return tuple(written)


def homes_of(keys: frozenset[str]) -> list[Home]:
    """The kinds of entries that these keys are most like; none where they say nothing."""
    telling = keys - SHARED
    likeness = {
        home: 2 * len(telling & home.keys) - len(telling - home.keys) + (home.table in (TAGS, SEGMENTS) and "data_type" in keys)
        for home in homes()
        if telling & home.keys
    }
    most = max(likeness.values(), default=0)
    return [home for home, found in likeness.items() if found == most > 0]
