"""The rulebook of the project as it is now: its manifest, its rules, and everything wrong with them.

Here lives the order in which rules are looked at: the files themselves before dbt renders a word of them. Add a door to the rules here.
Must not judge a rule: check does.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from userops_pipeline.build import dbt
from userops_pipeline.ground.home import DBT_PROJECT_DIR, Home, UserOpsError
from userops_pipeline.rulebook.book import Rulebook
from userops_pipeline.rulebook.check import check
from userops_pipeline.rulebook.manifest import load
from userops_pipeline.rulebook.problem import Problem
from userops_pipeline.rulebook.project_files import check_yaml_files, with_lines


def manifest_of(home: Home) -> dict[str, Any]:
    """dbt's manifest of the project as it is now.

    Raises:
        UserOpsError: the project cannot be parsed, or a file of it must not be.
    """
    return dbt.manifest_of(home, _refuse_files)


def _refuse_files() -> None:
    if problems := check_yaml_files(DBT_PROJECT_DIR):
        raise UserOpsError(f"The rules are refused: {problems[0]} ({len(problems)} in all; `userops rules check` lists them).")


def rules_of(home: Home) -> Rulebook:
    """The rulebook of the project as it is now."""
    return load(manifest_of(home))


def problems_of(home: Home, tools: Collection[str]) -> list[Problem]:
    """Everything wrong with the rules, errors and warnings, where lists may go to these tools; the YAML itself is looked at first."""
    return check_yaml_files(DBT_PROJECT_DIR) or with_lines(check(rules_of(home), tools), DBT_PROJECT_DIR)
