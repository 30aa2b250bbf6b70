"""Commands that run nights: one, a range, and a simulated shop to run them on.

Add a command here when a person asks for a run. Must not know a step of it.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Any

import click

from userops_pipeline.cli.command import NIGHT, err, main, near, shop_of, source_option, speaks_plainly
from userops_pipeline.ground.home import PROJECT_DIR, Home, UserOpsError


@main.command()
@click.option("--date", "night", type=NIGHT, required=True, help="The business date to run.")
@source_option
@click.option("--accept-changed", is_flag=True, help="Take files whose content changed under the same name.")
@click.option("--waive", multiple=True, metavar="TABLE.EXPECTATION", help="Let this expectation of the gate pass once; it is recorded.")
@click.option("--full-refresh", is_flag=True, help="Rebuild every table from the lake.")
@click.option("--dry-run", is_flag=True, help="Do everything but send the lists.")
@speaks_plainly
def nightly(night: date, source: str | None, **options: Any) -> None:
    """Run one night: land, conform, gate, build, score, publish, deliver."""
    run_range(source, night, night, **options)


@main.command()
@click.option("--from", "first", type=NIGHT, help="First night (default: the source's first).")
@click.option("--to", "last", type=NIGHT, help="Last night (default: the source's last).")
@source_option
@click.option("--accept-changed", is_flag=True, help="Take files whose content changed under the same name.")
@click.option("--waive", multiple=True, metavar="TABLE.EXPECTATION", help="Let this expectation of the gate pass once; it is recorded.")
@click.option("--full-refresh", is_flag=True, help="Rebuild every table from the lake.")
@click.option("--dry-run", is_flag=True, help="Do everything but send the lists.")
@speaks_plainly
def backfill(first: date | None, last: date | None, source: str | None, **options: Any) -> None:
    """Run a range of nights as one run."""
    run_range(source, first, last, **options)


def run_range(source: str | None, first: date | None, last: date | None, *, waive: tuple[str, ...], dry_run: bool, **options: bool) -> None:
    """Run these nights under the watch: whatever keeps them from being published is told. The first cause is the last line."""
    from userops_pipeline.oncall.runs import Calendar
    from userops_pipeline.oncall.watch import watching

    with watching(Home.from_environment(), first, last, dry_run=dry_run) as watch:
        shop = shop_of(source)
        from userops_pipeline.definitions import build_definitions
        from userops_pipeline.defs.automation import run_nights

        begin, end = first or shop.first_night, last or _last_night(shop)
        if begin > end:
            raise UserOpsError(f"The first night {begin} lies after the last {end}.")
        watch.is_for(begin, end, Calendar.of(shop.sources))
        shop.check()
        finished = run_nights(build_definitions(shop), shop, begin, end, run_id=watch.run.id, waive=list(waive), dry_run=dry_run, **options)
        cause = finished.failures[0] if finished.outcome != "good" else None
        watch.ended(finished.outcome, (cause.step, cause.sentence) if cause else None)
    if cause is None:
        err.print(f"[green]✓[/] {watch.run.nights} in {finished.seconds:.0f} s (run {finished.run_id[:8]})")
        return
    for failure in finished.failures[1:]:
        err.print(f"[red]✗[/] {failure.step}: {failure.sentence}", soft_wrap=True)
    ended = (
        "is published, but not all was done" if finished.has_published else "is not published; what was published before stays as it was"
    )
    err.print(f"Run {finished.run_id}: {watch.run.nights} {ended}. The first cause:", soft_wrap=True)
    err.print(f"[red]✗[/] {cause.step}: {cause.sentence}", soft_wrap=True)
    sys.exit(1)


def _last_night(shop: Any) -> date:
    ends = [entry.last_night for entry in shop.sources if entry.last_night]
    if not ends:
        raise UserOpsError("The source has no last night; say how far to go with --to.")
    return max(ends)


@main.command()
@click.option("--users", type=int, default=20_000, show_default=True, help="Registered users at the end, up to 10,000,000.")
@click.option("--days", type=int, default=120, show_default=True, help="Nights to write.")
@click.option("--seed", type=int, default=7, show_default=True, help="The same seed gives the same files.")
@click.option("--dirt", type=float, default=0.0, show_default=True, help="Share of rows with something wrong.")
@click.option("--start", type=NIGHT, default="2026-01-01", show_default=True, help="First night; source demo_shop starts on the default.")
@click.option("--events-per-user", type=float, default=60.0, show_default=True, help="Aimed at, over all days.")
@click.option("--orders-per-user", type=float, default=3.0, show_default=True, help="Aimed at, over all days.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=PROJECT_DIR / "data" / "demo_shop", help="Folder (default: data/demo_shop)."
)
@speaks_plainly
def simulate(**options: Any) -> None:
    """Write the demo shop: a simulated business, night by night, with its truth beside."""
    from userops_pipeline.simulate import Settings
    from userops_pipeline.simulate import simulate as write

    made = write(Settings(**options), progress=lambda line: err.print(f"    {line}"))
    err.print(f"[green]✓[/] {made.users:,} users, {made.nights} nights, {made.rows['events']:,} events in {near(options['out'])}")
