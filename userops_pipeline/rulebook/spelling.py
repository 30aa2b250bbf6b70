"""Whether everything in a file of rules stands where it is read, in plain signs: keys nobody knows, signs that are none, lost rules.

Add here what can be typed wrongly whatever the rule says; what may stand where is grammar's. Must not judge a rule, nor open a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import yaml

from userops_pipeline.rulebook.grammar import PROSE, Condition, Entries, Home, Keys, Prose, Shape, Word, file_of, homes_of, paragraph_keys
from userops_pipeline.rulebook.places import SETTINGS_FILE, path_of
from userops_pipeline.rulebook.problem import Problem, nearest
from userops_pipeline.rulebook.signs import CLOSING, OPENING, QUOTED, Sign, foreign_signs, plain
from userops_pipeline.rulebook.vocabulary import KEYS, SQL, VALUES
from userops_pipeline.rulebook.wording import BOTH, NAMES, Said, hint, problem

SEPARATES = re.compile(r"([，、；,;])\s*([^\s，、；：:,;]{1,30})\s*[：:]")
KEY = re.compile(r"[a-z][a-z0-9_-]*")
FAR = 20  # lines
LISTED = 16  # so many known keys are told


@dataclass(frozen=True)
class _At:
    """Where a walk is: the file, the rule's name as far as there is one, and the keys on the way."""

    file: str
    labels: Mapping[str, str]
    """Column by what people call it."""
    name: str = "file"
    path: tuple[str, ...] = ()
    above: tuple[tuple[str, Keys], ...] = ()
    """The mappings on the way, the nearest first, each with the key that led on."""

    def into(self, key: str, holder: Keys | None = None) -> _At:
        above = ((key, holder), *self.above) if holder else self.above
        return replace(self, path=(*self.path, key), above=above)

    def problem(self, node: yaml.Node, clauses: list[Said], *, line: int | None = None) -> Problem:
        return problem(path_of(self.file), self.name, clauses, line or node.start_mark.line + 1)


def misspelt(tree: yaml.Node | None, file: str, labels: Mapping[str, str]) -> Iterator[Problem]:
    """Every key that nobody reads where it stands, and every sign that is none, in one file of rules."""
    if tree is None or (isinstance(tree, yaml.ScalarNode) and _is_null(tree)):
        return
    at, shape = _At(file, labels), file_of(file)
    if not isinstance(tree, yaml.MappingNode):
        yield at.problem(tree, [("not_paragraphs", {})])
        return
    before = ""
    for key, paragraph in tree.value:
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else "…"
        here = replace(at, name=name)
        if shape.others is None and name not in shape.known:
            yield here.problem(key, _no_section(name, paragraph, shape, before, at, tree))
        elif shape.others is not None and (is_none := _no_paragraph(name, paragraph, here)):
            yield here.problem(key, is_none)
        elif lost := list(_lost(paragraph, shape, here)):
            yield from lost
        else:
            yield from _walk(paragraph, shape.known.get(name) or shape.others or shape, here.into(name))
        before = name


def _no_section(name: str, content: yaml.Node, shape: Keys, before: str, at: _At, tree: yaml.Node) -> list[Said]:
    """What is said of a section that the settings do not have: most likely a rule that belongs elsewhere."""
    if homes := homes_of(_key_names(content)):
        return [_misplaced(homes, SETTINGS_FILE)]
    return _unknown(name, content, shape, before, at, tree)


def _no_paragraph(name: str, paragraph: yaml.Node, at: _At) -> list[Said]:
    """Why a name of a rule's file begins no paragraph."""
    if isinstance(paragraph, yaml.MappingNode):
        sign = next(foreign_signs(name), None)
        facts = {"key": name[:60], "sign": sign.shown, "name": sign.name, "meant": plain(name).strip()} if sign else {}
        return [("sign_in_key", facts)] if sign else []
    if isinstance(paragraph, yaml.SequenceNode):
        return [("not_keys", {"key": name[:60], "found": "a list"})]
    known = paragraph_keys(at.file)
    meant = nearest(re.split("[:：]", name)[0], known, KEYS)
    if meant and not _is_null(paragraph):  # a key of the rule above that has lost its indent
        return [("no_indent", {"key": name[:60]})]
    if _is_null(paragraph) and re.search("[:：]", name):
        return _unknown(name, paragraph, Keys(dict.fromkeys(known, PROSE)), "", at, paragraph)
    return [("no_paragraph", {"key": name[:60]})] if _is_null(paragraph) else [("not_keys", {"key": name[:60], "found": "a text"})]


def sign_near(text: str, first: int, last: int) -> tuple[int, Sign] | None:
    """The sign that broke a file: its line (from 1) and itself, looked for upwards from line `last` to `first`, both from 0, and, where a text may
    have gone on for long, a key with such a colon further up."""
    lines = text.splitlines()
    for number in range(min(last, len(lines) - 1), max(min(first, last - FAR) - 1, -1), -1):
        if (found := _breaks_structure(lines[number])) and (number >= first or _is_key(lines[number][: found.at])):
            return number + 1, found
    return None


def _is_key(text: str) -> bool:
    word = text.strip(" -{,")
    return word in KEYS or any(word in words for words in KEYS.values())


def _breaks_structure(line: str) -> Sign | None:
    bare = _unquoted(line)
    for sign in foreign_signs(bare):
        before, behind = bare[: sign.at], bare[sign.at + 1 :]
        if sign.name == "a space" and (not before.strip(" -") or before.rstrip().endswith(":")):
            return sign
        if sign.meant == ":" and re.fullmatch(r"[\s\-{,]*[\w ]{1,40}|.*[{,，]\s*[\w]{1,40}", before):
            return sign
        if sign.meant in "\"'" and re.search(r"[:\[,{]\s*$", before):
            return sign
        if sign.meant in "{[}]" and (not behind.strip() or re.search(r":\s*$", before)):
            return sign
        if sign.meant == "," and re.match(r"\s*[^\s,，:：]{1,30}\s*[:：]", behind):
            return sign
        if sign.meant == "-" and not before.strip():
            return sign
    return None


def _unquoted(line: str) -> str:
    """The line with what stands in plain quotes or in a comment blanked out."""
    blank = re.sub(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'", lambda found: " " * len(found[0]), line)
    return re.sub(r"(^|\s)#.*", "", blank)


# -- the walk ------------------------------------------------------------------------------------------------------


def _walk(node: yaml.Node, shape: Shape, at: _At) -> Iterator[Problem]:
    match shape:
        case Keys():
            yield from _keys(node, shape, at)
        case Entries():
            yield from _entries(node, shape, at)
        case Word() | Condition() | Prose() if isinstance(node, yaml.ScalarNode):
            yield from _scalar(node, shape, at)
        case _:
            yield from ()  # a list or a mapping where a word is asked for is what the kind refuses


def _entries(node: yaml.Node, shape: Entries, at: _At) -> Iterator[Problem]:
    if isinstance(node, yaml.ScalarNode) and not _is_null(node) and isinstance(shape.of, Word | Condition | Prose):
        yield from _scalar(node, shape.of, at)
    elif isinstance(node, yaml.MappingNode) or (isinstance(node, yaml.ScalarNode) and not _is_null(node)):
        yield at.problem(node, [("not_a_list", {"key": at.path[-1]})])
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _walk(item, shape.of, at)


def _keys(node: yaml.Node, shape: Keys, at: _At) -> Iterator[Problem]:
    if isinstance(node, yaml.ScalarNode):
        if shape.bare is not None:
            yield from _walk(node, shape.bare, at)
        elif not _is_null(node) and at.path:
            yield at.problem(node, [("not_keys", {"key": _last(at), "found": "a text"})])
        return
    if isinstance(node, yaml.SequenceNode):
        yield at.problem(node, [("not_keys", {"key": _last(at), "found": "a list"})])
        return
    assert isinstance(node, yaml.MappingNode)
    before = ""
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            yield at.problem(key, [("unknown_key", {"key": "…"}), ("end", {})])
            continue
        name = str(key.value)
        if name in shape.known:
            yield from _walk(value, shape.known[name], at.into(name, shape))
        elif shape.others is not None and not _is_broken(name, value, shape):
            yield from _walk(value, shape.others, at.into(name))
        else:
            clauses = _unknown(name, value, shape, before, at, node)
            yield at.problem(key, clauses)
            if clauses[0][0] == "broken_text":
                return
        before = name


def _is_broken(key: str, value: yaml.Node, shape: Keys) -> bool:
    """Whether a key that may be any word is none: by its signs, or because its colon was not read as one."""
    is_empty = isinstance(value, yaml.ScalarNode) and _is_null(value)
    return (not shape.are_foreign or is_empty) and (next(foreign_signs(key), None) is not None or (is_empty and ":" in key))


def _unknown(key: str, value: yaml.Node, shape: Keys, before: str, at: _At, holder: yaml.Node) -> list[Said]:
    """What is said of a key that is none of those known."""
    shown = key[:60]
    is_empty = isinstance(value, yaml.ScalarNode) and _is_null(value)
    if is_empty and (split := re.match(r"([^:：]{1,40})[:：]\s*(.*)", key, re.DOTALL)):
        meant = nearest(split[1], shape.known, KEYS) or split[1]
        written = f"{meant}: {split[2][:40]}"
        sign = next((sign for sign in foreign_signs(key) if sign.meant == ":"), None)
        if sign is not None and key.find(sign.text) == len(split[1]):
            return [("sign_in_key", {"key": shown, "sign": sign.shown, "name": sign.name, "meant": written})]
        return [("no_space", {"key": shown, "meant": written})]
    if is_empty and before and isinstance(holder, yaml.MappingNode) and holder.flow_style and (" " in key or not KEY.fullmatch(key)):
        return [("broken_text", {"key": shown, "before": before})]
    if sign := next(foreign_signs(key), None):
        meant = nearest(plain(key), shape.known, KEYS) or plain(key).strip()
        return [("sign_in_key", {"key": shown, "sign": sign.shown, "name": sign.name, "meant": meant})]
    left = [name for name in shape.known if name not in _key_names(holder)] or list(shape.known)
    if slip := nearest(key, left) or nearest(key, shape.known):
        return [("unknown_key", {"key": shown}), *hint(key, slip)]
    # A word may stand for several keys.
    if (alike := [name for name in left if key.lower() in KEYS.get(name, ())]) and not key.isascii():
        return [("foreign_key", {"key": shown, "meant": BOTH.join(("' or '".join(alike), "' 或 '".join(alike)))})]
    if meant := nearest(key, left, KEYS) or nearest(key, shape.known, KEYS):
        if key.isascii():
            return [("unknown_key", {"key": shown}), *hint(key, meant)]
        return [("foreign_key", {"key": shown, "meant": meant})]
    if beside := next((beside for beside, keys in at.above if key in keys.known), ""):
        return [("too_low", {"key": shown, "beside": beside})]
    known = list(shape.known)
    return [("unknown_key", {"key": shown}), *hint(key, "", known if len(known) <= LISTED else ())]


# -- rules where nobody looks for them -----------------------------------------------------------------------------


def _lost(paragraph: yaml.Node, shape: Keys, at: _At) -> Iterator[Problem]:
    """A paragraph that is of another kind than those that are read here."""
    if not isinstance(shape.others, Keys):
        return
    mine = _key_names(paragraph)
    strange = mine - set(shape.others.known)
    homes = homes_of(mine)
    if any(strange & home.keys for home in homes) and all(home.file != at.file for home in homes):
        yield at.problem(paragraph, [_misplaced(homes, at.file)], line=paragraph.start_mark.line)


def _misplaced(homes: Sequence[Home], file: str) -> Said:
    """That a paragraph belongs elsewhere."""
    kinds = homes[0].kind if len(homes) == 1 else _either([BOTH.join(NAMES[home.kind]) for home in homes])
    return "misplaced", {"kind": kinds, "here": path_of(file), "where": _either([path_of(home.file) for home in homes])}


# -- texts ---------------------------------------------------------------------------------------------------------


def _scalar(node: yaml.ScalarNode, shape: Word | Condition | Prose, at: _At) -> Iterator[Problem]:
    text, key = str(node.value), _last(at)
    if isinstance(shape, Prose):
        yield from _prose(node, text, key, at)
        return
    if sign := next(foreign_signs(text, but_quoted=isinstance(shape, Condition)), None):
        meant = "'" if isinstance(shape, Condition) and sign.meant == '"' and sign.at else sign.meant
        sign = Sign(sign.at, sign.text, meant, sign.name)
        line = node.start_mark.line + 1 + (text[: sign.at].count("\n") + 1 if node.style in ("|", ">") else 0)
        yield at.problem(node, [("sign", {"where": f"'{key}'", "sign": sign.shown, "name": sign.name, "meant": sign.written})], line=line)
        return
    if isinstance(shape, Condition):
        yield from _chinese(node, text, key, at)
    elif shape.known and text and not _is_null(node) and text not in shape.known:
        known = ", ".join(shape.known)
        yield at.problem(
            node, [("one_of", {"key": key, "value": text[:60], "known": known}), *hint(text, nearest(text, shape.known, VALUES))]
        )


def _chinese(node: yaml.ScalarNode, text: str, key: str, at: _At) -> Iterator[Problem]:
    """Words in a condition that only people understand: Chinese ones of SQL, and names of columns by their label."""
    for word in dict.fromkeys(re.findall(r"[^\W\d_a-zA-Z]+\w*", QUOTED.sub(" ", text))):
        if not word.isascii():
            if word in SQL:
                yield at.problem(node, [("sql_word", {"key": key, "value": word, "meant": SQL[word]})])
            else:
                near = nearest(word, [], {column: (label,) for label, column in at.labels.items()})
                yield at.problem(node, [("no_column", {"key": key, "value": word[:60]}), *hint(word, at.labels.get(word, near))])


def _prose(node: yaml.ScalarNode, text: str, key: str, at: _At) -> Iterator[Problem]:
    """A text is in any language; what it swallowed, or is wrapped in, was meant for YAML."""
    if node.style:
        return
    if len(text) > 1 and text[0] in OPENING and text[-1] in CLOSING and not set(text[1:-1]) & set(OPENING + CLOSING):
        yield at.problem(node, [("quotes", {"key": key, "sign": f"{text[0]}{text[-1]}"})])
    for found in SEPARATES.finditer(text):
        # In prose a Chinese word with a colon is prose; a label is short.
        word = next((name for name, words in KEYS.items() if found[2] in words), "") if key == "label" else ""
        inner = found[2] if found[2] in KEYS else word
        if inner and not (found[1] + found[0][-1]).isascii():
            yield at.problem(
                node, [("swallowed", {"key": key, "inner": inner, "sign": f"'{found[1] if not found[1].isascii() else found[0][-1]}'"})]
            )
            return


# -- nodes ---------------------------------------------------------------------------------------------------------


def _key_names(node: yaml.Node | None) -> frozenset[str]:
    return (
        frozenset(str(key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if isinstance(node, yaml.MappingNode)
        else frozenset()
    )


def _is_null(node: yaml.ScalarNode) -> bool:
    return node.tag == "tag:yaml.org,2002:null" or (not node.value and not node.style)


def _last(at: _At) -> str:
    return next((part for part in reversed(at.path) if part), "file")


def _either(parts: Sequence[str]) -> str:
    """`a, b or c`, in both languages where the parts are."""
    en, zh = ([part.split(BOTH)[place if BOTH in part else 0] for part in parts] for place in (0, 1))
    return f"{', '.join(en[:-1])}{' or ' if en[:-1] else ''}{en[-1]}{BOTH}{'、'.join(zh[:-1])}{'或' if zh[:-1] else ''}{zh[-1]}"
