"""A shop with other rules than the grocer's: a folder of rules that is changed as its owner would change it, and the dbt project made of them.

Add here what a change needs beyond settings that differ and files that are edited. Must not know a setting, nor run dbt.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from userops_pipeline.ground.home import SHOP_FILE, TEMPLATES_DIR, Home
from userops_pipeline.rulebook.current import WITHOUT_SHOP, described
from userops_pipeline.rulebook.project import compose

GROCER = TEMPLATES_DIR / WITHOUT_SHOP / "rules"


def shop_with(folder: Path, settings: Mapping[str, Mapping[str, Any]]) -> Path:
    """A shop in `folder` with the grocer's rules, and settings that differ by section; give it to a command as USEROPS_SHOP."""
    shutil.copytree(GROCER, folder / "rules")
    if settings:
        text = yaml.safe_dump({name: dict(keys) for name, keys in settings.items()}, allow_unicode=True, sort_keys=False)
        (folder / "rules" / "settings.yml").write_text(text, encoding="utf-8")
    (folder / SHOP_FILE).write_text("name: a shop of a test\n", encoding="utf-8")
    return folder


def edit(rules: Path, file: str, old: str, new: str) -> None:
    """Change one place of a file of rules, which must stand in it once."""
    text = (rules / f"{file}.yml").read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}.yml"
    (rules / f"{file}.yml").write_text(text.replace(old, new), encoding="utf-8")


def project_of(rules: Path, folder: Path) -> Path:
    """The dbt project made of a folder of rules, in a home at `folder`."""
    home = Home(folder)
    compose(home, described(rules), None)
    return home.project


def project_with(folder: Path, settings: Mapping[str, Mapping[str, Any]]) -> Path:
    """The dbt project of a shop with the grocer's rules and settings that differ by section."""
    return project_of(shop_with(folder, settings) / "rules", folder)
