"""The rules that the guides write down: as they stand there they are accepted, without the one they need they are refused, and what is said to be
of the shipped rules is theirs.

A paragraph of YAML that begins with `# rules/<file>.yml` is held to one of these; add its rule to NEW where a guide adds one, with the rule it goes above.
Must not run dbt: rules are read without it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.changed_project import GROCER, edit, shop_with
from userops_pipeline.deliver.destinations import registry
from userops_pipeline.ground.home import PROJECT_DIR
from userops_pipeline.rulebook import rule_files
from userops_pipeline.rulebook.current import problems_in

READMES = ("README.md", "README.zh-CN.md")
# What the guides add to a shop's rules, and the rule that it goes above where their order counts.
NEW = {
    ("tags", "sleepy_regular"): "",
    ("stages", "habit_forming"): "repeat",
    ("segments", "quick_repeaters"): "",
    ("lists", "quick_repeater_letters"): "",
    ("lists", "second_purchase_emails"): "",
    ("funnels", "coupon_use"): "",
    ("retentions", "second_month"): "",
    ("survivals", "community_life"): "",
    ("kol_tiers", "specialist"): "established",
}
HEAD = re.compile(r"(?m)^# rules/(\w+)\.yml.*\n")


def papers() -> list[Path]:
    return [*sorted((PROJECT_DIR / "docs" / "guides").glob("*.md")), *(PROJECT_DIR / name for name in READMES)]


def shown(paper: Path) -> list[tuple[str, str]]:
    """The parts of a paper's YAML that are rules: their file, and their text."""
    fences = re.findall(r"(?ms)^```yaml\n(.*?)^```", paper.read_text(encoding="utf-8"))
    parts = [HEAD.split(fence)[1:] for fence in fences]
    return [(file, text) for each in parts for file, text in zip(each[::2], each[1::2], strict=True)]


def rules_shown() -> list[tuple[str, str, str, dict[str, Any]]]:
    """Every rule that a paper shows: the paper, the file, its name and its keys."""
    return [
        (paper.name, file, name, keys) for paper in papers() for file, text in shown(paper) for name, keys in yaml.safe_load(text).items()
    ]


def write(rules: Path, file: str, text: str) -> None:
    """Write the paragraphs into the file of a shop, as a reader of the guide would."""
    path = rules / f"{file}.yml"
    above = {NEW[file, name] for name in yaml.safe_load(text) if (file, name) in NEW}
    if above - {""}:
        (rule,) = above
        edit(rules, file, f"\n{rule}:", f"\n{text.strip()}\n\n{rule}:")
    elif above:
        path.write_text(f"{path.read_text(encoding='utf-8')}\n{text}", encoding="utf-8")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The grocer's rules, into which every new rule of the English guides is written."""
    guides = [paper for paper in papers() if not paper.name.endswith(".zh.md") and paper.name not in READMES]
    parts = list(dict.fromkeys(part for paper in guides for part in shown(paper)))  # a rule that two guides show is written once
    settings: dict[str, dict[str, Any]] = {}
    for file, text in parts:
        if file == "settings":
            for section, keys in yaml.safe_load(text).items():
                settings.setdefault(section, {}).update(keys)
    rules = shop_with(tmp_path_factory.mktemp("guides"), settings) / "rules"
    for file, text in parts:
        if file != "settings":
            write(rules, file, text)
    return rules


def refusals(rules: Path) -> list[str]:
    return [str(problem) for problem in problems_in(rules, registry.names()) if not problem.is_warning]


def test_what_the_guides_write_is_accepted(written: Path) -> None:
    there = rule_files.own(written)
    assert [rule for rule in NEW if rule[1] not in there[rule[0]]] == []
    assert refusals(written) == []


@pytest.mark.parametrize(
    ("file", "taken_out", "told"),
    [
        ("segments", "quick_repeaters", "stage habit_forming: names the segment 'quick_repeaters'"),
        ("lists", "quick_repeater_letters", "stage habit_forming: names the segment 'quick_repeaters', which no list exports"),
        ("tag_families", "activity", "tag sleepy_regular: 'family' is 'activity'"),
    ],
)
def test_without_what_it_needs_it_is_refused(written: Path, tmp_path: Path, file: str, taken_out: str, told: str) -> None:
    for path in written.glob("*.yml"):
        said = rule_files.own(written).get(path.stem, {})
        kept = {name: keys for name, keys in said.items() if (path.stem, name) != (file, taken_out)}
        (tmp_path / path.name).write_text(yaml.safe_dump(kept, allow_unicode=True, sort_keys=False), encoding="utf-8")
    sentences = refusals(tmp_path)
    assert any(told in sentence for sentence in sentences), sentences


def test_what_the_guides_show_of_the_shipped_rules_stands_in_them() -> None:
    shipped = rule_files.read(GROCER)
    others = [
        f"{paper} shows another {name} than rules/{file}.yml has"
        for paper, file, name, keys in rules_shown()
        if file != "settings" and (file, name) not in NEW and shipped[file].get(name) != keys
    ]
    assert others == []


def test_both_languages_and_the_readme_show_the_same_rules() -> None:
    told: dict[tuple[str, str], list[Any]] = {}
    for _, file, name, keys in rules_shown():
        if file != "settings":
            told.setdefault((file, name), []).append(keys)
    assert [rule for rule, said in told.items() if any(keys != said[0] for keys in said)] == []
    assert told.keys() >= NEW.keys()
