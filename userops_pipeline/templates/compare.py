"""How a shop stands to the template it began with: which rules its owner added, changed or took out, and what the installed engine's template has new.

Here lives the comparison of rules by name, whatever their order, comments or blanks. Add here what an upgrade has to be asked. Must not change a
file: what is taken over is the owner's to decide.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from userops_pipeline.ground.home import UserOpsError
from userops_pipeline.rulebook.rule_files import own
from userops_pipeline.templates.start import taken

What = Literal["added", "changed", "removed"]


@dataclass(frozen=True)
class Difference:
    """One rule that is not alike: in which file, which, what became of it, and the keys that differ with both their values."""

    file: str
    rule: str
    what: What
    keys: tuple[tuple[str, Any, Any], ...] = ()


@dataclass(frozen=True)
class Upgrade:
    """A rule of the template that is another than when the shop began: `is_mine` where the owner changed it too, so that both are to be looked at."""

    difference: Difference
    is_mine: bool


def differences(rules: Path, kind: str) -> list[Difference]:
    """What the rules of a shop have other than the installed template."""
    return list(_between(taken(kind)["rules"], own(rules)))


def upgrades(rules: Path, kind: str) -> list[Upgrade]:
    """What the installed template has other than the one the shop began with, and does not stand in the shop by now.

    Raises:
        UserOpsError: the shop does not remember what it began with.
    """
    file = rules / ".template.json"
    try:
        before = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UserOpsError(
            "rules/.template.json is missing or not readable, so what the shop began with is not known; take it from version control."
        ) from None
    mine = own(rules)
    changed = {(each.file, each.rule) for each in _between(before["rules"], mine)}
    return [
        Upgrade(each, (each.file, each.rule) in changed)
        for each in _between(before["rules"], taken(kind)["rules"])
        if mine.get(each.file, {}).get(each.rule) != taken(kind)["rules"].get(each.file, {}).get(each.rule)
    ]


def _between(before: Any, after: Any) -> Iterator[Difference]:
    for file in sorted(before.keys() | after.keys()):
        old, new = before.get(file, {}), after.get(file, {})
        for rule in [*new, *(name for name in old if name not in new)]:
            if rule not in old:
                yield Difference(file, rule, "added")
            elif rule not in new:
                yield Difference(file, rule, "removed")
            elif old[rule] != new[rule]:
                keys = [*new[rule], *(key for key in old[rule] if key not in new[rule])]
                told = tuple((key, old[rule].get(key), new[rule].get(key)) for key in keys if old[rule].get(key) != new[rule].get(key))
                yield Difference(file, rule, "changed", told)
