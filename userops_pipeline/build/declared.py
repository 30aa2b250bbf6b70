"""What dbt's manifest declares: which models are published, which tables are scored, what columns they have, and which a leg makes.

Here lives how the manifest is read by whoever builds, scores or publishes. Add a question here when two rooms ask it.
Must not know dbt, which wrote the manifest, nor a rule, which the rulebook reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from userops_pipeline.build import engine

PUBLISHED_SCHEMAS = ("marts", "exports")
NIGHTS = "window_from"  # where the window of a model of nights begins, as macros/engine/window.sql notes it


def published_models(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The models that a generation holds, by name."""
    return {
        node["name"]: node
        for node in sorted(manifest["nodes"].values(), key=lambda node: node["name"])
        if node["resource_type"] == "model" and node["schema"] in PUBLISHED_SCHEMAS
    }


def scored_tables(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The tables that the step `score` writes, as dbt's YAML declares them, by name."""
    return {
        node["name"]: node
        for node in sorted(manifest["sources"].values(), key=lambda node: node["name"])
        if node["schema"] in PUBLISHED_SCHEMAS
    }


def meta_of(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """`config.meta` of a node."""
    return node.get("config", {}).get("meta") or node.get("meta") or {}


def columns_of(node: Mapping[str, Any]) -> engine.Columns:
    """The declared columns of a table with their types."""
    return {column: declared["data_type"] for column, declared in node["columns"].items()}


def leg_models(nodes: Mapping[str, Mapping[str, Any]], *, is_first: bool) -> list[str]:
    """The models of a leg before the last: those that keep rows of nights from build to build, and what they are made of.

    What keeps rows of facts is made once, by the first leg. All else waits for the last one, which makes every model.
    """
    starts = {name: meta_of(node).get("window_start") for name, node in nodes.items() if node["resource_type"] == "model"}
    wanted, waiting = set(), [name for name, start in starts.items() if start == NIGHTS]
    while waiting:
        name = waiting.pop()
        if name not in wanted and (is_first or starts[name] in (NIGHTS, None)):
            wanted.add(name)
            waiting += [parent for parent in nodes[name]["depends_on"]["nodes"] if parent in starts]
    return sorted(nodes[name]["name"] for name in wanted)
