"""The rules as JSON Schema, so that an editor completes keys and marks mistakes as they are typed.

Here lives how a kind of rule becomes a schema; it follows from the kind and its place alone. Add here what an editor should be told besides. Must not
judge a rule: check does, and says more.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from userops_pipeline.rulebook.grammar import Condition, Entries, Keys, Prose, Shape, Word, file_of
from userops_pipeline.rulebook.kinds import lists
from userops_pipeline.rulebook.places import FILES, LISTS, RULE_FILES, SETTINGS_FILE

DRAFT = "http://json-schema.org/draft-07/schema#"
NAME = "^[a-z][a-z0-9_]*$"


def schemas() -> dict[str, dict[str, Any]]:
    """The schema of every file of rules, by its name without ending."""
    return {file: {"$schema": DRAFT, "title": f"rules/{file}.yml", **_of(file)} for file in FILES}


def _of(file: str) -> dict[str, Any]:
    if file == SETTINGS_FILE:
        return _shape(file_of(file))
    kind: type[BaseModel] = lists.ContactList if file == LISTS else RULE_FILES[file].kind
    paragraph = file_of(file).others
    assert isinstance(paragraph, Keys)
    described = _shape(paragraph) | {"description": (kind.__doc__ or "").strip().split("\n")[0]}
    return {"type": ["object", "null"], "propertyNames": {"pattern": NAME}, "additionalProperties": described}


def _shape(shape: Shape) -> dict[str, Any]:
    if isinstance(shape, Keys):
        known = {name: _shape(inner) for name, inner in shape.known.items()}
        found: dict[str, Any] = {
            "type": "object",
            "properties": known,
            "additionalProperties": _shape(shape.others) if shape.others else False,
        }
        return {"anyOf": [found, _shape(shape.bare)]} if shape.bare else found
    if isinstance(shape, Entries):
        listed: dict[str, Any] = {"type": "array", "items": _shape(shape.of)}
        return {"anyOf": [listed, {"type": "string"}]} if shape.bare else listed
    if isinstance(shape, Prose):
        return {}  # a text, or a number that YAML takes for one
    if isinstance(shape, Condition):
        return {"type": ["string", "boolean", "number"], "description": "A condition in SQL over the columns this kind of rule sees."}
    return {"enum": list(shape.known)} if isinstance(shape, Word) and shape.known else {}
