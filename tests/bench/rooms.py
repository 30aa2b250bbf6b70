"""Whose work a model is: the room of the tables that need it, from dbt's graph.

Add a rule here when models come to lie elsewhere; what a room is stands in the folders of the models. Must not name a model.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from userops_pipeline.conclude import scored

# The tables of customers, whose share is said by itself.
CUSTOMERS = ("lifecycle", "periods", "value", "tags", "churn", "goals", "community", "membership")
SHARED_BY_CUSTOMERS, SHARED = "several of customers", "several"


def rooms(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Room by model: a mart's is its folder below marts. An intermediate model is of the room of the tables that read it, over whatever
    intermediate models lie between; where these are several it is shared, by rooms of customers only or by any. Staging and exports are rooms.

    A table reads what lies before it up to the next table, and the step `score` reads for the tables it writes.
    """
    nodes = {name: node for name, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    by_place = {(node["schema"], node["name"]): name for name, node in nodes.items()}
    written = {_folder(node["fqn"]) for node in manifest["sources"].values() if node["source_name"] == "scored"}
    scores = {by_place[place]: written for place in scored.INPUTS if place in by_place}
    readers: dict[str, set[str]] = defaultdict(set)
    for name, node in nodes.items():
        for parent in node["depends_on"]["nodes"]:
            readers[parent].add(name)

    def needed_by(name: str) -> set[str]:
        found = set(scores.get(name, ()))
        for reader in readers[name]:
            folder = _folder(nodes[reader]["fqn"])
            found |= needed_by(reader) if folder == "intermediate" else {folder}
        return found

    placed = {}
    for name, node in nodes.items():
        room = _folder(node["fqn"])
        if room == "intermediate":
            needing = needed_by(name)
            room = next(iter(needing)) if len(needing) == 1 else SHARED_BY_CUSTOMERS if needing and needing <= set(CUSTOMERS) else SHARED
        placed[node["name"]] = room
    return placed


def _folder(fqn: list[str]) -> str:
    return fqn[2] if fqn[1] == "marts" else fqn[1]


def seconds(by_model: Mapping[str, float], room_of: Mapping[str, str]) -> dict[str, float]:
    """CPU seconds by room, the largest first."""
    summed: dict[str, float] = defaultdict(float)
    for model, used in by_model.items():
        summed[room_of[model]] += used
    return {room: round(used, 2) for room, used in sorted(summed.items(), key=lambda one: (-one[1], one[0]))}


def of_customers(by_room: Mapping[str, float]) -> float:
    """Seconds of what only tables of customers need."""
    return round(sum(used for room, used in by_room.items() if room in CUSTOMERS or room == SHARED_BY_CUSTOMERS), 2)
