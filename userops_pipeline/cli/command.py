"""The command itself: how `userops` is called, speaks and ends, whatever it is asked.

Here lives what commands share: options, the shop, tables on a screen, a fault as a sentence. Add here what two groups of commands need.
Must not hold a command.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from datetime import date, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from userops_pipeline.ground.home import PROJECT_DIR, Home, UserOpsError, fault_of_machine, keep_private, shop_folder

out = Console(highlight=False, width=None if sys.stdout.isatty() else 160)  # a file or a pipe has no width to fold at
STOPPED = 128 + signal.SIGINT  # the exit code of a command that a signal ended
err = Console(stderr=True, highlight=False)

DAGSTER_YAML = "telemetry:\n  enabled: false\nnux:\n  enabled: false\nevent_log_storage:\n  module: userops_pipeline.defs.history\n  class: OpenEventLog\n"


class _Night(click.ParamType):
    """A business date."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return value if isinstance(value, date) else datetime.strptime(value, "%Y-%m-%d").date()
        except ValueError:
            self.fail(f"{value!r} is not a date like 2017-03-01", param, ctx)


NIGHT = _Night()
OUTSIDE = {"init"}  # commands that ask nothing of a shop around


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="userops-pipeline", prog_name="userops")
@click.option("--shop", type=click.Path(path_type=Path), help="Folder of the shop (default: the nearest one upwards with a shop.yml).")
@click.option(
    "--home", type=click.Path(path_type=Path), help="Folder of what runs write (default: USEROPS_HOME, else .userops/ of the shop)."
)
@click.pass_context
def main(ctx: click.Context, shop: Path | None, home: Path | None) -> None:
    """The data engine of user operations: every night from files to tables and campaign lists."""
    keep_private()
    if shop is not None:
        os.environ["USEROPS_SHOP"] = str(shop.resolve())
    if home is not None:
        os.environ["USEROPS_HOME"] = str(home.resolve())
    if ctx.invoked_subcommand not in OUTSIDE:
        _enter_shop()


def speaks_plainly(function: Callable[..., Any]) -> Callable[..., Any]:
    """A fault ends with its sentence and exit code 1, without a traceback."""

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except UserOpsError as error:
            err.print(f"[red]✗[/] {error}", soft_wrap=True)
            sys.exit(1)
        except BaseException as error:
            if isinstance(error, (SystemExit, click.ClickException)):
                raise
            if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "DagsterExecutionInterruptedError":
                err.print("[red]✗[/] Stopped by a signal. What was published before stays as it was; the next run takes up what was begun.")
                sys.exit(STOPPED)
            sentence = fault_of_machine(error)
            if sentence is None and _is_lost_file(error):
                sentence = "A file that should be there is not, or cannot be read; `userops doctor` says which and how to mend it."
            if sentence is None:
                raise
            err.print(f"[red]✗[/] {sentence}", soft_wrap=True)
            sys.exit(1)

    return wrapper


@speaks_plainly
def _enter_shop() -> None:
    from userops_pipeline.ground import shop_file

    shop_file.enter()


def _is_lost_file(error: BaseException) -> bool:
    """Whether DuckDB, which only some commands load, could not read a file."""
    duckdb = sys.modules.get("duckdb")
    return duckdb is not None and isinstance(error, duckdb.IOException)


def source_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--source", help="Source folder or its name (default: those of the shop, else complete_journey).")(function)


def language_option(function: Callable[..., Any]) -> Callable[..., Any]:
    choice = click.Choice(["en", "zh"])
    return click.option("--language", type=choice, default="en", show_default=True, help="English or Chinese.")(function)


def shop_of(source: str | None) -> Any:
    """The shop; DAGSTER_HOME is prepared so that runs are recorded where the UI looks."""
    warnings.filterwarnings("ignore", module="dagster")
    if source:
        os.environ["USEROPS_SOURCE"] = source
    home = Home.from_environment()
    home.make()
    home.dagster.mkdir(exist_ok=True)
    settings = home.dagster / "dagster.yaml"
    if not settings.exists():
        settings.write_text(DAGSTER_YAML, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    from userops_pipeline.intake.shop import Shop

    return Shop.from_environment()


def published(home: Home) -> Path:
    """The folder of the current generation."""
    from userops_pipeline.publish import generations

    current = generations.current(home)
    if current is None:
        raise UserOpsError("Nothing is published yet; run a night first.")
    return current.path


def near(path: Path) -> str:
    """A path as one would type it from the shop, or from the project."""
    here = shop_folder() or PROJECT_DIR
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def show_table(title: str, columns: list[str], rows: list[tuple[str, ...]]) -> None:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for number, column in enumerate(columns):
        numeric = bool(rows) and number > 0 and rows[0][number].replace(",", "").replace("%", "").replace(".", "").isdigit()
        table.add_column(column, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*row)
    out.print(table)
    out.print()
