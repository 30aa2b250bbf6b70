"""The YAML files of the dbt project as text: what dbt would silently take the wrong way, and on which line a rule stands.

Add here what can only be seen in the files, because the manifest has already lost it (duplicate keys, anchors, tags, lines).
Must not interpret a rule or import dbt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import yaml

from userops_pipeline.rulebook.problem import Problem
from userops_pipeline.rulebook.spelling import Project, entries_in, label_of, misspelt, name_of, sign_near
from userops_pipeline.rulebook.wording import Said, problem

OTHERS_FOLDERS = {"target", "dbt_packages", "logs"}
# The project's own settings, where dbt reads the warehouse's path from the environment: no rule stands there.
SETTINGS = {"dbt_project.yml", "profiles.yml", "packages.yml", "dependencies.yml", "selectors.yml", "package-lock.yml"}
LABELLED = ("int_user_features", "user_profile", "user_lifecycle", "int_user_community", "user_tags")  # whose columns conditions name
MODEL_FILES = (".sql", ".py")
# What looks like a file of rules to people, and is none to dbt; what an editor leaves behind is left to it.
UNREAD = re.compile(r"\.ya?ml|\.(ymal|yamel|yal|yl|txt)$", re.IGNORECASE)
BACKUP = re.compile(r"^\.|(~|\.bak|\.orig|\.swp|\.tmp)$")
GENERIC_TEST = re.compile(r"\{%-?\s*test\s+(\w+)\(([^)]*)\)")
# dbt renders what stands in braces, and takes a text that looks like a call of one of these for one, as it does what is listed under such a key.
BRACES = re.compile(r"\{\{|\{%|\{#")
CALL = re.compile(r"\s*(env_var|ref|var|source|doc|metric)\s*\(", re.IGNORECASE)
CALLED_KEYS = {"depends_on", "input", "model", "to"}
# What it may find there: a table by its name, and a dimension in the filter of a metric.
NAMES_A_TABLE = re.compile(r"(ref\('\w+'\)|source\('\w+', ?'\w+'\))")
DIMENSION = re.compile(r"\{\{ Dimension\('\w+'\) \}\}")
# libyaml where PyYAML was built with it, as its wheels are: every night reads every file, and this is ten times as quick.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_yaml_files(project_dir: Path) -> list[Problem]:
    """What is typed wrongly in any YAML file of a dbt project: broken YAML, anchors, tags, duplicate keys and names, signs that are none, keys that
    nobody reads where they stand, rules that nobody looks for there."""
    problems: list[Problem] = []
    trees: dict[str, yaml.Node | None] = {}
    for path in _yaml_files(project_dir):
        file = path.relative_to(project_dir).as_posix()
        found, tree = _check_file(path, file)
        problems += found
        if tree is not None and file not in SETTINGS:
            problems += rendered if (rendered := list(_rendered(tree, file))) else []
            if not rendered:
                trees[file] = tree
    project = Project(_tables(project_dir), _documented(trees), _generic_tests(project_dir), _labels(trees), _inputs(trees))
    problems += _described_twice(trees)
    for file, tree in trees.items():
        if file.startswith("models/"):
            problems += misspelt(tree, file, project)
        else:
            problems.append(problem(file, "file", [("unread_file", {})]))
    return [*problems, *_unread_files(project_dir)]


def with_lines(problems: Iterable[Problem], project_dir: Path) -> list[Problem]:
    """The same problems, each with the line on which its rule begins where that can be found."""
    return [
        problem.model_copy(update={"line": problem.line or _line_of(project_dir / problem.file, problem.rule.split(" ")[-1])})
        for problem in problems
    ]


def _yaml_files(project_dir: Path) -> list[Path]:
    found = (path for pattern in ("*.yml", "*.yaml") for path in project_dir.rglob(pattern))
    return sorted(path for path in found if not OTHERS_FOLDERS & set(path.relative_to(project_dir).parts))


def _unread_files(project_dir: Path) -> Iterator[Problem]:
    """Files among the models whose name says YAML to people, and nothing to dbt."""
    for path in sorted((project_dir / "models").rglob("*")):
        if (
            path.is_file()
            and path.suffix not in (".yml", ".yaml", *MODEL_FILES)
            and UNREAD.search(path.name)
            and not BACKUP.search(path.name)
        ):
            yield problem(path.relative_to(project_dir).as_posix(), "file", [("unread_file", {})])


def _tables(project_dir: Path) -> frozenset[str] | None:
    return frozenset(path.stem for path in (project_dir / "models").rglob("*") if path.suffix in MODEL_FILES) or None


def _documented(trees: Mapping[str, yaml.Node | None]) -> dict[str, str]:
    """The file of every table that is described in one."""
    return {name: file for file, tree in trees.items() for item in entries_in(tree, "models") if (name := name_of(item))}


def _described_twice(trees: Mapping[str, yaml.Node | None]) -> Iterator[Problem]:
    """Tables with a paragraph in two files: dbt reads neither then."""
    seen: dict[str, str] = {}
    for file, tree in trees.items():
        for item in entries_in(tree, "models"):
            name = name_of(item)
            if name and seen.setdefault(name, file) != file:
                yield problem(file, name, [("twice", {"other": seen[name]})], item.start_mark.line + 1)


def _inputs(trees: Mapping[str, yaml.Node | None]) -> frozenset[str]:
    """The metrics that other metrics are made of."""
    found: set[str] = set()
    for metric in (each for tree in trees.values() for each in entries_in(tree, "metrics")):
        waiting = [value for key, value in metric.value if key.value == "type_params"] if isinstance(metric, yaml.MappingNode) else []
        while waiting:
            node = waiting.pop()
            if isinstance(node, yaml.ScalarNode):
                found.add(str(node.value))
            elif isinstance(node, yaml.MappingNode):
                waiting += [value for _, value in node.value]
            elif isinstance(node, yaml.SequenceNode):
                waiting += node.value
    return frozenset(found)


def _labels(trees: Mapping[str, yaml.Node | None]) -> dict[str, str]:
    """The columns that tags and stages may ask for, by their label."""
    found: dict[str, str] = {}
    for table in (each for tree in trees.values() for each in entries_in(tree, "models")):
        if name_of(table) in LABELLED:
            for column in entries_in(table, "columns"):
                if label := label_of(column):
                    found.setdefault(label, name_of(column))
    return found


def _generic_tests(project_dir: Path) -> dict[str, tuple[str, ...]]:
    """The arguments of every generic test of the project, by its name."""
    texts = (path.read_text(encoding="utf-8") for folder in ("tests", "macros") for path in sorted((project_dir / folder).rglob("*.sql")))
    return {
        name: tuple(argument.split("=")[0].strip() for argument in arguments.split(",")[1:])
        for text in texts
        for name, arguments in GENERIC_TEST.findall(text)
    }


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
        return list(_repeated(tree, file)), tree
    except UnicodeDecodeError:
        return [Problem(file=file, rule="file", sentence="is not UTF-8; save it as UTF-8.")], None
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
        facts = {"sign": sign.shown, "name": sign.name, "meant": sign.written, "line": str(line)}
        clauses.append(("sign_in_file", facts))
    return problem(file, "file", clauses, line)


def _event_problem(event: yaml.Event, file: str) -> Problem | None:
    line = event.start_mark.line + 1
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        return Problem(
            file=file,
            rule="file",
            line=line,
            sentence="uses a YAML anchor; write the text out, so that every rule can be read where it stands.",
        )
    if tag := getattr(event, "tag", None):
        return Problem(file=file, rule="file", line=line, sentence=f"uses the YAML tag '{tag}'; write plain values.")
    return None


def _repeated(node: yaml.Node | None, file: str) -> Iterator[Problem]:
    if isinstance(node, yaml.MappingNode):
        yield from _twice(
            [key for key, _ in node.value], file, "the key '{}' stands twice in one mapping, and the last would win; take one out."
        )
        for _, value in node.value:
            yield from _repeated(value, file)
    elif isinstance(node, yaml.SequenceNode):
        names = [value for item in node.value if isinstance(item, yaml.MappingNode) for key, value in item.value if key.value == "name"]
        yield from _twice(names, file, "the name '{}' stands twice in one list, and the last would win; rename one or take it out.")
        for item in node.value:
            yield from _repeated(item, file)


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
        if BRACES.search(DIMENSION.sub("", text) if key == "filter" else text):
            sentence = "holds {{, {% or {#, which dbt would render instead of taking the text as it stands; write it without."
            yield Problem(file=file, rule=key or "file", line=line, sentence=sentence)
        elif (CALL.match(text) or (key in CALLED_KEYS and "(" in text)) and not NAMES_A_TABLE.fullmatch(text):
            sentence = (
                "would be called by dbt; what may stand there is ref('table') or source('schema', 'table'), and no other text begins so."
            )
            yield Problem(file=file, rule=key or "file", line=line, sentence=sentence)


def _twice(nodes: Iterable[yaml.Node], file: str, sentence: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for node in nodes:
        if not isinstance(node, yaml.ScalarNode):
            continue
        if node.value in seen:
            yield Problem(file=file, rule=node.value, line=node.start_mark.line + 1, sentence=sentence.format(node.value))
        seen.add(node.value)


def _line_of(path: Path, name: str) -> int | None:
    try:
        waiting = [yaml.compose(path.read_text(encoding="utf-8"), Loader=LOADER)]
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, yaml.MappingNode):
            if any(key.value == "name" and value.value == name for key, value in node.value):
                return node.start_mark.line + 1
            waiting.extend(value for _, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
    return None
