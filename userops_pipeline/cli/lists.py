"""Commands about campaign tools: bring them the lists, and find out again what they have.

Add a command here when somebody who answers for a tool needs it. Must not decide who is on a list.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from userops_pipeline.cli.command import main, out, shop_of, source_option, speaks_plainly
from userops_pipeline.ground.home import Home


@main.command()
@click.argument("lists", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
@click.option("--allow-removals", multiple=True, metavar="LIST", help="Let its rules take more than its set share off this list this once.")
@source_option
@speaks_plainly
def deliver(lists: tuple[str, ...], dry_run: bool, allow_removals: tuple[str, ...], source: str | None) -> None:
    """Bring the campaign tools from what they have to what the current generation and the newest word of the lake say."""
    from userops_pipeline.defs.deliver import deliver_lists
    from userops_pipeline.oncall.watch import lists_delivered

    shop = shop_of(source)
    with shop.home.writer_lock("deliver"):
        reports = deliver_lists(shop.home, shop.sources, list(lists) or None, dry_run=dry_run, allow_removals=allow_removals)
    for report in reports:
        mark = "[yellow]![/]" if report.needs_attention else "[green]✓[/]"
        out.print(f"{mark} {report.sentence}", soft_wrap=True)
    left = {report.list_name: report.sentence for report in reports if report.needs_attention}
    if not dry_run:
        lists_delivered(shop.home, left, {report.list_name for report in reports} - left.keys())
    if left:
        sys.exit(1)


@main.group()
def ledger() -> None:
    """The record of what the campaign tools hold."""


@ledger.command("recover")
@click.argument("lists", nargs=-1)
@click.option(
    "--from", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A CSV of whom the tool holds; one list."
)
@click.option("--fresh", is_flag=True, help="State a fresh start: all is sent again, and everybody else in the lake taken off.")
@speaks_plainly
def ledger_recover(lists: tuple[str, ...], file: Path | None, fresh: bool) -> None:
    """Replace a lost or damaged ledger with what the tools hold; nothing is sent before the next delivery."""
    from userops_pipeline.defs.deliver import recover_lists

    home = Home.from_environment()
    with home.writer_lock("ledger recover"):
        for sentence in recover_lists(home, lists, fresh=fresh, file=file):
            out.print(f"[green]✓[/] {sentence}", soft_wrap=True)
