"""How the rulebook is read from what is declared of the tables, which is worded as dbt's manifest words it.

Where a kind stands is a line of places; add here how it is read when it stands elsewhere. Reading is lenient on purpose, so that one mistake never
hides another.
Must not judge a rule beyond its shape (check does), evaluate a condition, or open a database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from userops_pipeline.conclude import scored
from userops_pipeline.rulebook.book import DESCRIBED_MODELS, Rulebook
from userops_pipeline.rulebook.grammar import NOT_WRITTEN
from userops_pipeline.rulebook.kinds import goals, lists
from userops_pipeline.rulebook.kinds.rule import Rule
from userops_pipeline.rulebook.kinds.settings import SETTINGS
from userops_pipeline.rulebook.places import LISTS, PLACES, SETTINGS_FILE, Place, lists_in, path_of
from userops_pipeline.rulebook.problem import Problem, nearest
from userops_pipeline.rulebook.vocabulary import KEYS, VALUES
from userops_pipeline.rulebook.wording import Said, hint, problem

NO_SETTING = ("label", "owner", "window", "window_start")  # in the meta of a table, and no setting of it


def load(document: Mapping[str, Any]) -> Rulebook:
    """The rules in a document of declarations."""
    models = {node["name"]: node for node in document.get("nodes", {}).values() if node.get("resource_type") == "model"}
    misread: list[Problem] = []

    def entries(place: Place, node: Mapping[str, Any], holder: Mapping[str, Any], key: str) -> Iterator[Rule]:
        found = holder.get(key, [])
        if not isinstance(found, list):
            misread.append(problem(place.path, place.table, [("not_a_list", {"key": f"{place.key}.{key}" if place.inner else key})]))
            return
        for number, entry in enumerate(found, 1):
            yield _read(place.kind, entry, place.path, f"{key} entry {number}", misread)

    def read(place: Place) -> Iterator[Rule]:
        node = models.get(place.table, {})
        meta = _meta(node)
        found = meta.get(place.key)
        if place.shape == "list":
            yield from entries(place, node, meta, place.key)
        elif place.shape == "inner":
            yield from entries(place, node, found if isinstance(found, Mapping) else {}, place.inner)
        elif place.shape == "settings" and isinstance(found, Mapping):
            inner = lists_in(place.table, place.key)
            kept = {name: value for name, value in found.items() if name not in inner}
            yield _read(place.kind, {**kept, "name": place.key}, place.path, place.key, misread)
        elif place.shape == "meta":
            if stated := {field: meta[field] for field in place.kind.model_fields.keys() & meta.keys()}:
                yield _read(place.kind, {"name": place.key, **stated}, place.path, place.key, misread)
        elif place.shape == "columns":
            for name, column in node.get("columns", {}).items():
                own = place.kind.model_fields.keys() - {"label"}
                if (column.get("data_type") or "boolean").lower() in ("boolean", "bool") or own & _meta(column).keys():
                    yield _read(place.kind, {**_meta(column), "name": name}, place.path, f"column {name}", misread)

    exported = tuple(
        _read(
            lists.ContactList,
            {**_meta(each), "name": each["name"], "label": each.get("label", "")},
            path_of(LISTS),
            f"list {name}",
            misread,
        )
        for name, each in sorted(document.get("exposures", {}).items())
    )
    values = next((node for node in document.get("sources", {}).values() if node["name"] == scored.USERS), {})
    value = _settings(scored.ValueRules, values, misread)
    _settings(scored.HistoryRules, models.get("int_value_history", {}), misread)
    for table, kind in SETTINGS.items():
        _settings(kind, models.get(table, {}), misread, *(place.key for place in PLACES if place.table == table))
    rules: dict[str, Any] = {place.field: tuple(read(place)) for place in PLACES}
    return Rulebook(
        **rules,
        metrics=tuple(
            _read(
                goals.Metric,
                {**_meta(metric), "name": metric["name"], "type": metric.get("type"), "asks": _asks(metric), "of": _of(metric)},
                metric.get("original_file_path", ""),
                f"metric {metric['name']}",
                misread,
            )
            for metric in sorted(document.get("metrics", {}).values(), key=lambda each: each["name"])
            if {"family", "adds", "needs"} & set(_meta(metric))
        ),
        dimensions=tuple(
            str(dimension["name"])
            for dimension in _meta(models.get("user_structure_daily", {})).get("dimensions", [])
            if isinstance(dimension, Mapping) and "name" in dimension
        ),
        lists=exported,
        value=value,
        columns={name: _column_types(models[name]) for name in DESCRIBED_MODELS if name in models},
        sensitive=tuple(
            name for name, column in models.get("int_user_features", {}).get("columns", {}).items() if _meta(column).get("sensitive")
        ),
        files={name: _file(models[name]) for name in DESCRIBED_MODELS if name in models},
        misread=tuple(misread),
    )


AnyRule = TypeVar("AnyRule", bound=Rule)


def _read(kind: type[AnyRule], entry: Any, file: str, position: str, misread: list[Problem]) -> AnyRule:
    """One rule; keys that cannot be read are reported and left out, so that the rest is still checked."""
    if not isinstance(entry, Mapping):
        misread.append(
            problem(file, position, [("not_keys", {"key": position, "found": "a list" if isinstance(entry, list) else "a text"})])
        )
        return kind(file=file)
    keys = {str(key): value for key, value in entry.items() if value is not None}
    rule = str(keys.get("name") or position)
    try:
        return kind.model_validate({**keys, "file": file})
    except ValidationError as error:
        for key, clauses in _faults(error, kind, keys):
            misread.append(problem(file, rule, clauses))
            keys.pop(key, None)
        return kind.model_validate({**keys, "file": file})


AnySettings = TypeVar("AnySettings", bound=BaseModel)


def _settings(kind: type[AnySettings], node: Mapping[str, Any], misread: list[Problem], *beside: str) -> AnySettings | None:
    """What is declared of one table as a whole, each key of it needed; None, with a problem for every fault, where it cannot be read.

    `beside` are keys of rules that stand in the same meta.
    """
    if not node:
        return None
    declared = {key: value for key, value in _meta(node).items() if key not in (*NO_SETTING, *beside)}
    try:
        return kind.model_validate(declared)
    except ValidationError as error:
        misread += [
            problem(path_of(SETTINGS_FILE), f"settings of {node['name']}", clauses) for _, clauses in _faults(error, kind, declared)
        ]
        return None


def _faults(error: ValidationError, kind: type[BaseModel], declared: Mapping[str, Any]) -> Iterator[tuple[str, list[Said]]]:
    """The key and the sentence of everything pydantic refuses."""
    for fault in error.errors(include_url=False):
        # Without the branches of a union, which are no keys.
        parts = [str(part) for part in fault["loc"] if not re.search(r"[\[(]", str(part))]
        where = ".".join(parts)
        if fault["type"] == "extra_forbidden":
            known = _keys_at(kind, fault["loc"][:-1])
            clauses: list[Said] = [("unknown_key", {"key": where}), *hint(parts[-1], nearest(parts[-1], known, KEYS), known)]
        elif fault["type"] == "missing":
            clauses = [("missing", {"key": where})]
        elif fault["type"] == "literal_error":
            known = [each.strip(" '") for each in re.split(",| or ", fault.get("ctx", {})["expected"])]
            value = str(fault["input"])
            facts = {"key": where, "value": value[:60], "known": ", ".join(known)}
            clauses = [("one_of", facts), *hint(value, nearest(value, known, VALUES))]
        else:
            clauses = [("unreadable", {"key": where, "reason": f"{fault['msg'][0].lower()}{fault['msg'][1:]}"})]
        yield str(fault["loc"][0]), clauses


def _keys_at(kind: type[BaseModel], way: tuple[int | str, ...]) -> list[str]:
    """The keys known at the end of a way through a kind; those of the kind itself where the way cannot be followed."""
    for part in way:
        if isinstance(part, str) and part in kind.model_fields:
            inner = list(_models_in(kind.model_fields[part].annotation))
            kind = inner[0] if inner else kind
    return [key for key in kind.model_fields if key not in NOT_WRITTEN]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _meta(node: Mapping[str, Any]) -> dict[str, Any]:
    return dict((node.get("config") or {}).get("meta") or node.get("meta") or {})


def _file(node: Mapping[str, Any]) -> str:
    """The YAML file that documents the model, inside the dbt project."""
    return str(node.get("patch_path") or node.get("original_file_path") or "").split("://")[-1]


def _column_types(node: Mapping[str, Any]) -> dict[str, str]:
    return {name.lower(): str(column.get("data_type") or "").lower() for name, column in node.get("columns", {}).items()}


def _asks(metric: Mapping[str, Any]) -> str:
    """The conditions MetricFlow puts on the rows of a metric, as written."""
    return " and ".join(each["where_sql_template"] for each in (metric.get("filter") or {}).get("where_filters", []))


def _of(metric: Mapping[str, Any]) -> str:
    parts = metric.get("type_params") or {}
    return " / ".join(parts[part]["name"] for part in ("measure", "numerator", "denominator") if parts.get(part))
