"""The schemas that an editor checks rules against: our rules are sound by them, and a key that is misspelt is not.

Add here what an editor should mark as it is typed. Must not judge what only the check of the rules can see.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from tests.changed_project import GROCER
from userops_pipeline.rulebook.places import FILES, SETTINGS_FILE
from userops_pipeline.rulebook.rule_files import DEFAULTS
from userops_pipeline.rulebook.schema import schemas


def rules_of(file: str) -> dict[str, Any]:
    path = DEFAULTS if file == SETTINGS_FILE else GROCER / f"{file}.yml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def faults(file: str, rules: Any) -> list[str]:
    schema = schemas()[file]
    Draft7Validator.check_schema(schema)
    return [error.message for error in Draft7Validator(schema).iter_errors(rules)]


@pytest.mark.parametrize("file", FILES)
def test_our_rules_are_sound_and_a_misspelt_key_is_marked(file: str) -> None:
    rules = rules_of(file)
    assert faults(file, rules) == []
    name = next(iter(rules))
    key = next(iter(rules[name]))
    spoilt = copy.deepcopy(rules)
    spoilt[name][f"{key}x"] = spoilt[name].pop(key)
    assert any(f"{key}x" in each for each in faults(file, spoilt))


@pytest.mark.parametrize(
    ("file", "rules"),
    [
        ("tags", {"新客": {"label": "新客"}}),
        ("tags", {"vip": "order_count > 9"}),
        ("tags", [{"name": "vip"}]),
        ("segments", {"vips": {"include": "order_count > 9"}}),
        ("segments", {"vips": {"include": [{"segmnt": "x"}]}}),
        ("settings", {"chrun": {}}),
        ("settings", {"churn": {"risk": {"least_day": 7}}}),
    ],
)
def test_what_cannot_be_read_is_marked(file: str, rules: object) -> None:
    assert faults(file, rules) != []
