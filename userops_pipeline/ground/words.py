"""Words: the same said in English and in Chinese, for whatever people read.

Here lives the pair and how pairs are put together. Add a way to join them when a text needs it.
Must not hold a word of any subject.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Language = Literal["en", "zh"]


class Words(NamedTuple):
    """The same in English and in Chinese; where there is no Chinese, the English stands for both."""

    en: str
    zh: str = ""


def named(name: str, label: str | None = "") -> Words:
    """`first_purchase` as `First purchase`, with the Chinese label that people use."""
    return Words(name.replace("_", " ").capitalize(), label or "")


def joined(*parts: Words | str, by: tuple[str, str] = (", ", "，")) -> Words:
    """Words behind one another in both languages."""
    both = [part if isinstance(part, Words) else Words(part, part) for part in parts]
    return Words(by[0].join(part.en for part in both), by[1].join(part.zh or part.en for part in both))
