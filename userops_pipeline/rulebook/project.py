"""The dbt project of a shop: the engine's own files, and beside them what dbt is given of the rules, resolved here and read by nobody else.

Here lives what is written for dbt: macros that return what is declared, columns of tags and segments, lists as exposures. Add here when a rule
becomes something new that dbt must be told. Must not judge a rule, nor run dbt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from userops_pipeline.ground.home import DBT_PROJECT_DIR, Home, write_atomically
from userops_pipeline.rulebook.declarations import OWN_MODELS, Declarations
from userops_pipeline.rulebook.places import LISTS, RULED_TABLES, SEGMENTS, TAGS

LEFT = {"target", "logs", "dbt_packages"}
CONTRACT = "contract_of"  # of the table it is asked for
GENERATED = "macros/generated"
ABOUT_MACRO = "{#- Written by userops from the rules and from what the tables are described as; what is changed here is lost. -#}\n"


def compose(home: Home, declarations: Declarations, own_models: Path | None) -> None:
    """Write the project; files that say what they said before are left alone, so that dbt parses anew only what changed."""
    wanted = {**_files_in(DBT_PROJECT_DIR), **_own(own_models), **generated(declarations)}
    for table in (TAGS, SEGMENTS):
        file, _ = declarations.models[table]
        wanted[file] = _with_columns(wanted[file], table, list(declarations.columns_of_rules(table).values()))
    there = {path.relative_to(home.project).as_posix(): path for path in home.project.rglob("*") if path.is_file()}
    for name, content in wanted.items():
        if name not in there or there[name].read_bytes() != content:
            write_atomically(home.project / name, content)
    for name in there.keys() - wanted.keys():
        there[name].unlink()


def generated(declarations: Declarations) -> dict[str, bytes]:
    """The files that exist for dbt alone, by their place in the project."""
    return {
        **{f"{GENERATED}/{name}.sql": (ABOUT_MACRO + text).encode() for name, text in _macros(declarations)},
        "models/exports/_lists.yml": yaml.safe_dump(
            {"version": 2, "exposures": list(_exposures(declarations))}, allow_unicode=True, sort_keys=False
        ).encode(),
    }


def given(declarations: Declarations) -> dict[str, Any]:
    """What each macro returns, by its name."""
    documented = {
        table: {name: column.get("data_type") for name, column in declarations.columns_of(table).items()} for table in declarations.models
    }
    return {
        **{f"rules_of_{table}": declarations.rules_of(table) for table in RULED_TABLES},
        "rules_of_tags": [{"name": name, **keys} for name, keys in declarations.said["tags"].items()],
        "rules_of_segments": [{"name": name, **keys} for name, keys in declarations.said["segments"].items()],
        "rules_of_lists": [{"name": name, **declarations.said[LISTS][name]} for name in sorted(declarations.said[LISTS])],
        "declared_metrics": list(_metrics(declarations)),
        **{f"columns_of_{table}": columns for table, columns in documented.items() if columns},
        CONTRACT: {name: _contract(table) for name, (_, table) in declarations.sources.items() if "key" in _meta(table)},
    }


def _macros(declarations: Declarations) -> Iterator[tuple[str, str]]:
    """One macro for each thing declared, by its name: each is a file of its own, since dbt parses anew whoever asks for any macro of a file that changed."""
    for name, content in given(declarations).items():
        # Through JSON, so that dbt is given nothing but texts, numbers, truth values, lists and mappings.
        arguments, picked = ("table", "[table]") if name == CONTRACT else ("", "")
        literal = json.loads(json.dumps(content, default=str))
        yield name, f"{{% macro {name}({arguments}) -%}} {{{{ return({literal!r}{picked}) }}}} {{%- endmacro %}}\n"


def _metrics(declarations: Declarations) -> Iterator[dict[str, Any]]:
    for name in sorted(declarations.metrics):
        _, metric = declarations.metrics[name]
        if "family" in (meta := _meta(metric)):
            yield {"name": name, **meta, **({} if "retention" in meta else declarations.metric_parts(metric))}


def _exposures(declarations: Declarations) -> Iterator[dict[str, Any]]:
    for name, keys in declarations.said[LISTS].items():
        told = {key: value for key, value in keys.items() if key not in ("label", "about", "owner")}
        yield {
            "name": name,
            "label": keys.get("label", ""),
            "type": "application",
            "owner": keys.get("owner") or {"name": "user_operations"},
            "description": keys.get("about", ""),
            "depends_on": ["ref('audiences')"],
            "config": {"meta": told},
        }


def _contract(table: Mapping[str, Any]) -> dict[str, Any]:
    """What the contract says of a table, and of its columns where it says something."""
    marked = {column["name"]: meta for column in table.get("columns", []) if (meta := _meta(column))}
    return {**_meta(table), "columns": marked}


def _with_columns(content: bytes, table: str, columns: list[dict[str, Any]]) -> bytes:
    """The YAML of a table with further columns behind those it describes."""
    document = yaml.safe_load(content)
    entry = next(entry for entry in document["models"] if entry["name"] == table)
    entry["columns"] = [*entry["columns"], *columns]
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=1000).encode()


def _files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not LEFT & set(path.relative_to(folder).parts) and path.name != ".user.yml"
    }


def _own(models: Path | None) -> dict[str, bytes]:
    return {f"{OWN_MODELS}/{name}": content for name, content in (_files_in(models) if models and models.is_dir() else {}).items()}


def _meta(entry: Mapping[str, Any]) -> dict[str, Any]:
    return (entry.get("config") or {}).get("meta") or {}
