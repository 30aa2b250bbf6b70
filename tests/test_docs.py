"""The papers lead where they say: every link, file, command, setting and page they name is there; shown on a repository of papers that are wrong.

Add a check when a page could come to say something that is no more, with the bad case it catches. A check takes the folder of a repository and gives
sentences. Must not judge words, nor build the site: `make docs` does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from docs.reference import generated
from userops_pipeline.cli import main
from userops_pipeline.rulebook.places import FILES

PROJECT_DIR = Path(__file__).resolve().parents[1]
READMES = ("README.md", "README.zh-CN.md")
LINES = 200
# Folders with nothing of ours, or with what runs and builds wrote.
NOT_OURS = {".git", ".venv", "data", "site", "target", "logs", "__pycache__", ".pytest_cache", ".ruff_cache", ".hypothesis"}
FILE = re.compile(r"(?:[\w.-]+/)*[\w-][\w.-]*\.(?:py|sql|md|yml|toml|svg|png|txt)")
# Files a shop has, or dbt.
OF_OTHERS = {
    "clients/jinja.py",
    "models/my_table.sql",
    "shop.yml",
    "sources/orders/orders.sql",
    "sources/orders/source.yml",
    "sources/orders/users.sql",
    "subscriptions.sql",
    "suppressions.sql",
    "userops_pipeline/deliver/destinations/my_tool.py",
}
# Tables that publishing itself writes, of which no model tells.
OF_THE_PUBLISHER = {"generation", "published_tables", "data_dictionary"}
# What a run tells dbt, and a test tells a run; nobody sets them.
OF_A_RUN = {"USEROPS_SPARK", "USEROPS_WAREHOUSE", "USEROPS_KILL_AT"}
FENCE = r"(?ms)^ *```(\w+)\n(.*?)^ *```"
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
STATUS = re.compile(r"(?:Accepted, \d{4}-\d\d-\d\d\. Governs (`[^`]+`(?:, `[^`]+`)*)\.|Replaced, \d{4}-\d\d-\d\d, by “([^”]+)”\.)")


def pages(root: Path) -> dict[str, str]:
    """The text of every paper, by its place in the repository."""
    found = [*root.glob("*.md"), *(root / "docs").rglob("*.md")]
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in sorted(found) if not _is_generated(path, root)}


def _is_generated(path: Path, root: Path) -> bool:
    return path.relative_to(root).as_posix().removeprefix("docs/") in generated.PLACES


def prose(text: str) -> str:
    """The page without what stands in fences."""
    return re.sub(r"(?ms)^ *```.*?^ *```", "", text)


def spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(text))


def shown(text: str) -> Iterator[str]:
    """What a reader may type: the spans, and the lines in fences."""
    yield from spans(text)
    for fence in re.findall(r"(?ms)^ *```.*?\n(.*?)^ *```", text):
        yield from (line.partition("  #")[0].strip() for line in fence.splitlines())


def anchors(text: str) -> set[str]:
    """The ids of a page's headings, as a forge and our site make them."""
    headings = re.findall(r"(?m)^#+ (.+)$", prose(text))
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


def files(root: Path) -> list[str]:
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in NOT_OURS and not name.endswith(".egg-info")]
        found += [Path(folder, name).relative_to(root).as_posix() for name in (*names, *folders)]
    return found


def long_readmes(root: Path) -> list[str]:
    counts = {name: len((root / name).read_text(encoding="utf-8").splitlines()) for name in READMES}
    return [f"{name} has {count} lines; what is beyond {LINES} belongs in docs/." for name, count in counts.items() if count > LINES]


def dead_links(root: Path) -> list[str]:
    told = []
    texts = pages(root)
    for page, text in texts.items():
        for link in LINK.findall(prose(text)):
            place, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", link):
                continue
            target = os.path.normpath(os.path.join(os.path.dirname(page), place)) if place else page
            if target.removeprefix("docs/") in generated.PLACES:
                continue
            if not (root / target).exists():
                told.append(f"{page} links to {link}, and nothing is there.")
            elif anchor and anchor not in anchors(texts.get(target, "")):
                told.append(f"{page} links to {link}, and that page has no such heading.")
            elif page.endswith(".zh.md") and re.search(r"(?<!\.zh)\.md$", target) and (root / target.replace(".md", ".zh.md")).exists():
                told.append(f"{page} links to {link}, which there is in Chinese.")
    return told


def missing_languages(root: Path) -> list[str]:
    """Every page outside the decisions stands in both languages."""
    told = []
    for page in pages(root):
        if page.startswith("docs/") and not page.startswith("docs/decisions/"):
            other = page.replace(".zh.md", ".md") if page.endswith(".zh.md") else page.replace(".md", ".zh.md")
            if not (root / other).exists():
                told.append(f"{page} has no {Path(other).name} beside it.")
    return told


def examples_that_differ(root: Path) -> list[str]:
    """What a page shows in fences is the same in both languages, but for its comments and the words in between."""
    told = []
    texts = pages(root)
    for page in texts:
        other = page.replace(".md", ".zh.md")
        if other in texts:
            ours, theirs = ([_code(fence) for fence in re.findall(FENCE, texts[name])] for name in (page, other))
            told += [
                f"{other} shows another {kind} than {page}: {' '.join(text.split())[:60]}"
                for kind, text in theirs
                if (kind, text) not in ours
            ]
            told += [
                f"{other} lacks the {kind} of {page}: {' '.join(text.split())[:60]}" for kind, text in ours if (kind, text) not in theirs
            ]
    return told


def _code(fence: tuple[str, str]) -> tuple[str, str]:
    return fence[0], re.sub(r"(?m)\s+#.*$|^#.*$|\s*-- .*$|-- .*$", "", fence[1])


def missing_files(root: Path) -> list[str]:
    """Files that a page names in code: by their whole place, or by the end of it."""
    there = set(files(root))
    tops = {name for name in there if "/" not in name and (root / name).is_dir()}
    names = {tail for file in there for tail in _tails(file)}
    told = []
    for page, text in pages(root).items():
        if page == "CHANGELOG.md":
            continue
        for span in dict.fromkeys(spans(text)):
            place = span.rstrip("/")
            if place in OF_OTHERS:
                continue
            is_ours = place.split("/")[0] in tops and "/" in place and re.fullmatch(r"[\w./-]+", place)
            if (is_ours and place not in there) or (FILE.fullmatch(place) and place not in names):
                told.append(f"{page} names `{span}`, which is not there.{_elsewhere(place, there)}")
    return told


def _tails(file: str) -> list[str]:
    parts = file.split("/")
    return ["/".join(parts[at:]) for at in range(len(parts))]


def _elsewhere(place: str, there: set[str]) -> str:
    found = sorted(file for file in there if file.endswith("/" + place.split("/")[-1]))
    return f" Is it {' or '.join(found)} now?" if found and len(found) < 4 else ""


def ungoverned(root: Path) -> list[str]:
    """Every decision says since when, accepted or replaced, and which files it governs; that these exist, `missing_files` asks."""
    told = []
    for page, text in pages(root).items():
        if not page.startswith("docs/decisions/") or page.endswith("/index.md"):
            continue
        entries = re.split(r"(?m)^## ", re.sub(r"(?ms)^```.*?^```", "", text))[1:]
        heads = {entry.partition("\n")[0] for entry in entries}
        for entry in entries:
            head, _, body = entry.partition("\n")
            status = STATUS.match(body.lstrip("\n"))
            if status is None:
                told.append(
                    f"{page}, “{head}”: its first line is no status (“Accepted, 2026-11-30. Governs `file`.” or “Replaced, 2026-11-30, by “heading”.”)."
                )
            elif status[2] is not None and status[2] not in heads:
                told.append(f"{page}, “{head}”: replaced by “{status[2]}”, which the page has not.")
        if page.removeprefix("docs/decisions/") not in (root / "docs/decisions/index.md").read_text(encoding="utf-8"):
            told.append(f"{page} is not in docs/decisions/index.md.")
    return told


def unknown_commands(root: Path) -> list[str]:
    """`make …` and `userops …` as a page shows them: target, command and options are there."""
    targets = set(re.findall(r"(?m)^([a-z-]+):", (root / "Makefile").read_text(encoding="utf-8")))
    told = []
    for page, text in pages(root).items():
        for line in shown(text):
            make = re.match(r"make ([a-z-]+)", line)
            if make and make[1] not in targets:
                told.append(f"{page} says `make {make[1]}`, and the Makefile has no such target.")
            if line.startswith("userops ") and (what := _unknown(line)):
                told.append(f"{page} says `{line}`: {what}")
    return told


def _unknown(line: str) -> str | None:
    """What of a line of the command line is unknown to it."""
    command: click.Command = main
    options = {option for parameter in main.params for option in parameter.opts} | {"--help"}
    words = line.split()[1:]
    for at, word in enumerate(words):
        word = word.rstrip("`,;…")
        if word.startswith("--") and word not in options:
            return f"no option {word}."
        if isinstance(command, click.Group) and re.fullmatch(r"[a-z][a-z-]*", word) and not (at and words[at - 1].startswith("-")):
            found = command.commands.get(word)
            if found is None:
                return f"no command {word}."
            command = found
            options |= {option for parameter in found.params for option in parameter.opts}
    return None


def unknown_settings(root: Path) -> list[str]:
    """The variables that the code reads are those of the settings, in both languages."""
    code = [path for path in (root / "userops_pipeline").rglob("*") if path.suffix in (".py", ".yml")]
    texts = [path.read_text(encoding="utf-8") for path in [*code, *(root / "dbt_project").glob("profiles.yml")]]
    read = {name for text in texts for name in re.findall(r"\bUSEROPS_[A-Z_]+[A-Z]\b", text)} - OF_A_RUN
    told = []
    for page in ("docs/reference/settings.md", "docs/reference/settings.zh.md"):
        rows = "\n".join(re.findall(r"(?m)^\|([^|]*)\|", (root / page).read_text(encoding="utf-8")))
        said = set(re.findall(r"USEROPS_[A-Z_]+", rows))
        told += [f"{page} does not say what {name} is." for name in sorted(read - said)]
        told += [f"{page} has {name}, which nothing reads." for name in sorted(said - read)]
    return told


CHECKS: list[Callable[[Path], list[str]]] = [
    long_readmes,
    dead_links,
    missing_languages,
    examples_that_differ,
    missing_files,
    ungoverned,
    unknown_commands,
    unknown_settings,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_papers_lead_where_they_say(check: Callable[[Path], list[str]]) -> None:
    assert check(PROJECT_DIR) == []


def test_ci_runs_the_commands_of_the_readme() -> None:
    ci = (PROJECT_DIR / ".ci" / "run").read_text(encoding="utf-8")
    for readme in READMES:
        commands = re.findall(r"(?m)^make [a-z]+", (PROJECT_DIR / readme).read_text(encoding="utf-8"))
        assert commands == ["make run", "make test", "make demo", "make ui", "make check"], readme
    assert re.search(r"(?m)^make test\b", ci) and re.search(r"(?m)^make check\b", ci)


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """A small repository of papers in which nothing is wrong; each case below spoils one thing."""
    for place, text in {
        "README.md": "# Us\n\n[start](docs/start.md#the-first-run)\n\n```sh\nmake run   # all\n```\n",
        "README.zh-CN.md": "# 我们\n\n[开始](docs/start.zh.md#第一次运行)\n",
        "Makefile": "run: setup\n",
        "docs/start.md": "# Start\n\n## The first run\n\n`userops rules check --source x`, of `userops_pipeline/engine.py` (`engine.py`); [more](reference/settings.md), [all](reference/cli.md)\n\n```sh\nuserops doctor   # all\n```\n",
        "docs/start.zh.md": "# 开始\n\n## 第一次运行\n\n[更多](reference/settings.zh.md)\n\n```sh\nuserops doctor   # 全部\n```\n",
        "docs/reference/settings.md": "| Variable | Meaning |\n|---|---|\n| `USEROPS_HOME` | the folder |\n",
        "docs/reference/settings.zh.md": "| 变量 | 含义 |\n|---|---|\n| `USEROPS_HOME` | 文件夹 |\n",
        "docs/decisions/index.md": "[Build](build.md)\n",
        "docs/decisions/build.md": "# Build\n\n## One\n\nAccepted, 2026-11-30. Governs `userops_pipeline/engine.py`.\n\nWhy.\n\n## None\n\nReplaced, 2026-11-30, by “One”.\n",
        "userops_pipeline/engine.py": "os.environ['USEROPS_HOME']\n",
    }.items():
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_nothing_is_found_where_nothing_is_wrong(papers: Path) -> None:
    assert [sentence for check in CHECKS for sentence in check(papers)] == []


SPOILT = [
    (long_readmes, "README.zh-CN.md", "开始", "开始\n" * 200, "README.zh-CN.md has 203 lines"),
    (dead_links, "README.md", "start.md#", "begin.md#", "README.md links to docs/begin.md#the-first-run, and nothing is there."),
    (dead_links, "docs/start.md", "## The first run", "## The last run", "and that page has no such heading."),
    (dead_links, "docs/start.zh.md", "settings.zh.md", "settings.md", "links to reference/settings.md, which there is in Chinese."),
    (examples_that_differ, "docs/start.zh.md", "userops doctor", "userops summary", "lacks the sh of docs/start.md: userops doctor"),
    (missing_files, "docs/decisions/build.md", "engine.py", "motor.py", "names `userops_pipeline/motor.py`, which is not there."),
    (
        missing_files,
        "docs/start.md",
        "userops_pipeline/engine.py",
        "userops_pipeline/build/engine.py",
        "Is it userops_pipeline/engine.py now?",
    ),
    (missing_files, "docs/start.md", "(`engine.py`)", "(`motor.py`)", "docs/start.md names `motor.py`, which is not there."),
    (ungoverned, "docs/decisions/build.md", "Accepted, 2026-11-30. Governs", "Governs", "build.md, “One”: its first line is no status"),
    (ungoverned, "docs/decisions/build.md", "by “One”", "by “Two”", "replaced by “Two”, which the page has not."),
    (ungoverned, "docs/decisions/index.md", "build.md", "", "docs/decisions/build.md is not in docs/decisions/index.md."),
    (unknown_commands, "README.md", "make run", "make walk", "README.md says `make walk`, and the Makefile has no such target."),
    (unknown_commands, "docs/start.md", "rules check", "rules prove", "no command prove."),
    (unknown_commands, "docs/start.md", "--source x", "--fountain x", "no option --fountain."),
    (unknown_settings, "userops_pipeline/engine.py", "HOME", "HOUSE", "docs/reference/settings.md does not say what USEROPS_HOUSE is."),
    (unknown_settings, "docs/reference/settings.zh.md", "HOME", "HUT", "settings.zh.md has USEROPS_HUT, which nothing reads."),
]


@pytest.mark.parametrize(
    ("check", "page", "right", "wrong", "sentence"), SPOILT, ids=[f"{case[0].__name__}-{case[3]:.20}" for case in SPOILT]
)
def test_what_leads_nowhere_is_found(
    papers: Path, check: Callable[[Path], list[str]], page: str, right: str, wrong: str, sentence: str
) -> None:
    text = (papers / page).read_text(encoding="utf-8")
    assert right in text
    (papers / page).write_text(text.replace(right, wrong), encoding="utf-8")
    assert any(sentence in told for told in check(papers)), check(papers)


def test_a_page_in_one_language_is_found(papers: Path) -> None:
    (papers / "docs" / "start.zh.md").unlink()
    assert missing_languages(papers) == ["docs/start.md has no start.zh.md beside it."]


def test_the_reference_has_every_command_and_every_column() -> None:
    pages = generated.pages()
    assert list(pages) == list(generated.PLACES)
    assert {"userops nightly", "userops rules check", "userops ledger recover"} <= set(
        re.findall(r"(?m)^## `(.+)`$", pages[generated.COMMANDS])
    )
    assert "| `--dry-run` | Do everything but send the lists. |" in pages[generated.COMMANDS]
    assert "| `user_id` | text | format id, required | The shop's own id of the user |" in pages[generated.CONTRACT]


def test_the_reference_has_every_published_table_and_every_check() -> None:
    pages = generated.pages()
    listed = re.findall(
        r"`([a-z_]+)`", "".join(re.findall(r"(?m)^\|([^|]*)\|", (PROJECT_DIR / "docs/reference/tables.md").read_text(encoding="utf-8")))
    )
    told = set(re.findall(r"(?m)^## (.+)$", pages[generated.COLUMNS]))
    assert told == set(listed) - OF_THE_PUBLISHER
    assert "| `one_time_buyer` | boolean | 一单客 | Has bought exactly once. |" in pages[generated.COLUMNS]
    assert "| `frequent_buyer` | boolean |" in pages[generated.COLUMNS], "tags are columns, made of rules"
    assert "| `orders.volume_is_usual` |" in pages[generated.CHECKS]
    assert "| `assert_spells_neither_overlap_nor_gap` | The spells of a user follow each other," in pages[generated.CHECKS]
    assert not re.search(r"\| `assert_\w+` \|  \|", pages[generated.CHECKS]), "a test without a first line that says what it asks"


def test_the_reference_has_every_file_of_rules_and_every_setting() -> None:
    page = generated.pages()[generated.RULES]
    assert {f"{file}.yml" for file in FILES} == set(re.findall(r"(?m)^## (.+)$", page))
    assert "| `stays_when` | SQL |" in page and "keys `when`, `segment`, or SQL" in page
    assert "  after_days: {active: 90, purchase: 180}" in page


def test_a_column_says_what_it_must_hold() -> None:
    text = "# words\n\ntables:\n  t:\n    grain: one row\n    key: [a]\n    columns:\n      a: {type: text, only: [x, 'y|z'], about: It}\n    check:\n      - {sql: a > 0, reason: it is more}\n"
    page = generated.contract_page(text)
    assert "One row. key: a." in page and "| `a` | text | only x, y\\|z | It |" in page and "- it is more: `a > 0`" in page
