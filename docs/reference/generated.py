"""The pages of the reference that nobody writes: commands, contract, columns, rules and checks, told by themselves each time the site is built.

Here lives a hook of MkDocs (`hooks` in mkdocs.yml) and the text it makes; add a page when something describes itself that well. Must not hold a
sentence about a command, table or column: it stands where the thing is declared, and only there.
"""

from __future__ import annotations

import functools
import inspect
import re
from pathlib import Path
from typing import Any

import click
import yaml

PROJECT_DIR = Path(__file__).resolve().parents[2]
CONTRACT, COMMANDS, COLUMNS, RULES, CHECKS = PLACES = (
    "reference/contract.md",
    "reference/cli.md",
    "reference/columns.md",
    "reference/rules.md",
    "reference/checks.md",
)
TEMPLATES = PROJECT_DIR / "userops_pipeline" / "templates"
TESTS = PROJECT_DIR / "dbt_project" / "tests"


@functools.cache
def pages() -> dict[str, str]:
    """The pages by their place in docs/, in Markdown."""
    contract = next(PROJECT_DIR.glob("userops_pipeline/*/contract.yml"))
    from userops_pipeline.cli import main
    from userops_pipeline.intake.gate import expectations
    from userops_pipeline.intake.source import load_source
    from userops_pipeline.rulebook.current import WITHOUT_SHOP, described

    return {
        CONTRACT: contract_page(contract.read_text(encoding="utf-8")),
        COMMANDS: commands_page(main, "userops"),
        COLUMNS: columns_page(_published(described(TEMPLATES / WITHOUT_SHOP / "rules"))),
        RULES: rules_page((TEMPLATES / "settings.yml").read_text(encoding="utf-8"), TEMPLATES / WITHOUT_SHOP / "rules"),
        CHECKS: checks_page(
            expectations([load_source("demo_shop")]), {path.stem: path.read_text(encoding="utf-8") for path in sorted(TESTS.glob("*.sql"))}
        ),
    }


def contract_page(text: str) -> str:
    """The contract's tables and columns; its own header says what each word of it means."""
    header = [line[1:].removeprefix(" ") for line in text.partition("\n\n")[0].splitlines()]
    lines = ["# The contract", "", "```text", *header, "```"]
    for name, table in yaml.safe_load(text)["tables"].items():
        facts = [f"{word}: {_value(table[word])}" for word in table if word not in ("grain", "columns", "check")]
        lines += ["", f"## {name}", "", f"{table['grain'][0].upper()}{table['grain'][1:]}. {'; '.join(facts)}.", ""]
        lines += ["| Column | Type | | What it is |", "|---|---|---|---|"]
        for column, spec in table["columns"].items():
            said = ", ".join(
                word if is_so is True else f"{word} {_value(is_so)}" for word, is_so in spec.items() if word not in ("type", "about")
            )
            lines.append(f"| `{column}` | {spec['type']} | {_cell(said)} | {_cell(spec['about'])} |")
        checks = [f"- {check['reason']}: `{check['sql']}`" for check in table.get("check", [])]
        lines += ["", *checks] if checks else []
    return "\n".join(lines) + "\n"


def commands_page(main: click.Command, name: str) -> str:
    """Every command with its options, as `--help` tells them."""
    return "\n".join(["# Commands", *_command(main, name, None)]) + "\n"


def _command(command: click.Command, name: str, parent: click.Context | None) -> list[str]:
    context = click.Context(command, parent=parent, info_name=name.rpartition(" ")[2])
    lines = ["", f"## `{name}`", "", inspect.cleandoc(command.help or "")]
    usage = " ".join(command.collect_usage_pieces(context))
    lines += ["", f"`{name} {usage}`"]
    told = [record for record in (parameter.get_help_record(context) for parameter in command.get_params(context)) if record]
    if told:
        lines += ["", "| Option | |", "|---|---|", *(f"| `{_cell(option)}` | {_cell(about)} |" for option, about in told)]
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None and not found.hidden:
                lines += _command(found, f"{name} {child}", context)
    return lines


def _published(declared: Any) -> list[dict[str, Any]]:
    """The tables that are published, each with all of its columns: those of its rules too."""
    found = [(file, table) for file, table in [*declared.models.values(), *declared.sources.values()] if file.startswith("models/marts/")]
    return [{**table, "columns": list(declared.columns_of(table["name"]).values()) or table.get("columns", [])} for _, table in found]


def columns_page(tables: list[dict[str, Any]]) -> str:
    """Every published table with its columns, in English and Chinese; tags and segments are those of the template whose rules hold without a shop."""
    lines = ["# Columns of the published tables"]
    for table in sorted(tables, key=lambda table: table["name"]):
        lines += [
            "",
            f"## {table['name']}",
            "",
            _cell(table["description"]),
            "",
            "| Column | Type | 名称 | What it is |",
            "|---|---|---|---|",
        ]
        for column in table.get("columns", []):
            label = column.get("config", {}).get("meta", {}).get("label", "")
            lines.append(f"| `{column['name']}` | {column.get('data_type', '')} | {label} | {_cell(column.get('description', ''))} |")
    return "\n".join(lines) + "\n"


def rules_page(settings: str, template: Path) -> str:
    """Every file of rules with the keys of its paragraphs, and the settings of the engine as they stand, whose comments say what they are."""
    from userops_pipeline.rulebook.grammar import Keys, file_of
    from userops_pipeline.rulebook.kinds.lists import ContactList
    from userops_pipeline.rulebook.places import LISTS, RULE_FILES
    from userops_pipeline.rulebook.vocabulary import KEYS

    lines = ["# Keys of the rules", "", "Files of a shop, one paragraph per rule; 也叫: other words that a mistake is understood by.", ""]
    for file in sorted([*RULE_FILES, LISTS]):
        kind = ContactList if file == LISTS else RULE_FILES[file].kind
        paragraph = file_of(file).others
        assert isinstance(paragraph, Keys)
        said = re.match(r"(?:#.*\n)+\n", (template / f"{file}.yml").read_text(encoding="utf-8"))
        lines += [f"## {file}.yml", "", " ".join((kind.__doc__ or "").split()), ""]
        lines += ["```text", *(line.lstrip("#").removeprefix(" ") for line in said[0].strip().splitlines()), "```", ""] if said else []
        lines += ["| Key | Holds | 也叫 |", "|---|---|---|"]
        lines += [f"| `{key}` | {_cell(_holds(shape))} | {'、'.join(KEYS.get(key, ())[:3])} |" for key, shape in paragraph.known.items()]
        lines.append("")
    return (
        "\n".join(
            [*lines, "## settings.yml", "", "What the engine has; a shop writes what differs.", "", "```yaml", settings.rstrip(), "```"]
        )
        + "\n"
    )


def _holds(shape: Any) -> str:
    """What stands behind a key, in a few words."""
    from userops_pipeline.rulebook.grammar import Condition, Entries, Keys, Prose

    match shape:
        case Entries():
            return f"a list: {_holds(shape.of)}"
        case Keys():
            known = ", ".join(f"`{key}`" for key in shape.known) or f"names of your own, each with {_holds(shape.others)}"
            return f"keys {known}, or {_holds(shape.bare)}" if shape.bare else f"keys {known}" if shape.known else known
        case Condition():
            return "SQL"
        case Prose():
            return "a text for people"
        case _:
            return f"one of {', '.join(f'`{word}`' for word in shape.known)}" if shape.known else "a name, number or word"


def checks_page(expectations: list[Any], tests: dict[str, str]) -> str:
    """What the gate asks of a night, by table and name as `--waive` takes them, and what dbt asks of the tables, by the first words of each test."""
    lines = ["# Checks", "", "## The gate, as it is asked of the demo shop", ""]
    lines += ["An `error` holds the night; a `warning` is told.", "", "| Expectation | What it asks | |", "|---|---|---|"]
    lines += [f"| `{found.table}.{found.name}` | {_cell(found.about)} | {found.severity} |" for found in expectations]
    lines += [
        "",
        "## The tables, after every build",
        "",
        "Besides the keys, types and words of each model.",
        "",
        "| Test | What it asks |",
        "|---|---|",
    ]
    for name, text in tests.items():
        said = re.match(r"\{#-?(?P<jinja>.*?)-?#\}|(?P<sql>(?:--.*\n)+)", text, re.DOTALL)
        lines.append(f"| `{name}` | {_cell((said['jinja'] or said['sql'].replace('--', ' ')) if said else '')} |")
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def on_config(config: Any) -> Any:
    """MkDocs is about to look which files there are: these are written beside the others, where Git leaves them out."""
    for place, text in pages().items():
        path = Path(config.docs_dir, place)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    return config
