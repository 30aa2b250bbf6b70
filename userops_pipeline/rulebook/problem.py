"""What is said of a rule that cannot be used: a sentence with its place, and the word that was meant.

Add here what everything in the rulebook says in the same way; the words of a sentence that is said in two languages stand in wording. Must not
know a rule.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection, Iterable, Mapping

from pydantic import BaseModel, ConfigDict

from userops_pipeline.ground.home import UserOpsError


class Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RuleError(UserOpsError):
    """A rule, a rulebook or a question that cannot be used; the message is a sentence for a person."""


class Clause(Frozen):
    """A part of a sentence: its code in wording, and the facts that fill it in."""

    code: str
    facts: tuple[tuple[str, str], ...] = ()


class Problem(Frozen):
    """What is wrong with one rule and how to mend it."""

    file: str
    rule: str
    sentence: str
    is_warning: bool = False
    line: int | None = None
    clauses: tuple[Clause, ...] = ()
    """What the sentence says, where it can be said in another language too."""

    @property
    def place(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def __str__(self) -> str:
        return f"{self.place}: {self.rule}: {self.sentence}"


def nearest(word: str, known: Iterable[str], words: Mapping[str, Collection[str]] | None = None) -> str:
    """The known word that was meant: the same but for case, width and separators, one of its other `words`, or one spelt nearly so; else ''."""
    known = list(known)
    plain = {_plain(each): each for each in reversed(known)}
    others = {_plain(other): each for each in reversed(known) for other in (words or {}).get(each, ())}
    asked = _plain(word)
    for names in (plain, others):
        if asked in names:
            return names[asked]
    for names, cutoff in ((plain, 0.6), (others, 0.6)):
        if near := difflib.get_close_matches(asked, list(names), n=1, cutoff=cutoff):
            return names[near[0]]
    return ""


def closest(word: str, known: Iterable[str], words: Mapping[str, Collection[str]] | None = None) -> str:
    """`; did you mean 'x'?`, or nothing when nothing is near."""
    near = nearest(word, known, words)
    return f"; did you mean '{near}'?" if near else ""


def _plain(word: str) -> str:
    return unicodedata.normalize("NFKC", word).strip().lower().replace("-", "_").replace(" ", "_")
