"""What is declared: the tables as the YAML of the dbt project describes them, and beside each the rules that decide it.

Here lives how paragraphs become declarations of tables, in the words of dbt's manifest. Add here when a rule becomes something new of a table.
Must not judge a rule, nor know what dbt makes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from userops_pipeline.ground.home import UserOpsError
from userops_pipeline.rulebook.places import (
    LISTS,
    PLACES,
    RULE_FILES,
    RULED_TABLES,
    SECTIONS,
    SETTINGS_FILE,
    TAGS,
    path_of,
)
from userops_pipeline.rulebook.rule_files import LOADER, UNREADABLE, Paragraphs

Entry = dict[str, Any]
OWN_MODELS = "models/marts/own"  # where the models of a shop are: published, tested and shown like ours
LABELLED = ("int_user_features", "user_profile", "user_lifecycle", "int_user_community", TAGS)  # whose columns conditions name


class Declarations:
    """The tables, metrics and rules of a shop: `files` are the YAML of its dbt project, `said` what its files of rules say."""

    def __init__(self, files: Mapping[str, Entry], said: Mapping[str, Paragraphs]) -> None:
        self.models = {entry["name"]: (file, entry) for file, entry in _entries(files, "models")}
        self.sources = {
            table["name"]: (file, table)
            for file, source in _entries(files, "sources")
            for table in source.get("tables", [])
            if "name" in table
        }
        self.metrics = dict(_named(_entries(files, "metrics")))
        self.measures = [measure for _, model in _entries(files, "semantic_models") for measure in model.get("measures", [])]
        self.said = said

    @property
    def labels(self) -> dict[str, str]:
        """The columns that conditions may ask for, by what people call them."""
        found: dict[str, str] = {}
        for table in LABELLED:
            for column in self._entry(table).get("columns", []):
                if label := _meta(column).get("label"):
                    found.setdefault(label, column["name"])
        return found

    def columns_of(self, table: str) -> dict[str, Entry]:
        """Every column of a table as dbt's YAML has it, those that rules make behind those that are described."""
        described = {column["name"]: column for column in self._entry(table).get("columns", [])}
        return {**described, **{name: column for name, column in self.columns_of_rules(table).items() if name not in described}}

    def columns_of_rules(self, table: str) -> dict[str, Entry]:
        """The columns of a table that are rules."""
        place = next((place for place in PLACES if place.shape == "columns" and place.table == table), None)
        return {name: _column(name, keys) for name, keys in self.said[place.file].items()} if place else {}

    def rules_of(self, table: str) -> Entry:
        """What decides a table: its sections of the settings, and its rules by what the table calls them."""
        found: Entry = {}
        for section, (reader, key) in SECTIONS.items():
            if reader == table:
                found.update({key: dict(self.said[SETTINGS_FILE].get(section, {}))} if key else self.said[SETTINGS_FILE].get(section, {}))
        for place in RULE_FILES.values():
            if place.table == table and place.shape != "columns":
                rules = [{"name": name, **keys} for name, keys in self.said[place.file].items()]
                if place.shape == "inner":
                    found.setdefault(place.key, {})[place.inner] = rules
                else:
                    found[place.key] = rules
        return found

    def metric_parts(self, metric: Entry) -> dict[str, str]:
        """The columns that a metric's numerator and denominator add up."""
        columns = {measure["name"]: _meta(measure).get("column", measure["name"]) for measure in self.measures}
        given = metric.get("type_params") or {}
        parts = {"numerator": given.get("numerator") or metric["name"], "denominator": given.get("denominator")}
        names = {part: _name_of(name) for part, name in parts.items() if name}
        # A measure with `create_metric` is a metric of its own name.
        return {
            part: columns[_name_of(self.metrics[name][1]["type_params"]["measure"]) if name in self.metrics else name]
            for part, name in names.items()
        }

    def document(self) -> Entry:
        """The declarations as dbt's manifest would have them, with the rules where the tables are."""
        nodes = {
            f"model.{name}": {
                "resource_type": "model",
                "name": name,
                "original_file_path": file,
                "columns": {column: _as_node(entry) for column, entry in self.columns_of(name).items()},
                "config": {"meta": {**_meta(model), **(self.rules_of(name) if name in RULED_TABLES else {})}},
            }
            for name, (file, model) in self.models.items()
        }
        sources = {
            name: {
                "name": name,
                "original_file_path": file,
                "config": {"meta": {**_meta(table), **(self.rules_of(name) if name in RULED_TABLES else {})}},
            }
            for name, (file, table) in self.sources.items()
        }
        return {"nodes": nodes, "sources": sources, "exposures": self._lists(), "metrics": dict(self._metrics())}

    def _entry(self, table: str) -> Entry:
        return self.models.get(table, ("", {}))[1]

    def _lists(self) -> Entry:
        return {
            name: {"name": name, "original_file_path": path_of(LISTS), "label": keys.get("label", ""), "config": {"meta": keys}}
            for name, keys in self.said[LISTS].items()
        }

    def _metrics(self) -> Iterator[tuple[str, Entry]]:
        for name, (file, metric) in self.metrics.items():
            given = metric.get("type_params") or {}
            params = {part: {"name": _name_of(given[part])} for part in ("measure", "numerator", "denominator") if given.get(part)}
            asked = metric.get("filter")
            filters = [asked] if isinstance(asked, str) else asked or []
            yield (
                name,
                {
                    "name": name,
                    "type": metric.get("type"),
                    "original_file_path": file,
                    "type_params": params,
                    "filter": {"where_filters": [{"where_sql_template": text.strip()} for text in filters]},
                    "config": {"meta": _meta(metric)},
                },
            )


def files_of(ours: Path, own: Path | None = None) -> dict[str, Entry]:
    """The YAML of the engine's folder of models and of a shop's own, by its path from the project.

    Raises:
        UserOpsError: a file of the shop's own cannot be read, or describes a table of the engine.
    """
    found = {f"models/{path.relative_to(ours).as_posix()}": _content(path) for path in sorted(ours.rglob("*.yml"))}
    if own is None:
        return found
    taken = {entry["name"] for _, entry in _entries(found, "models")}
    for path in sorted(own.rglob("*.yml")):
        name = f"models/{path.relative_to(own).as_posix()}"
        try:
            content = _content(path)
        except UNREADABLE as error:
            raise UserOpsError(f"{name} is not readable YAML: {' '.join(str(error).split())}") from None
        if both := sorted(taken & {entry["name"] for _, entry in _entries({name: content}, "models")}):
            raise UserOpsError(f"{name} describes {both[0]}, a table of the engine; give a model of your own a name of its own.")
        found[f"{OWN_MODELS}/{path.relative_to(own).as_posix()}"] = content
    return found


def _content(path: Path) -> Entry:
    content = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506 - the safe loader, in C
    return content if isinstance(content, dict) else {}


def _entries(files: Mapping[str, Entry], key: str) -> Iterator[tuple[str, Entry]]:
    for file, content in files.items():
        yield from ((file, entry) for entry in content.get(key) or [] if isinstance(entry, dict) and ("name" in entry))


def _named(entries: Iterable[tuple[str, Entry]]) -> Iterator[tuple[str, tuple[str, Entry]]]:
    yield from ((entry["name"], (file, entry)) for file, entry in entries)


def _column(name: str, keys: Entry) -> Entry:
    """A rule that is a column of true and false."""
    meta = {key: value for key, value in keys.items() if key != "about"}
    return {"name": name, "data_type": "boolean", "description": keys.get("about", ""), "config": {"meta": meta}}


def _as_node(column: Entry) -> Entry:
    return {"name": column["name"], "data_type": column.get("data_type"), "config": {"meta": _meta(column)}}


def _meta(entry: Entry) -> Entry:
    return (entry.get("config") or {}).get("meta") or {}


def _name_of(given: Any) -> str:
    return str(given["name"] if isinstance(given, dict) else given)
