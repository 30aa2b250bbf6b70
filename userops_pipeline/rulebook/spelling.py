"""Whether everything in a YAML file of the dbt project stands where it is read, in plain signs: keys nobody knows, signs that are none, lost rules.

Add here what can be typed wrongly whatever the rule says; what may stand where is grammar's. Must not judge a rule, nor open a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import yaml

from userops_pipeline.rulebook.grammar import (
    SQL_TYPES,
    Anything,
    Condition,
    Entries,
    Home,
    Keys,
    Named,
    Prose,
    Shape,
    Word,
    file_of,
    homes_of,
)
from userops_pipeline.rulebook.places import PLACES, SEGMENTS, TAGS
from userops_pipeline.rulebook.problem import Problem, nearest
from userops_pipeline.rulebook.signs import CLOSING, OPENING, QUOTED, Sign, foreign_signs, plain
from userops_pipeline.rulebook.vocabulary import KEYS, SQL, VALUES
from userops_pipeline.rulebook.wording import BOTH, NAMES, Said, hint, problem

SEPARATES = re.compile(r"([，、；,;])\s*([^\s，、；：:,;]{1,30})\s*[：:]")
KEY = re.compile(r"[a-z][a-z0-9_-]*")
FAR = 20  # lines
LISTED = 16  # so many known keys are told


@dataclass(frozen=True)
class Project:
    """What the files of a project are held against: its tables by name with the file that documents them, and the arguments of its tests."""

    tables: frozenset[str] | None
    """Names of the models that have SQL; None where there is none at all."""
    documented: Mapping[str, str]
    """File by table."""
    tests: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    """Column by what people call it."""
    inputs: frozenset[str] = frozenset()
    """Metrics that others are made of."""


@dataclass(frozen=True)
class _At:
    """Where a walk is: the file, the rule's name as far as there is one, the table, and the keys on the way."""

    file: str
    project: Project
    name: str = "file"
    table: str = ""
    path: tuple[str, ...] = ()
    above: tuple[tuple[str, Keys], ...] = ()
    """The mappings on the way, the nearest first, each with the key that led on."""

    def into(self, key: str, holder: Keys | None = None, **changes: str) -> _At:
        above = ((key, holder), *self.above) if holder else self.above
        return replace(self, path=(*self.path, key), above=above, **changes)

    def problem(self, node: yaml.Node, clauses: list[Said], *, line: int | None = None) -> Problem:
        return problem(self.file, self.name, clauses, line or node.start_mark.line + 1)


def misspelt(tree: yaml.Node | None, file: str, project: Project) -> Iterator[Problem]:
    """Every key that nobody reads where it stands, and every sign that is none, in one file."""
    if tree is not None:
        yield from _walk(tree, file_of(dict(project.tests)), _At(file, project))


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
        case Named():
            name = name_of(node) if isinstance(node, yaml.MappingNode) else ""
            yield from _keys(node, shape.keys(name), at.into("", table=name) if name else at)
        case Keys():
            yield from _keys(node, shape, at)
        case Entries():
            yield from _entries(node, shape, at)
        case Anything():
            yield from _unread(node, at)
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
            if isinstance(item, yaml.MappingNode):
                name = name_of(item)
                here = at.into("", name=name or at.name)
                if lost := list(_lost(item, shape, here)):
                    yield from lost
                    continue
                if shape.are_named and not name:
                    yield at.problem(item, [("no_name", {"key": at.path[-1]})])
                yield from _walk(item, shape.of, here)
                yield from _true_or_false(item, here)
                if at.path == ("metrics",) and name not in at.project.inputs and not _has(_inside(item, "config", "meta"), "family"):
                    yield here.problem(item, [("no_family", {})])
            else:
                yield from _walk(item, shape.of, at)


def _true_or_false(item: yaml.MappingNode, at: _At) -> Iterator[Problem]:
    """A tag or a segment is a column of true and false; of another type it would end the night."""
    kind = {TAGS: "tag", SEGMENTS: "segment"}.get(at.table)
    if kind and at.path[-2:-1] == ("columns",) and {"when", "include"} & _key_names(_inside(item, "config", "meta")):
        declared = _inside(item, "data_type")
        if not _has(item, "data_type"):
            yield at.problem(item, [("no_type", {"kind": kind})])
        if isinstance(declared, yaml.ScalarNode) and str(declared.value) not in ("boolean", "bool") and str(declared.value) in SQL_TYPES:
            yield at.problem(declared, [("column_type", {"value": str(declared.value), "kind": kind})])


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
        elif not (shape.bare is not None and "." in name):  # a test of a package
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
    if under := _under(key, shape):
        meant, where = under
        return [("belongs" if meant == key else "foreign_below", {"key": shown, "meant": meant, "where": where})]
    if meant := nearest(key, left, KEYS) or nearest(key, shape.known, KEYS):
        if key.isascii():
            return [("unknown_key", {"key": shown}), *hint(key, meant)]
        return [("foreign_key", {"key": shown, "meant": meant})]
    if beside := next((beside for beside, keys in at.above if key in keys.known), ""):
        return [("too_low", {"key": shown, "beside": beside})]
    if elsewhere := _stands(key, at):
        return [("misplaced_key", {"key": shown, "here": _here(at), "where": elsewhere})]
    known = list(shape.known)
    return [("unknown_key", {"key": shown}), *hint(key, "", known if len(known) <= LISTED else ())]


def _under(key: str, shape: Keys) -> tuple[str, str] | None:
    """The key below here that is meant by a key, or by a Chinese word for one, and the keys that lead to it."""
    waiting: list[tuple[str, Keys]] = [("", shape)]
    while waiting:
        path, keys = waiting.pop(0)
        for name, inner in keys.known.items():
            if name in ("config", "meta") and isinstance(inner, Keys):
                meant = key if key in inner.known else next((each for each in inner.known if key in KEYS.get(each, ())), "")
                if meant:
                    return meant, f"{path}{name}:"
                waiting.append((f"{path}{name}: ", inner))
    return None


def _stands(key: str, at: _At) -> str:
    """Where a key of the meta of another table stands."""
    tables = list(dict.fromkeys(place.table for place in PLACES if place.key == key and place.shape in ("list", "settings")))
    return _either([_at_table(table, key, at) for table in tables]) if tables else ""


# -- rules where nobody looks for them -----------------------------------------------------------------------------


def _lost(item: yaml.MappingNode, shape: Entries, at: _At) -> Iterator[Problem]:
    """An entry that is of another kind than those that are read here."""
    expected = shape.of.keys(name_of(item)) if isinstance(shape.of, Named) else shape.of
    if not isinstance(expected, Keys):
        return
    mine, meta = _key_names(item), _key_names(_inside(item, "config", "meta") or _inside(item, "meta"))
    config = expected.known.get("config")
    known_meta = config.known.get("meta") if isinstance(config, Keys) else None
    allowed = set(known_meta.known) if isinstance(known_meta, Keys) else set()
    homes = homes_of(mine | meta)
    if at.path[-2:-1] == ("models",):
        yield from _no_table(item, mine, homes, at)
        return
    strange = (mine - set(expected.known) - allowed) | (meta - allowed)
    if any(strange & home.keys for home in homes) and not _is_here(homes, at):
        yield at.problem(item, [_misplaced(homes, at)])


def _is_here(homes: Sequence[Home], at: _At) -> bool:
    """Whether one of the homes is where the walk is."""
    here = [part for part in at.path if part]
    for home in homes:
        if home.table in (TAGS, SEGMENTS) and at.table == home.table and here[-1] == "columns":
            return True
        if home.table and at.table == home.table and home.key and here[-len(home.key.split(".")) :] == home.key.split("."):
            return True
        if not home.table and here == [home.key]:
            return True
    return False


def _no_table(item: yaml.MappingNode, keys: frozenset[str], homes: Sequence[Home], at: _At) -> Iterator[Problem]:
    """A paragraph among the tables that is none of them."""
    name, tables = name_of(item), at.project.tables
    if tables is None or not name or name in tables:
        return
    others = [home for home in homes if home.kind != "table"]
    if "columns" not in keys and others and len(others) == len(homes):
        yield at.problem(item, [_misplaced(others, at)])
        return
    yield at.problem(item, [("no_table", {"table": name}), *hint(name, nearest(name, tables))])


def _misplaced(homes: Sequence[Home], at: _At) -> Said:
    """That an entry belongs elsewhere; of several homes that one in the same file is meant."""
    near = [home for home in homes if home.table and at.project.documented.get(home.table) == at.file] or list(homes)
    kinds = near[0].kind if len(near) == 1 else _either([_both_of(home.kind) for home in near])
    where = _either([_place_of(home, at) for home in near])
    return "misplaced", {"kind": kinds, "here": _here(at), "where": where}


def _place_of(home: Home, at: _At) -> str:
    if home.table in (TAGS, SEGMENTS):
        return _at_table(home.table, "", at)
    if home.table:
        return _at_table(home.table, home.key, at)
    return f"'{home.key}:' of a file under models/{BOTH}models/ 下某个文件的 '{home.key}:'"


def _at_table(table: str, key: str, at: _At) -> str:
    file = at.project.documented.get(table)
    en, zh = (f" ({file})", f"（{file}）") if file else ("", "")
    if not key:
        return f"the columns of the table '{table}'{en}{BOTH}表 '{table}' 的 columns 之下{zh}"
    path = key.replace(".", ": ")
    return f"config: meta: {path}: of the table '{table}'{en}{BOTH}表 '{table}' 的 config: meta: {path}: 之下{zh}"


def _here(at: _At) -> str:
    last = next((part for part in reversed(at.path) if part), "")
    if at.table:
        return (
            f"under '{last}' of the table '{at.table}'{BOTH}在表 '{at.table}' 的 '{last}' 下"
            if last
            else f"at the table '{at.table}'{BOTH}在表 '{at.table}' 处"
        )
    return f"under '{last}'{BOTH}在 '{last}' 下" if last else f"at the top of the file{BOTH}在文件最外层"


def _unread(node: yaml.Node, at: _At) -> Iterator[Problem]:
    """Rules inside of what nobody here judges, such as the rows of a unit test."""
    if isinstance(node, yaml.MappingNode):
        meta = _key_names(_inside(node, "config", "meta"))
        homes = homes_of(_key_names(node) | meta) if meta else []
        if homes:
            yield at.into("", name=name_of(node) or at.name).problem(node, [_misplaced(homes, at)])
            return
        for _, value in node.value:
            yield from _unread(value, at)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _unread(item, at)


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
    elif shape.known and text and not _is_null(node):
        word = re.sub(r"\(.*\)$", "", text.strip().lower()) if key == "data_type" else text
        if word not in shape.known:
            known = ", ".join(shape.known)
            yield at.problem(
                node, [("one_of", {"key": key, "value": text[:60], "known": known}), *hint(word, nearest(word, shape.known, VALUES))]
            )


def _chinese(node: yaml.ScalarNode, text: str, key: str, at: _At) -> Iterator[Problem]:
    """Words in a condition that only people understand: Chinese ones of SQL, and names of columns by their label."""
    for word in dict.fromkeys(re.findall(r"[^\W\d_a-zA-Z]+\w*", QUOTED.sub(" ", text))):
        if not word.isascii():
            if word in SQL:
                yield at.problem(node, [("sql_word", {"key": key, "value": word, "meant": SQL[word]})])
            else:
                near = nearest(word, [], {column: (label,) for label, column in at.project.labels.items()})
                yield at.problem(node, [("no_column", {"key": key, "value": word[:60]}), *hint(word, at.project.labels.get(word, near))])


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


def _inside(node: yaml.Node | None, *keys: str) -> yaml.Node | None:
    for key in keys:
        node = next((value for name, value in node.value if name.value == key), None) if isinstance(node, yaml.MappingNode) else None
    return node


def entries_in(node: yaml.Node | None, key: str) -> list[yaml.Node]:
    """The entries of the list behind a key; none where there is no list."""
    found = _inside(node, key)
    return list(found.value) if isinstance(found, yaml.SequenceNode) else []


def label_of(node: yaml.Node) -> str:
    """What people call a column."""
    found = _inside(node, "config", "meta", "label")
    return str(found.value) if isinstance(found, yaml.ScalarNode) else ""


def _key_names(node: yaml.Node | None) -> frozenset[str]:
    return (
        frozenset(str(key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if isinstance(node, yaml.MappingNode)
        else frozenset()
    )


def _has(node: yaml.Node | None, key: str) -> bool:
    """Whether a mapping has the key, or one that was meant to be it and is told of by itself."""
    return any(nearest(name, [key], KEYS) for name in _key_names(node))


def name_of(node: yaml.Node) -> str:
    found = _inside(node, "name")
    return str(found.value) if isinstance(found, yaml.ScalarNode) else ""


def _is_null(node: yaml.ScalarNode) -> bool:
    return node.tag == "tag:yaml.org,2002:null" or (not node.value and not node.style)


def _last(at: _At) -> str:
    return next((part for part in reversed(at.path) if part), "file")


def _either(parts: Sequence[str]) -> str:
    """`a, b or c`, in both languages where the parts are."""
    en, zh = ([part.split(BOTH)[place if BOTH in part else 0] for part in parts] for place in (0, 1))
    return f"{', '.join(en[:-1])}{' or ' if en[:-1] else ''}{en[-1]}{BOTH}{'、'.join(zh[:-1])}{'或' if zh[:-1] else ''}{zh[-1]}"


def _both_of(kind: str) -> str:
    return BOTH.join(NAMES[kind])
