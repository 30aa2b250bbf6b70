"""Commands for whoever looks after a home: what is set aside, what is wrong, who is taken out, and the UI.

Add a command here when it is about the home and no night. Must not mend what it was not told to.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import click

from userops_pipeline.cli.command import NIGHT, err, main, out, shop_of, show_table, source_option, speaks_plainly
from userops_pipeline.ground.home import WORKSPACE, Home, UserOpsError


@main.group()
def quarantine() -> None:
    """Rows set aside because a value was not what the contract says."""


@quarantine.command("list")
@click.option("--table", metavar="TABLE", help="Only this contract table.")
@click.option("--night", type=NIGHT, help="Only what arrived on this night.")
@click.option("--tonight", is_flag=True, help="Only what arrived on the newest night in the lake.")
@speaks_plainly
def quarantine_list(table: str | None, night: date | None, tonight: bool) -> None:
    """Reasons with counts and one place to look at; and the files refused whole."""
    from userops_pipeline.ground import contract
    from userops_pipeline.ground.lake import quarantined
    from userops_pipeline.intake.landing import refused
    from userops_pipeline.intake.nights import conformed_nights

    if table and table not in contract.tables():
        raise UserOpsError(f"The contract has no table {table!r}; its tables are {', '.join(contract.tables())}.")
    home = Home.from_environment()
    if tonight:
        if night is not None:
            raise UserOpsError("Say --night or --tonight, not both.")
        known = conformed_nights(home)
        if not known:
            raise UserOpsError("The lake holds no night yet; run a night first.")
        night = known[-1].night
    rows = [
        (entry.table, entry.column or "", entry.reason, f"{entry.rows:,}", f"{entry.example_file} record {entry.example_row}")
        for entry in quarantined(home, table=table, night=night)
    ]
    show_table(f"Rows in quarantine{f' of {night}' if night else ''}", ["table", "column", "reason", "rows", "for example"], rows)
    for file in refused(home, nights=[night] if night else None):
        out.print(f"[red]✗[/] refused ({file['night']}): {file['reason']}", soft_wrap=True)


@quarantine.command("replay")
@source_option
@speaks_plainly
def quarantine_replay(source: str | None) -> None:
    """Conform the nights in quarantine again, after a mapping was mended or a file was replaced."""
    from userops_pipeline.ground.lake import nights_in_quarantine, quarantined
    from userops_pipeline.intake.conform import conform

    shop = shop_of(source)
    nights = nights_in_quarantine(shop.home)
    if not nights:
        out.print("Nothing waits in quarantine.")
        return
    before = sum(entry.rows for entry in quarantined(shop.home))
    with shop.home.writer_lock("quarantine replay"):
        for entry in shop.sources:
            conform(shop.home, entry, nights, progress=lambda line: err.print(f"    {line}"))
    after = sum(entry.rows for entry in quarantined(shop.home))
    out.print(f"{before - after:,} of {before:,} rows left quarantine. Run the latest night again to build on them.")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for monitoring.")
@click.option("--alert", is_flag=True, help="Also tell, in every configured way, what should be told by now: for cron, where no UI runs.")
@speaks_plainly
def doctor(as_json: bool, alert: bool) -> None:
    """Say everything that is not as it should be, worst first, each with how to mend it. Exit code 1 where something keeps a night from
    running, a reader from reading or a list from going out; 0 where nothing does, notices (!) or not."""
    from userops_pipeline.oncall.doctor import examine
    from userops_pipeline.oncall.watch import look

    home = Home.from_environment()
    if alert:
        look(home)
    findings = examine(home)
    is_well = not any(finding.severity == "error" for finding in findings)
    if as_json:
        click.echo(json.dumps({"is_well": is_well, "findings": [asdict(finding) for finding in findings]}, ensure_ascii=False, indent=1))
    else:
        for finding in findings:
            out.print(f"[{'red' if finding.severity == 'error' else 'yellow'}]{'✗' if finding.severity == 'error' else '!'}[/] ", end="")
            out.print(finding.sentence, soft_wrap=True, markup=False)
        if is_well:
            out.print("[green]✓[/] nothing keeps a night from running or a reader from reading")
    if not is_well:
        sys.exit(1)


@main.command()
@click.option("--user", "users", multiple=True, metavar="ID", help="The shop's own id of a user; may be given again.")
@click.option("--address", "addresses", multiple=True, metavar="ADDRESS", help="An e-mail address, phone number or other contact point.")
@click.option(
    "--file", "file", type=click.Path(path_type=Path, dir_okay=False), help="CSV file with the column user_id or address, or both."
)
@click.option("--dry-run", is_flag=True, help="Only say how much is meant.")
@click.option("--lift", is_flag=True, help="Forget that exactly these were erased, for somebody who signs up anew.")
@source_option
@speaks_plainly
def erase(users: tuple[str, ...], addresses: tuple[str, ...], file: Path | None, dry_run: bool, lift: bool, source: str | None) -> None:
    """Take people out of everything the home holds, tell the tools, and keep late files from bringing them back."""
    from userops_pipeline.defs import erase as room
    from userops_pipeline.erase import erasure

    request = erasure.Request.of(users, addresses, file)
    shop = shop_of(source)
    if lift:
        with shop.home.writer_lock("erase"):
            lifted = erasure.forgive(shop.home, shop.sources, request)
        out.print(f"{lifted} tombstones lifted; what arrives of them from now on is kept.")
        return
    if dry_run:
        out.print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in room.preview(shop, request).items()))
        return
    done = room.erase(shop, request, _rebuild_published, lambda line: err.print(f"    {line}"))
    show_table(
        "What left the lake",
        ["table", "night", "rows", "amount"],
        [(table, str(night), str(rows), "" if amount is None else str(amount)) for table, night, rows, amount in done.left],
    )
    counts = done.counts | done.places
    out.print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()), soft_wrap=True)
    for sentence in done.open:
        err.print(f"[red]✗[/] {sentence}", soft_wrap=True)
    if done.open:
        sys.exit(1)
    out.print("[green]✓[/] erased; a copy in a backup, at the sender or in a tool's own history is for you to see to")


def _rebuild_published(shop: Any) -> list[str]:
    """Run the published night anew from the lake, sending nothing; the sentences of what failed."""
    from userops_pipeline.definitions import build_definitions
    from userops_pipeline.defs.automation import run_nights
    from userops_pipeline.publish import generations

    current = generations.current(shop.home)
    assert current is not None
    finished = run_nights(build_definitions(shop), shop, current.as_of, current.as_of, full_refresh=True, dry_run=True)
    return [f"{failed.step}: {failed.sentence}" for failed in finished.failures]


@main.command()
@click.option("--port", default=3000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; any other needs USEROPS_UI_TOKEN.")
@source_option
@speaks_plainly
def ui(port: int, host: str, source: str | None) -> None:
    """The Dagster UI, guarded, and its daemon."""
    shop_of(source)
    from userops_pipeline.defs.ui import serve

    serve(WORKSPACE, host=host, port=port)
