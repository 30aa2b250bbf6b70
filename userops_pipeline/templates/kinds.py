"""The kinds of shop: which there are, and the files of rules that each begins with.

Here lives how a kind takes over another's rules, paragraph by paragraph, so that a rule is written down once. Add what template.yml may say here.
Must not write a file.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from userops_pipeline.ground.home import TEMPLATES_DIR, UserOpsError
from userops_pipeline.rulebook.places import FILES


class Template(BaseModel):
    """What template.yml says: what kind of shop it is, in both languages, the source with its sample, and whose rules it takes over but for which."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str
    about_zh: str
    source: str
    like: str = ""
    without: dict[str, Literal["all"] | tuple[str, ...]] = {}


def names() -> list[str]:
    """The kinds of shop that come with the engine."""
    return sorted(path.parent.name for path in TEMPLATES_DIR.glob("*/template.yml"))


@cache
def template(name: str) -> Template:
    """What a kind of shop says of itself.

    Raises:
        UserOpsError: there is none of this name.
    """
    if name not in names():
        raise UserOpsError(f"There is no template {name!r}; there are {', '.join(names())}.")
    return Template.model_validate(yaml.safe_load((TEMPLATES_DIR / name / "template.yml").read_text(encoding="utf-8")))


def rules_of(name: str) -> dict[str, str]:
    """The text of every file of rules that a shop of this kind begins with, by its name without ending."""
    kind = template(name)
    taken = rules_of(kind.like) if kind.like else {}
    for file, without in kind.without.items():
        kept = {} if without == "all" else {rule: text for rule, text in paragraphs(taken[file]).items() if rule not in without}
        taken[file] = "".join(kept.values())
    for file in FILES:
        own = TEMPLATES_DIR / name / "rules" / f"{file}.yml"
        if own.is_file():
            taken[file] = _with(taken.get(file, ""), own.read_text(encoding="utf-8"))
    return {file: text.strip("\n") + "\n" for file, text in taken.items() if text.strip()}


def paragraphs(text: str) -> dict[str, str]:
    """The paragraphs of a file of rules by their rule, each with the comments above it; what stands before the first is of no rule and has ''."""
    tree = yaml.compose(text)
    if not isinstance(tree, yaml.MappingNode):
        return {"": text} if text.strip() else {}
    lines = text.splitlines(keepends=True)
    starts = [key.start_mark.line for key, _ in tree.value]
    begins = [_with_comments(lines, start) for start in starts]
    ends = [*begins[1:], len(lines)]
    found = {"": "".join(lines[: begins[0]])} if begins[0] else {}
    return found | {str(key.value): "".join(lines[a:b]) for (key, _), a, b in zip(tree.value, begins, ends, strict=True)}


def _with_comments(lines: list[str], start: int) -> int:
    """The line on which the comments directly above a paragraph begin."""
    while start > 0 and lines[start - 1].startswith("#"):
        start -= 1
    return start


def _with(taken: str, own: str) -> str:
    """Own paragraphs in the place of those of the same name, others behind them; the header is the own one, where there is one."""
    before, mine = paragraphs(taken), paragraphs(own)
    return "".join({**({"": ""} if "" in mine or "" in before else {}), **before, **mine}.values())
