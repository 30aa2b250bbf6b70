"""Whether everything in a file of rules stands where it is read, in plain signs: keys nobody knows, signs that are none, lost rules.

Add here what can be typed wrongly whatever the rule says; what may stand where is grammar's. Must not judge a rule, nor open a file.
"""

from __future__ import annotations

import difflib
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
NAME = re.compile(r"[a-z][a-z0-9_]*")
OF_DBT = ("version", "models", "sources", "exposures", "metrics", "semantic_models", "unit_tests")
"""What a file of rules began with when rules stood in the YAML of dbt."""
ONCE = {"name", "data_type", "config", "meta"}
"""What an entry had there besides the keys of its rule."""
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
    if tree is None or _is_null(tree):
        return
    at, shape = _At(file, labels), file_of(file)
    if not isinstance(tree, yaml.MappingNode):
        yield at.problem(tree, _no_paragraphs(tree))
        return
    names = [str(key.value) if isinstance(key, yaml.ScalarNode) else "…" for key, _ in tree.value]
    # A name with nothing below it, before keys that have lost their indent, is told by those.
    lost_indent = [_has_lost_indent(name, below, file) for name, (_, below) in zip(names, tree.value, strict=True)]
    for (key, below), name, before, is_emptied in zip(tree.value, names, ["", *names], [*lost_indent[1:], False], strict=False):
        here = replace(at, name=name)
        if _is_no_key(key) or (is_emptied and _is_null(below) and next(foreign_signs(name), None) is None):
            continue
        if said := _no_name(name, key, below, before, here, tree):
            yield here.problem(key, said)
        elif lost := _lost(below, shape, here):
            yield here.problem(key, [lost])
        else:
            yield from _walk(below, shape.known.get(name) or shape.others or shape, here.into(name))


def _no_name(name: str, key: yaml.Node, below: yaml.Node, before: str, at: _At, tree: yaml.MappingNode) -> list[Said]:
    """Why what stands at the margin begins neither a rule nor a section; nothing where it does."""
    shape, shown = file_of(at.file), name[:60]
    if name in OF_DBT and not isinstance(below, yaml.MappingNode):
        return [("of_dbt", {"key": shown})]
    if sign := next(foreign_signs(name), None):
        if sign.at == 0 and sign.name == "a space":
            return [("sign", {"where": f"the indent of '{name.strip()}'{BOTH}'{name.strip()}' 前的缩进", **sign.facts})]
        if not (_is_null(below) and re.search("[:：]", name)):
            known = shape.known if shape.others is None else ()
            return [("sign_in_key", {"key": shown, **sign.facts, "meant": nearest(plain(name), known) or plain(name).strip()})]
    if _has_lost_indent(name, below, at.file):
        return [_no_indent(shown, before, at.file)]
    if shape.others is None:
        return _no_section(name, below, shape, before, at, tree)
    if _is_null(below):
        # A key that was written in one word with its value.
        is_key = re.search("[:：]", name)
        return (
            _unknown(name, below, Keys(dict.fromkeys(paragraph_keys(at.file), PROSE)), "", at, below)
            if is_key
            else [("no_paragraph", {"key": shown})]
        )
    if not isinstance(below, yaml.MappingNode):
        return [("not_keys", {"key": shown, "found": "a list" if isinstance(below, yaml.SequenceNode) else "a text"})]
    if not NAME.fullmatch(name):
        meant = re.sub(r"\W+", "_", name.strip().lower())
        return [("odd_name", {"key": shown}), *hint(name, meant if NAME.fullmatch(meant) else "")]
    return [("word_of_yaml", {"key": shown})] if key.tag != "tag:yaml.org,2002:str" else []


def _no_section(name: str, below: yaml.Node, shape: Keys, before: str, at: _At, tree: yaml.Node) -> list[Said]:
    """What is said of a section that the settings do not have, most likely a rule that belongs elsewhere; or that has nothing in it."""
    if name in shape.known:
        return [("no_paragraph", {"key": name})] if _is_null(below) else []
    meant = shape.known.get(nearest(name, shape.known, KEYS))
    is_section = isinstance(meant, Keys) and _key_names(below) <= set(meant.known)
    if not is_section and (homes := homes_of(_key_names(below))):
        return [_misplaced(homes, SETTINGS_FILE)]
    return _unknown(name, below, shape, before, at, tree)


def _no_paragraphs(tree: yaml.Node) -> list[Said]:
    """What is said of a file that is a list or a text: most likely its entries begin with a dash, as they did in dbt's YAML."""
    first = tree.value[0] if isinstance(tree, yaml.SequenceNode) and tree.value else None
    named = {str(key.value): str(value.value) for key, value in first.value} if isinstance(first, yaml.MappingNode) else {}
    return [("not_paragraphs", {}), *([("dash", {"name": named["name"][:60]})] if named.get("name") else [])]


def dash_near(text: str, line: int) -> str:
    """The name of the rule that begins with `- name:` on a line, counted from 0, of a file that it broke; '' where none does."""
    found = re.match(r"- +name: *([^\s#]+)", next(iter(text.splitlines()[line:]), ""))
    return found[1][:60] if found else ""


def _has_lost_indent(name: str, below: yaml.Node, file: str) -> bool:
    """Whether what stands at the margin is a key of the rule, or of the section, above."""
    if _is_null(below):
        return False
    shape = file_of(file)
    if shape.others is None:
        return name not in shape.known and bool(_sections_with(name)) and not homes_of(_key_names(below))
    known = paragraph_keys(file)
    if isinstance(below, yaml.MappingNode):  # a rule may have the name of a key; what stands below it then is that of a rule
        return name in known and bool(_key_names(below) - set(known))
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    return bool(close) or any(name in KEYS.get(key, ()) for key in known)


def _sections_with(key: str) -> list[str]:
    """The sections of the settings that have a key."""
    return [name for name, shape in file_of(SETTINGS_FILE).known.items() if isinstance(shape, Keys) and key in shape.known]


def _no_indent(key: str, before: str, file: str) -> Said:
    if file != SETTINGS_FILE:
        return "no_indent", {"key": key}
    sections = _sections_with(key)
    return "belongs", {"key": key, "where": before if before in sections else BOTH.join(("' or '".join(sections), "' 或 '".join(sections)))}


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
        if _is_no_key(key):
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
    is_empty = _is_null(value)
    return (not shape.are_foreign or is_empty) and (next(foreign_signs(key), None) is not None or (is_empty and ":" in key))


def _unknown(key: str, value: yaml.Node, shape: Keys, before: str, at: _At, holder: yaml.Node) -> list[Said]:
    """What is said of a key that is none of those known."""
    shown = key[:60]
    is_empty = _is_null(value)
    if is_empty and (split := re.match(r"([^:：]{1,40})[:：]\s*(.*)", key, re.DOTALL)):
        meant = nearest(split[1], shape.known, KEYS) or split[1]
        written = f"{meant}: {split[2][:40]}"
        sign = next((sign for sign in foreign_signs(key) if sign.meant == ":"), None)
        if sign is not None and key.find(sign.text) == len(split[1]):
            return [("sign_in_key", {"key": shown, **sign.facts, "meant": written})]
        return [("no_space", {"key": shown, "meant": written})]
    if is_empty and before and isinstance(holder, yaml.MappingNode) and holder.flow_style and (" " in key or not KEY.fullmatch(key)):
        return [("broken_text", {"key": shown, "before": before})]
    if sign := next(foreign_signs(key), None):
        meant = nearest(plain(key), shape.known, KEYS) or plain(key).strip()
        return [("sign_in_key", {"key": shown, **sign.facts, "meant": meant})]
    if key in ONCE and len(at.path) == 1:
        return [("once", {"key": key})]
    if beside := next((beside for beside, keys in at.above if key in keys.known), ""):
        return [("too_low", {"key": shown, "beside": beside})]
    left = [name for name in shape.known if name not in _key_names(holder)] or list(shape.known)
    if slip := nearest(key, left) or nearest(key, shape.known):
        return [("unknown_key", {"key": shown}), *hint(key, slip)]
    # A word may stand for several keys.
    if (alike := [name for name in left if key.lower() in KEYS.get(name, ())]) and not key.isascii():
        return [("foreign_key", {"key": shown, "meant": BOTH.join(("' or '".join(alike), "' 或 '".join(alike)))})]
    exactly = next((name for name in shape.known if key in KEYS.get(name, ())), "")
    if meant := exactly or nearest(key, left, KEYS) or nearest(key, shape.known, KEYS):
        if key.isascii():
            return [("unknown_key", {"key": shown}), *hint(key, meant)]
        return [("foreign_key", {"key": shown, "meant": meant})]
    known = list(shape.known)
    return [("unknown_key", {"key": shown}), *hint(key, "", known if len(known) <= LISTED else ())]


# -- rules where nobody looks for them -----------------------------------------------------------------------------


def _lost(paragraph: yaml.Node, shape: Keys, at: _At) -> Said | None:
    """What is said of a paragraph that is of another kind than those that are read here."""
    if not isinstance(shape.others, Keys):
        return None
    mine = _key_names(paragraph)
    strange = mine - set(shape.others.known)
    section = file_of(SETTINGS_FILE).known.get(at.name)
    if isinstance(section, Keys) and strange and mine <= set(section.known):
        return "misplaced", {"kind": "section", "here": path_of(at.file), "where": path_of(SETTINGS_FILE)}
    homes = homes_of(mine)
    if any(strange & home.keys for home in homes) and all(home.file != at.file for home in homes):
        return _misplaced(homes, at.file)
    return None


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
        yield at.problem(node, [("sign", {"where": f"'{key}'", **sign.facts})], line=line)
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


def _is_no_key(key: yaml.Node) -> bool:
    """A list, a mapping or a merge in the place of a key, of which the file itself is told."""
    return not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge"


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and (node.tag == "tag:yaml.org,2002:null" or (not node.value and not node.style))


def _last(at: _At) -> str:
    return next((part for part in reversed(at.path) if part), "file")


def _either(parts: Sequence[str]) -> str:
    """`a, b or c`, in both languages where the parts are."""
    en, zh = ([part.split(BOTH)[place if BOTH in part else 0] for part in parts] for place in (0, 1))
    return f"{', '.join(en[:-1])}{' or ' if en[:-1] else ''}{en[-1]}{BOTH}{'、'.join(zh[:-1])}{'或' if zh[:-1] else ''}{zh[-1]}"
