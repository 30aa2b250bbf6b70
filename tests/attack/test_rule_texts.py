"""Texts of rules as an attacker would write them: data, and never rendered, called or shown a secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from userops_pipeline.build.dbt import dbt_environment
from userops_pipeline.ground.home import Home
from userops_pipeline.rulebook import check_yaml_files

RENDERED = "which dbt would render"
CALLED = "would be called by dbt"
TEXTS = {
    "models: [{name: a, description: \"{{ env_var('USEROPS_WEBHOOK_TOKEN') }}\"}]": RENDERED,
    'models: [{name: a, description: "\\x7b\\x7b env_var(1) }}"}]': RENDERED,
    "models: [{name: a, description: '{% set x = 1 %}'}]": RENDERED,
    "models: [{name: a, description: '{# hidden #}'}]": RENDERED,
    "models: [{name: a, config: {meta: {label: {en: '{{ target }}'}}}}]": RENDERED,
    "models: [{name: a, config: {meta: {stages: [{name: s, when: \"{{ var('c') }}\"}]}}}]": RENDERED,
    "models: [{name: a, config: {tags: ['{{ invocation_id }}']}}]": RENDERED,
    "models: [{name: a, config: {meta: {'{{ key }}': 1}}}]": RENDERED,
    "exposures: [{name: e, description: '{{ this }}'}]": RENDERED,
    "exposures: [{name: e, depends_on: [\"ref('a') ~ env_var('HOME')\"]}]": CALLED,
    "exposures: [{name: e, depends_on: [\"config.get_env('HOME')\"]}]": CALLED,
    "semantic_models: [{name: s, model: \"ref(env_var('HOME'))\"}]": CALLED,
    "models: [{name: a, data_tests: [{t: {arguments: {value: \"env_var('HOME')\"}}}]}]": CALLED,
    "models: [{name: a, data_tests: [{t: {arguments: {value: \"  Var ('x')\"}}}]}]": CALLED,
    "models: [{name: a, data_tests: [{t: {arguments: {value: \"doc('x')\"}}}]}]": CALLED,
    "unit_tests: [{name: u, given: [{input: 'this()'}]}]": CALLED,
    "metrics: [{name: m, filter: \"{{ Dimension('a__b') }} = '{{ env_var('HOME') }}'\"}]": RENDERED,
    "metrics: [{name: m, filter: \"{{ Dimension(env_var('HOME')) }}\"}]": RENDERED,
    "metrics: [{name: m, description: \"{{ Dimension('a__b') }}\"}]": RENDERED,
}


@pytest.mark.parametrize(("text", "sentence"), TEXTS.items(), ids=range(len(TEXTS)))
def test_a_text_that_dbt_would_render_or_call_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "rules.yml").write_text(text, encoding="utf-8")
    (problem,) = check_yaml_files(tmp_path)
    assert sentence in problem.sentence
    assert (problem.file, problem.line) == ("models/rules.yml", 1)
    assert "env_var(" not in str(problem), "what it says is not repeated"


def test_what_names_a_table_or_a_dimension_and_prose_pass(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "rules.yml").write_text(
        """
        exposures: [{name: e, depends_on: [ref('audiences'), "source('raw', 'users')"], description: 'see ref(x) and {a, b}'}]
        metrics: [{name: m, filter: "{{ Dimension('cohort__first_period') }} = 7", config: {meta: {family: retention}}}]
        """,
        encoding="utf-8",
    )
    (tmp_path / "profiles.yml").write_text("path: \"{{ env_var('USEROPS_WAREHOUSE') }}\"", encoding="utf-8")
    assert check_yaml_files(tmp_path) == []


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
