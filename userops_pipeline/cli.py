"""The command line: `userops …`, one thin command per question or deed.

Here lives how arguments are read and answers are shown; add a command when a person asks something new.
Must not hold logic: every command calls one function of the rooms below and prints what it returns.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from userops_pipeline.ground.home import PROJECT_DIR, Home, UserOpsError, fault_of_machine, keep_private
from userops_pipeline.ground.words import Language

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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--home", type=click.Path(path_type=Path), help="Folder of the shop's data (default: USEROPS_HOME, else data/).")
def main(home: Path | None) -> None:
    """The data engine of user operations: every night from files to tables and campaign lists."""
    keep_private()
    if home is not None:
        os.environ["USEROPS_HOME"] = str(home.resolve())


def _speaks_plainly(function: Callable[..., Any]) -> Callable[..., Any]:
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


def _is_lost_file(error: BaseException) -> bool:
    """Whether DuckDB, which only some commands load, could not read a file."""
    duckdb = sys.modules.get("duckdb")
    return duckdb is not None and isinstance(error, duckdb.IOException)


def _source_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--source", help="Source folder or its name (default: USEROPS_SOURCE, else complete_journey).")(function)


def _language_option(function: Callable[..., Any]) -> Callable[..., Any]:
    choice = click.Choice(["en", "zh"])
    return click.option("--language", type=choice, default="en", show_default=True, help="English or Chinese.")(function)


def _shop(source: str | None) -> Any:
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


# -- nights --------------------------------------------------------------------------------------------------------


@main.command()
@click.option("--date", "night", type=NIGHT, required=True, help="The business date to run.")
@_source_option
@click.option("--accept-changed", is_flag=True, help="Take files whose content changed under the same name.")
@click.option("--waive", multiple=True, metavar="TABLE.EXPECTATION", help="Let this expectation of the gate pass once; it is recorded.")
@click.option("--full-refresh", is_flag=True, help="Rebuild every table from the lake.")
@click.option("--dry-run", is_flag=True, help="Do everything but send the lists.")
@_speaks_plainly
def nightly(night: date, source: str | None, **options: Any) -> None:
    """Run one night: land, conform, gate, build, score, publish, deliver."""
    _run(source, night, night, **options)


@main.command()
@click.option("--from", "first", type=NIGHT, help="First night (default: the source's first).")
@click.option("--to", "last", type=NIGHT, help="Last night (default: the source's last).")
@_source_option
@click.option("--accept-changed", is_flag=True, help="Take files whose content changed under the same name.")
@click.option("--waive", multiple=True, metavar="TABLE.EXPECTATION", help="Let this expectation of the gate pass once; it is recorded.")
@click.option("--full-refresh", is_flag=True, help="Rebuild every table from the lake.")
@click.option("--dry-run", is_flag=True, help="Do everything but send the lists.")
@_speaks_plainly
def backfill(first: date | None, last: date | None, source: str | None, **options: Any) -> None:
    """Run a range of nights as one run."""
    _run(source, first, last, **options)


def _run(source: str | None, first: date | None, last: date | None, *, waive: tuple[str, ...], dry_run: bool, **options: bool) -> None:
    """Run these nights under the watch: whatever keeps them from being published is told. The first cause is the last line."""
    from userops_pipeline.oncall.runs import Calendar
    from userops_pipeline.oncall.watch import watching

    with watching(Home.from_environment(), first, last, dry_run=dry_run) as watch:
        shop = _shop(source)
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
@_speaks_plainly
def simulate(**options: Any) -> None:
    """Write the demo shop: a simulated business, night by night, with its truth beside."""
    from userops_pipeline.simulate import Settings
    from userops_pipeline.simulate import simulate as write

    made = write(Settings(**options), progress=lambda line: err.print(f"    {line}"))
    err.print(f"[green]✓[/] {made.users:,} users, {made.nights} nights, {made.rows['events']:,} events in {_near(options['out'])}")


@main.command()
@_speaks_plainly
def summary() -> None:
    """What the current generation says, in one screen."""
    from userops_pipeline.publish.summary import summarise

    home = Home.from_environment()
    found = summarise(home)
    out.print(f"\n[bold]{found.users:,} users[/] as of {found.as_of} · generation {found.generation}\n")
    _table("Lifecycle", ["stage", "阶段", "users", "share"], [(s.name, s.label, f"{s.users:,}", f"{s.share:.1%}") for s in found.stages])
    _table("Largest tags", ["tag", "标签", "users", "share"], [(t.name, t.label, f"{t.users:,}", f"{t.share:.1%}") for t in found.tags])
    _table(
        "Lists",
        ["list", "tool", "in segment", "may be contacted"],
        [(entry.name, entry.tool, f"{entry.in_segment:,}", f"{entry.exported:,}") for entry in found.lists],
    )
    _table(
        "Rows",
        ["table", "in", "kept", "quarantined", "duplicates"],
        [(row.table, *(f"{n:,}" for n in (row.rows_in, row.kept, row.quarantined, row.duplicates))) for row in found.loads],
    )
    for kind, nights in found.without_file.items():
        out.print(f"[yellow]![/] no file of {kind} for {nights}: there it looks as if nothing had happened\n", soft_wrap=True)
    out.print(
        f"tables      {_near(home.published / 'userops.duckdb')}   (dictionary: {_near(home.published / 'current' / 'dictionary.html')})"
    )
    if found.review is not None:
        out.print(f"review      {_near(found.review)}")
    out.print(f"lists       {_near(home.exports)}")
    out.print("\nTry next:")
    command = "userops" if home.root == PROJECT_DIR / "data" else f"userops --home {home.root}"
    source = "" if found.sources == "complete_journey" else f" --source {os.environ.get('USEROPS_SOURCE') or found.sources}"
    out.print(f"  {command} explain {found.example_user}", soft_wrap=True)
    out.print(f'  {command} rules preview "days_since_order > 30 and order_count >= 10"', soft_wrap=True)
    out.print(f"  {command} nightly --date {found.as_of}{source}      (the same night again: nothing is sent twice)", soft_wrap=True)
    out.print("  make ui\n")


@main.command()
@click.option("--date", "night", type=NIGHT, help="The night (default: the one that is current).")
@click.option(
    "--out", "path", type=click.Path(path_type=Path, dir_okay=False), help="File to write (default: published/reviews/<night>.html)."
)
@_speaks_plainly
def review(night: date | None, path: Path | None) -> None:
    """Write a published night as one page for people: stages, retention, value, personas, tags, lists, in English and Chinese."""
    from userops_pipeline.publish import review as room

    home = Home.from_environment()
    generation = room.published_on(home, night)
    written = room.write(path or home.review_of(generation.as_of), room.review(generation))
    out.print(f"[green]✓[/] {_near(written)}", soft_wrap=True)


def _published(home: Home) -> Path:
    """The folder of the current generation."""
    from userops_pipeline.publish import generations

    current = generations.current(home)
    if current is None:
        raise UserOpsError("Nothing is published yet; run a night first.")
    return current.path


def _near(path: Path) -> str:
    """A path as one would type it from the project."""
    return str(path.relative_to(PROJECT_DIR)) if path.is_relative_to(PROJECT_DIR) else str(path)


def _table(title: str, columns: list[str], rows: list[tuple[str, ...]]) -> None:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim")
    for number, column in enumerate(columns):
        numeric = bool(rows) and number > 0 and rows[0][number].replace(",", "").replace("%", "").replace(".", "").isdigit()
        table.add_column(column, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*row)
    out.print(table)
    out.print()


# -- rules ---------------------------------------------------------------------------------------------------------


@main.group()
def rules() -> None:
    """The rules in the YAML files: stages, tags, segments, funnels, lists."""


@rules.command("check")
@_source_option
@_language_option
@_speaks_plainly
def rules_check(source: str | None, language: Language) -> None:
    """Refuse what is wrong, each with a sentence naming file and rule; a source's mappings are held against its files and the contract."""
    from userops_pipeline.deliver.destinations import registry
    from userops_pipeline.intake.binding import bind
    from userops_pipeline.intake.shop import Shop
    from userops_pipeline.rulebook.current import problems_of
    from userops_pipeline.rulebook.wording import said

    if source:
        os.environ["USEROPS_SOURCE"] = source
    for entry in Shop.from_environment().sources:
        bind(entry)
    problems = problems_of(Home.from_environment(), registry.names())
    for problem in problems:
        mark = "[yellow]![/]" if problem.is_warning else "[red]✗[/]"
        out.print(f"{mark} {escape(said(problem, language))}", soft_wrap=True)
    errors = sum(not problem.is_warning for problem in problems)
    if errors:
        sys.exit(1)
    sound = {"en": f"the rules are sound ({len(problems)} warnings)", "zh": f"规则没有问题（{len(problems)} 条提醒）"}
    out.print(f"[green]✓[/] {sound[language]}")


@rules.command("list")
@_speaks_plainly
def rules_list() -> None:
    """Every rule with its kind, label and condition."""
    from userops_pipeline.rulebook import list_rules
    from userops_pipeline.rulebook.current import rules_of

    for row in list_rules(rules_of(Home.from_environment())):
        out.print(f"[dim]{row.kind:8}[/]{row.name}  {row.label}  [dim]{row.file}[/]", soft_wrap=True)
        out.print(f"        {row.rule}", soft_wrap=True, markup=False)


@rules.command("preview")
@click.argument("condition")
@_speaks_plainly
def rules_preview(condition: str) -> None:
    """How many users a condition would take, by stage, in the published tables."""
    from userops_pipeline.rulebook import preview
    from userops_pipeline.rulebook.current import rules_of

    home = Home.from_environment()
    _published(home)
    found = preview(condition, rules_of(home), home.published / "userops.duckdb")
    out.print(f"{found.users:,} of {found.everyone:,} users ({found.share:.1%})\n")
    _table(
        "By stage",
        ["stage", "阶段", "users", "share of the stage"],
        [(stage.stage, stage.label, f"{stage.users:,}", f"{stage.share:.1%}") for stage in found.stages],
    )


@main.command()
@click.argument("user_id")
@_language_option
@_speaks_plainly
def explain(user_id: str, language: Language) -> None:
    """One user's stage, value, tags, segments and lists, each with the rule and the values it saw."""
    from userops_pipeline.rulebook import explain as explain_user
    from userops_pipeline.rulebook.render import as_lines

    for line in as_lines(explain_user(user_id, _published(Home.from_environment())), language):
        out.print(line, soft_wrap=True, markup=False)


# -- generations, lists, quarantine --------------------------------------------------------------------------------


@main.group("generations")
def generations_group() -> None:
    """The published generations."""


@generations_group.command("list")
@_speaks_plainly
def generations_list() -> None:
    """Every generation on disk, newest night first."""
    from userops_pipeline.publish import generations

    rows = [
        (
            "→" if entry.is_current else " ",
            entry.id,
            entry.as_of.isoformat(),
            f"{sum(file.rows or 0 for file in entry.manifest.files.values()):,}",
            f"{entry.manifest.published_at:%Y-%m-%d %H:%M} UTC",
        )
        for entry in generations.list_generations(Home.from_environment())
    ]
    _table("Generations", ["", "id", "as of", "rows", "published"], rows)


@generations_group.command("activate")
@click.argument("generation")
@_speaks_plainly
def generations_activate(generation: str) -> None:
    """Make a generation current again, after verifying every file of it."""
    from userops_pipeline.publish import generations

    home = Home.from_environment()
    with home.writer_lock("generations activate"):
        activated = generations.activate(home, generation)
    out.print(f"[green]✓[/] {activated.id} is current; readers see it from their next connection on")


@main.command()
@click.argument("lists", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
@click.option("--allow-removals", multiple=True, metavar="LIST", help="Let its rules take more than its set share off this list this once.")
@_source_option
@_speaks_plainly
def deliver(lists: tuple[str, ...], dry_run: bool, allow_removals: tuple[str, ...], source: str | None) -> None:
    """Bring the campaign tools from what they have to what the current generation and the newest word of the lake say."""
    from userops_pipeline.defs.deliver import deliver_lists
    from userops_pipeline.oncall.watch import lists_delivered

    shop = _shop(source)
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


@main.command()
@click.option("--user", "users", multiple=True, metavar="ID", help="The shop's own id of a user; may be given again.")
@click.option("--address", "addresses", multiple=True, metavar="ADDRESS", help="An e-mail address, phone number or other contact point.")
@click.option(
    "--file", "file", type=click.Path(path_type=Path, dir_okay=False), help="CSV file with the column user_id or address, or both."
)
@click.option("--dry-run", is_flag=True, help="Only say how much is meant.")
@click.option("--lift", is_flag=True, help="Forget that exactly these were erased, for somebody who signs up anew.")
@_source_option
@_speaks_plainly
def erase(users: tuple[str, ...], addresses: tuple[str, ...], file: Path | None, dry_run: bool, lift: bool, source: str | None) -> None:
    """Take people out of everything the home holds, tell the tools, and keep late files from bringing them back."""
    from userops_pipeline.defs import erase as room
    from userops_pipeline.erase import erasure

    request = erasure.Request.of(users, addresses, file)
    shop = _shop(source)
    if lift:
        with shop.home.writer_lock("erase"):
            lifted = erasure.forgive(shop.home, shop.sources, request)
        out.print(f"{lifted} tombstones lifted; what arrives of them from now on is kept.")
        return
    if dry_run:
        out.print(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in room.preview(shop, request).items()))
        return
    done = room.erase(shop, request, _rebuild_published, lambda line: err.print(f"    {line}"))
    _table(
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


@main.group()
def ledger() -> None:
    """The record of what the campaign tools hold."""


@ledger.command("recover")
@click.argument("lists", nargs=-1)
@click.option(
    "--from", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A CSV of whom the tool holds; one list."
)
@click.option("--fresh", is_flag=True, help="State a fresh start: all is sent again, and everybody else in the lake taken off.")
@_speaks_plainly
def ledger_recover(lists: tuple[str, ...], file: Path | None, fresh: bool) -> None:
    """Replace a lost or damaged ledger with what the tools hold; nothing is sent before the next delivery."""
    from userops_pipeline.defs.deliver import recover_lists

    home = Home.from_environment()
    with home.writer_lock("ledger recover"):
        for sentence in recover_lists(home, lists, fresh=fresh, file=file):
            out.print(f"[green]✓[/] {sentence}", soft_wrap=True)


@main.group()
def quarantine() -> None:
    """Rows set aside because a value was not what the contract says."""


@quarantine.command("list")
@click.option("--table", metavar="TABLE", help="Only this contract table.")
@click.option("--night", type=NIGHT, help="Only what arrived on this night.")
@click.option("--tonight", is_flag=True, help="Only what arrived on the newest night in the lake.")
@_speaks_plainly
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
    _table(f"Rows in quarantine{f' of {night}' if night else ''}", ["table", "column", "reason", "rows", "for example"], rows)
    for file in refused(home, nights=[night] if night else None):
        out.print(f"[red]✗[/] refused ({file['night']}): {file['reason']}", soft_wrap=True)


@quarantine.command("replay")
@_source_option
@_speaks_plainly
def quarantine_replay(source: str | None) -> None:
    """Conform the nights in quarantine again, after a mapping was mended or a file was replaced."""
    from userops_pipeline.ground.lake import nights_in_quarantine, quarantined
    from userops_pipeline.intake.conform import conform

    shop = _shop(source)
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
@_speaks_plainly
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
@click.option("--port", default=3000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; any other needs USEROPS_UI_TOKEN.")
@_source_option
@_speaks_plainly
def ui(port: int, host: str, source: str | None) -> None:
    """The Dagster UI, guarded, and its daemon."""
    _shop(source)
    from userops_pipeline.defs.ui import serve

    serve(PROJECT_DIR / "workspace.yaml", host=host, port=port)


def entry() -> None:
    """Run a command and leave at once: DuckDB's Python binding, once Great Expectations has used it, prints pages of leaks on the way out."""
    code = 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # as Ctrl-C ends a command: what it holds is let go, its scratch removed
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # what click does not know: show it, then leave the same way
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()  # what libraries asked to be done at the end is still done
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    entry()
