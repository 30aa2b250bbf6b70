"""The rulebook of the shop as it is now: its files, its rules, everything wrong with them, and dbt's manifest of the project made of them.

Here lives the order in which rules are looked at: the files themselves first, then what they say, and dbt last. Add a door to the rules here.
Must not judge a rule: check does.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from userops_pipeline.build import dbt
from userops_pipeline.ground.home import DBT_PROJECT_DIR, TEMPLATES_DIR, Home, UserOpsError, shop_folder
from userops_pipeline.rulebook.book import Rulebook
from userops_pipeline.rulebook.check import check
from userops_pipeline.rulebook.declarations import Declarations, files_of
from userops_pipeline.rulebook.problem import Problem
from userops_pipeline.rulebook.project import compose
from userops_pipeline.rulebook.reading import load
from userops_pipeline.rulebook.rule_files import check_files, read, with_lines

WITHOUT_SHOP = "grocer"  # the template whose rules hold where there is no shop.yml


def rules_folder() -> Path:
    """The rules of the shop around; those of the grocer where there is none."""
    shop = shop_folder()
    return (shop or TEMPLATES_DIR / WITHOUT_SHOP) / "rules"


def own_models() -> Path | None:
    """The folder of the shop's own models, where it has one."""
    shop = shop_folder()
    return shop / "models" if shop and (shop / "models").is_dir() else None


def described(rules: Path, models: Path | None = None) -> Declarations:
    """The tables of the engine and of a folder of own models, with the rules of a folder, whatever is wrong with them."""
    return Declarations(files_of(DBT_PROJECT_DIR / "models", models), read(rules))


def declarations() -> Declarations:
    """The tables and the rules of the shop.

    Raises:
        UserOpsError: a file of rules cannot be read as it stands.
    """
    found = described(rules_folder(), own_models())
    if problems := check_files(rules_folder(), found.labels):
        raise UserOpsError(f"The rules are refused: {problems[0]} ({len(problems)} in all; `userops rules check` lists them).")
    return found


def manifest_of(home: Home) -> dict[str, Any]:
    """dbt's manifest of the shop's project as it is now.

    Raises:
        UserOpsError: the project cannot be parsed, or a file of rules cannot be read.
    """
    compose(home, declarations(), own_models())
    return dbt.manifest_of(home)


def rules_of() -> Rulebook:
    """The rulebook of the shop as it is now."""
    return load(declarations().document())


def problems_of(tools: Collection[str]) -> list[Problem]:
    """Everything wrong with the rules of the shop, errors and warnings, where lists may go to these tools."""
    return problems_in(rules_folder(), tools, own_models())


def problems_in(rules: Path, tools: Collection[str], models: Path | None = None) -> list[Problem]:
    """Everything wrong with the rules of a folder; the files themselves are looked at first."""
    found = described(rules, models)
    return check_files(rules, found.labels) or with_lines(check(load(found.document()), tools), rules)
