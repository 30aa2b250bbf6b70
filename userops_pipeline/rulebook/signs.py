"""Signs that look like those of YAML and SQL and are none: full-width letters, digits and punctuation, curly quotes, signs of mathematics, odd spaces.

Add a sign here when a keyboard or an editor writes it for a plain one. Must not know YAML, SQL or a rule.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

# What normalising (NFKC) does not make plain.
MEANT = {
    **dict.fromkeys("“”„‟〝〞″「」『』", '"'),
    **dict.fromkeys("‘’‚‛′", "'"),
    **dict.fromkeys("。", "."),
    **dict.fromkeys("、", ","),
    **dict.fromkeys("【〔", "["),
    **dict.fromkeys("】〕", "]"),
    **dict.fromkeys("≥≧⩾", ">="),
    **dict.fromkeys("≤≦⩽", "<="),
    **dict.fromkeys("≠", "<>"),
    **dict.fromkeys("×", "*"),
    **dict.fromkeys("÷", "/"),
    **dict.fromkeys("−–—‐‑", "-"),
    **dict.fromkeys("《", "<"),
    **dict.fromkeys("》", ">"),
    **dict.fromkeys("∧", "and"),
    **dict.fromkeys("∨", "or"),
    **dict.fromkeys("¬", "not"),
}
NOTHING = "\u200b\u200c\u200d\u2060\ufeff"  # what is not even seen
QUOTED = re.compile(r"'(?:[^']|'')*'")
OPENING, CLOSING = "“‘「『", "”’」』"


@dataclass(frozen=True)
class Sign:
    """A sign where a plain one was meant; `name` is a name of wording."""

    at: int
    text: str
    meant: str
    name: str

    @property
    def shown(self) -> str:
        """The sign as it can be seen, or its code where it cannot."""
        return f"'{self.text}'" if self.name != "a space" else f"U+{ord(self.text):04X}"

    @property
    def written(self) -> str:
        if self.meant == "'":
            return f'"{self.meant}"'
        return f"'{self.meant}'" if self.meant.strip() else "a plain space\x1f普通空格" if self.meant else "nothing\x1f什么都不写"

    @property
    def facts(self) -> dict[str, str]:
        """What a sentence of wording says of it."""
        return {"sign": self.shown, "name": self.name, "meant": self.written}


def foreign_signs(text: str, *, but_quoted: bool = False) -> Iterator[Sign]:
    """Every such sign of a text, in order; `but_quoted` passes over what stands between single quotes, as in SQL."""
    if text.isascii():
        return
    searched = QUOTED.sub(lambda found: " " * len(found[0]), text) if but_quoted else text
    for at, character in enumerate(searched):
        if not character.isascii() and (meant := _meant(character)) is not None:
            yield Sign(at, character, meant, _name(character))


def plain(text: str) -> str:
    """The text with plain signs."""
    return "".join(character if (meant := _meant(character)) is None else meant for character in text)


def _meant(character: str) -> str | None:
    if character.isascii():
        return None
    if character in NOTHING:
        return ""
    if character in MEANT:
        return MEANT[character]
    normal = unicodedata.normalize("NFKC", character)
    if normal.isascii() and (unicodedata.east_asian_width(character) in "FW" or normal == " "):
        return normal
    return " " if unicodedata.category(character) in ("Zs", "Zl", "Zp") else None


def _name(character: str) -> str:
    if unicodedata.category(character) in ("Zs", "Zl", "Zp") or character in NOTHING:
        return "a space"
    if unicodedata.normalize("NFKC", character).isascii():
        return "full-width"
    if character in "“”„‟〝〞″‘’‚‛′":
        return "curly"
    return "maths" if unicodedata.category(character) in ("Sm", "Pd") else "chinese"
