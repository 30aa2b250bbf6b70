"""What is said of a rule that cannot be used: a sentence with its place, and the word that was meant.

Add here what everything in the rulebook says in the same way. Must not know a rule.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleError(ValueError):
    """A rule, a rulebook or a question that cannot be used; the message is a sentence for a person."""


class Problem(Frozen):
    """What is wrong with one rule and how to mend it."""

    file: str
    rule: str
    sentence: str
    is_warning: bool = False
    line: int | None = None

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.rule}: {self.sentence}"


def closest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing when nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
