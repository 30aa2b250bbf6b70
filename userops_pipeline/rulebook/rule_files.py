"""The files of rules as text: what each says, what is typed wrongly in any of them, and on which line a rule stands.

Add here what can only be seen in the text, because reading it has already lost it (duplicate keys, anchors, tags, lines). Must not judge a rule, nor
know a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from userops_pipeline.ground.home import PACKAGE_DIR
from userops_pipeline.rulebook.grammar import KINDS
from userops_pipeline.rulebook.places import FILES, SECTIONS, SETTINGS_FILE, path_of
from userops_pipeline.rulebook.problem import Problem, nearest
from userops_pipeline.rulebook.spelling import dash_near, misspelt, sign_near
from userops_pipeline.rulebook.wording import NAMES, Said, problem

# What every shop begins with; its own settings hold what differs.
DEFAULTS = PACKAGE_DIR / "templates" / "settings.yml"
BACKUP = re.compile(r"^\.|(~|\.bak|\.orig|\.swp|\.tmp)$")
# What else a file may be called for which there is no key.
FILE_WORDS = {**{file: NAMES[kind] for file, kind in KINDS.items()}, SETTINGS_FILE: ("设置", "配置", "config")}
# dbt renders what stands in braces where a text becomes a description.
BRACES = re.compile(r"\{\{|\{%|\{#")
# libyaml where PyYAML was built with it, as its wheels are: every night reads every file, and this is ten times as quick.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# What reading YAML raises; a ValueError of a date that is none.
UNREADABLE = (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError)
MERGE = "tag:yaml.org,2002:merge"
FLOAT = "tag:yaml.org,2002:float"
TEXT = "tag:yaml.org,2002:str"

Paragraphs = dict[str, dict[str, Any]]
"""Keys by rule, or by section of the settings."""


def read(folder: Path) -> dict[str, Paragraphs]:
    """What every file of rules says, by its name without ending; a file that is not there says nothing, the settings are completed from the defaults.

    What is no paragraph is left out; `check_files` tells of it.
    """
    said = {file: _read(folder / f"{file}.yml") for file in FILES}
    own = said[SETTINGS_FILE]
    said[SETTINGS_FILE] = {section: {**keys, **own.get(section, {})} for section, keys in _read(DEFAULTS).items()}
    return said


def own(folder: Path) -> dict[str, Paragraphs]:
    """What the files of a folder say themselves, without defaults and without files that say nothing."""
    return {file: said for file in FILES if (said := _read(folder / f"{file}.yml"))}


def _read(path: Path) -> Paragraphs:
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506 - the safe loader, in C
    except UNREADABLE:
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {str(name): {str(key): value for key, value in keys.items()} for name, keys in entries if isinstance(keys, dict)}


def check_files(folder: Path, labels: Mapping[str, str]) -> list[Problem]:
    """What is typed wrongly in any file of rules: broken YAML, anchors, tags, duplicate keys, signs that are none, keys that nobody reads where they
    stand, rules that nobody looks for there. `labels` are the columns that conditions may ask for, by what people call them."""
    problems: list[Problem] = []
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        file = path.relative_to(folder).as_posix()
        if path.is_dir() or path.suffix == ".md" or any(BACKUP.search(part) for part in path.relative_to(folder).parts):
            continue
        name = file.removesuffix(".yml")
        if name not in FILES or not file.endswith(".yml"):
            facts = {"known": ", ".join(f"{each}.yml" for each in FILES)}
            near = nearest(re.sub(r"(\.\w+)+$", "", name.rsplit("/", 1)[-1]), FILES, FILE_WORDS)
            problems.append(
                problem(
                    f"rules/{file}", "file", [("unread_file", {}), *([("meant", {"meant": f"{near}.yml"})] if near else [("known", facts)])]
                )
            )
            continue
        found, tree = _check_file(path, path_of(name))
        problems += found
        if tree is not None:
            problems += rendered if (rendered := list(_rendered(tree, path_of(name)))) else misspelt(tree, name, labels)
    return problems


def with_lines(problems: Iterable[Problem], folder: Path) -> list[Problem]:
    """The same problems, each with the line on which its rule begins where that can be found."""
    return [
        problem.model_copy(update={"line": problem.line or _line_of(folder.parent / problem.file, problem.rule.split(" ")[-1])})
        for problem in problems
    ]


def _check_file(path: Path, file: str) -> tuple[list[Problem], yaml.Node | None]:
    """What is wrong with the YAML itself, and its tree where that can be read."""
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        refused = [_event_problem(event, file) for event in yaml.parse(text, Loader=LOADER)]
        problems = [problem for problem in refused if problem]
        if problems:
            return problems, None
        # Composing expands nothing: with anchors refused, the tree is as large as the file.
        tree = yaml.compose(text, Loader=LOADER)
        return [*_repeated(tree, file), *_odd(tree, file)], tree
    except UnicodeDecodeError:
        return [problem(file, "file", [("not_utf8", {})])], None
    except OSError as error:
        return [problem(file, "file", [("unreadable", {"key": file, "reason": error.strerror or "no such file"})])], None
    except RecursionError:
        return [problem(file, "file", [("too_deep", {})])], None
    except yaml.YAMLError as error:
        return [_not_yaml(error, text, file)], None


def _not_yaml(error: yaml.YAMLError, text: str, file: str) -> Problem:
    """Why the file cannot be read, and the sign that stands where YAML needs a plain one, if one does."""
    mark, begins = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    reason = getattr(error, "problem", None) or str(error).splitlines()[0]
    clauses: list[Said] = [("not_yaml", {"reason": reason})]
    line = mark.line + 1 if mark else None
    if mark and (found := sign_near(text, max(mark.line - 3, min(begins.line, mark.line) if begins else 0), mark.line)):
        line, sign = found
        clauses.append(("sign_in_file", {**sign.facts, "line": str(line)}))
    elif mark and (name := dash_near(text, mark.line)):
        clauses.append(("dash", {"name": name}))
    return problem(file, "file", clauses, line)


def _event_problem(event: yaml.Event, file: str) -> Problem | None:
    line = event.start_mark.line + 1
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        return problem(file, "file", [("anchor", {})], line)
    if tag := getattr(event, "tag", None):
        return problem(file, "file", [("tag", {"tag": tag[:60]})], line)
    return None


def _repeated(node: yaml.Node | None, file: str) -> Iterator[Problem]:
    """Keys that stand twice in one mapping, of which reading takes the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield problem(file, str(key.value), [("twice", {"key": str(key.value)[:60]})], key.start_mark.line + 1)
                seen.add(str(key.value))
            yield from _repeated(value, file)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item, file)


def _odd(node: yaml.Node | None, file: str) -> Iterator[Problem]:
    """Keys that are none, and values that are no value: reading them would lose what they stand in, or what dbt is given of it."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.tag == MERGE:
                yield problem(file, "file", [("merged", {})], key.start_mark.line + 1)
            elif not isinstance(key, yaml.ScalarNode):
                yield problem(file, "file", [("odd_key", {})], key.start_mark.line + 1)
            yield from _odd(value, file)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _odd(item, file)
    elif isinstance(node, yaml.ScalarNode) and not _has_value(node):
        yield problem(file, "file", [("no_number", {"value": str(node.value)[:60]})], node.start_mark.line + 1)


def _has_value(node: yaml.ScalarNode) -> bool:
    """Whether a scalar that is written like a date or a number is one; YAML knows numbers that are none, and fails at the 30th of February."""
    if node.tag == TEXT:
        return True
    if node.tag == FLOAT and node.value.lower().endswith((".inf", ".nan")):
        return False
    try:
        yaml.constructor.SafeConstructor().construct_object(node)
    except ValueError:
        return False
    return True


def _rendered(node: yaml.Node | None, file: str, key: str = "") -> Iterator[Problem]:
    """Texts that dbt would not take as they stand: rendered, one could show a secret of the environment or become another condition."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield from _rendered(name, file)
            yield from _rendered(value, file, name.value if isinstance(name, yaml.ScalarNode) else "")
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _rendered(item, file, key)
    elif isinstance(node, yaml.ScalarNode):
        text, line = str(node.value), node.start_mark.line + 1
        if BRACES.search(text):
            yield problem(file, key or "file", [("braces", {})], line)


def _line_of(path: Path, name: str) -> int | None:
    try:
        waiting = [yaml.compose(path.read_text(encoding="utf-8"), Loader=LOADER)]
    except UNREADABLE:
        return None
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, yaml.MappingNode):
            if line := next((key.start_mark.line + 1 for key, _ in node.value if key.value in (name, _section_of(name))), None):
                return line
            waiting.extend(value for _, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
    return None


def _section_of(table: str) -> str:
    """The section of the settings that a table reads."""
    return next((section for section, (reader, _) in SECTIONS.items() if reader == table), table)
