"""Texts of rules as an attacker would write them: data, and never rendered, called, expanded or shown a secret.

Add a text here when another reader of the rules would take it for more than a text. Must not run dbt.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from userops_pipeline.build.dbt import dbt_environment
from userops_pipeline.ground.home import Home
from userops_pipeline.rulebook.places import FILES
from userops_pipeline.rulebook.rule_files import check_files, read
from userops_pipeline.rulebook.wording import said

RENDERED = "which dbt would render"
TEXTS = {
    "a: {about: \"{{ env_var('USEROPS_WEBHOOK_TOKEN') }}\"}": RENDERED,
    'a: {about: "\\x7b\\x7b env_var(1) }}"}': RENDERED,
    "a: {about: '{% set x = 1 %}'}": RENDERED,
    "a: {about: '{# hidden #}'}": RENDERED,
    "a: {label: {en: '{{ target }}'}}": RENDERED,
    "a: {when: \"{{ var('c') }}\"}": RENDERED,
    "a: {words: ['{{ invocation_id }}']}": RENDERED,
    "a: {'{{ key }}': 1}": RENDERED,
    "'{{ this }}': {label: A}": RENDERED,
    "a: {owner: {name: '{{ this }}'}}": RENDERED,
    "a: &all {label: A}": "YAML anchor",
    "a: {label: A, when: *b}": "YAML anchor",
    "a: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]": "YAML anchor",
    "a: !!python/object/apply:os.system ['true']": "YAML tag",
    "a: {label: !!python/name:os.environ ''}": "YAML tag",
    "a: {label: !include /etc/hostname}": "YAML tag",
    "a: {label: !!binary aGVsbG8=}": "YAML tag",
    "!!set {a, b}": "YAML tag",
    "a: {<<: {label: A}}": "merge key",
    "<<: {a: {label: A}}": "merge key",
    "a: {label: A}\na: {label: B}": "stands twice",
    "a: {label: A, label: B}": "stands twice",
    "a: {label: A, 'label': B}": "stands twice",
    "? {a: b}\n: {label: A}": "where a key must",
    "a: " + "{b: " * 3000: "is not YAML",
    "a: " + "9" * 5000: "is no number to count with",
}


@pytest.mark.parametrize("file", ["tags", "lists", "settings"])
@pytest.mark.parametrize(("text", "sentence"), TEXTS.items(), ids=range(len(TEXTS)))
def test_a_text_that_a_reader_would_take_for_more_is_refused(tmp_path: Path, file: str, text: str, sentence: str) -> None:
    (tmp_path / f"{file}.yml").write_text(text, encoding="utf-8")
    problems = check_files(tmp_path, {})
    found = [problem for problem in problems if sentence in problem.sentence]
    assert found, [str(problem) for problem in problems]
    assert found[0].file == f"rules/{file}.yml"
    assert said(found[0], "zh") != str(found[0])
    assert not any("env_var(" in str(problem) for problem in problems), "what it says is not repeated"
    assert set(read(tmp_path)) == set(FILES), "and is read without harm"


def test_prose_and_signs_of_sql_pass(tmp_path: Path) -> None:
    (tmp_path / "tags.yml").write_text(
        "a: {label: A, about: 'see ref(x), env_var(y) and {a, b} & *c', family: value, when: \"kind in ('{a}', '}}', '%}')\"}\n",
        encoding="utf-8",
    )
    assert check_files(tmp_path, {}) == []


def test_dbt_sees_no_secret_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = (
        "USEROPS_WEBHOOK_TOKEN",
        "USEROPS_WEBHOOK_URL",
        "USEROPS_ALERT_WEBHOOK",
        "USEROPS_UI_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "PGPASSWORD",
    )
    for name in secrets:
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("USEROPS_MEMORY", "3GB")
    before = dict(os.environ)
    with dbt_environment(Home(tmp_path)):
        assert "canary" not in os.environ.values()
        assert os.environ["USEROPS_MEMORY"] == "3GB"
        assert os.environ["USEROPS_WAREHOUSE"] == str(Home(tmp_path).warehouse)
    assert dict(os.environ) == before
