"""The two pages of the reference that nobody writes: the commands, and the contract, told by themselves each time the site is built.

Here lives a hook of MkDocs (`hooks` in mkdocs.yml) and the text it makes; add a page when something describes itself that well. Must not hold a
sentence about a command, table or column: it stands where the thing is declared, and only there.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import click
import yaml

PROJECT_DIR = Path(__file__).resolve().parents[2]
CONTRACT, COMMANDS = PLACES = ("reference/contract.md", "reference/cli.md")
# What of a column is said in words of its own, in this order; `type` and `about` have columns of theirs.
SAID = (
    "required",
    "personal",
    "sensitive",
    "format",
    "refers",
    "known",
    "only",
    "strictest",
    "min",
    "max",
    "moment",
    "dated_by",
    "alike",
    "ahead",
    "restates",
)


def pages() -> dict[str, str]:
    """The pages by their place in docs/, in Markdown."""
    contract = next(PROJECT_DIR.glob("userops_pipeline/*/contract.yml"))
    from userops_pipeline.cli import main

    return {
        CONTRACT: contract_page(contract.read_text(encoding="utf-8")),
        COMMANDS: commands_page(main, "userops"),
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
            said = ", ".join(word if spec[word] is True else f"{word} {_value(spec[word])}" for word in SAID if spec.get(word) is not None)
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


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def on_config(config: Any) -> Any:
    """MkDocs is about to look which files there are: these are written beside the others, where Git leaves them out."""
    for place, text in pages().items():
        path = Path(config.docs_dir, place)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    return config
