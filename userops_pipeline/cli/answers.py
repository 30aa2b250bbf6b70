"""Commands that answer from what is published: the night in one screen, its review, one user, the generations.

Add a command here when a person asks what is so. Must not change anything but which generation is current.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import click

from userops_pipeline.cli.command import NIGHT, language_option, main, near, out, published, show_table, speaks_plainly
from userops_pipeline.ground.home import PROJECT_DIR, Home, shop_folder
from userops_pipeline.ground.words import Language


@main.command()
@speaks_plainly
def summary() -> None:
    """What the current generation says, in one screen."""
    from userops_pipeline.publish.summary import summarise

    home = Home.from_environment()
    found = summarise(home)
    out.print(f"\n[bold]{found.users:,} users[/] as of {found.as_of} · generation {found.generation}\n")
    show_table(
        "Lifecycle", ["stage", "阶段", "users", "share"], [(s.name, s.label, f"{s.users:,}", f"{s.share:.1%}") for s in found.stages]
    )
    show_table("Largest tags", ["tag", "标签", "users", "share"], [(t.name, t.label, f"{t.users:,}", f"{t.share:.1%}") for t in found.tags])
    show_table(
        "Lists",
        ["list", "tool", "in segment", "may be contacted"],
        [(entry.name, entry.tool, f"{entry.in_segment:,}", f"{entry.exported:,}") for entry in found.lists],
    )
    show_table(
        "Rows",
        ["table", "in", "kept", "quarantined", "duplicates"],
        [(row.table, *(f"{n:,}" for n in (row.rows_in, row.kept, row.quarantined, row.duplicates))) for row in found.loads],
    )
    for kind, nights in found.without_file.items():
        out.print(f"[yellow]![/] no file of {kind} for {nights}: there it looks as if nothing had happened\n", soft_wrap=True)
    out.print(
        f"tables      {near(home.published / 'userops.duckdb')}   (dictionary: {near(home.published / 'current' / 'dictionary.html')})"
    )
    if found.review is not None:
        out.print(f"review      {near(found.review)}")
    out.print(f"lists       {near(home.exports)}")
    out.print("\nTry next:")
    shop = shop_folder()
    is_plain = home.root == (shop / ".userops" if shop else PROJECT_DIR / "data")
    command = "userops" if is_plain else f"userops --home {home.root}"
    is_told = shop is not None or found.sources == "complete_journey"
    source = "" if is_told else f" --source {os.environ.get('USEROPS_SOURCE') or found.sources}"
    out.print(f"  {command} explain {found.example_user}", soft_wrap=True)
    out.print(f'  {command} rules preview "days_since_order > 30 and order_count >= 10"', soft_wrap=True)
    out.print(f"  {command} nightly --date {found.as_of}{source}      (the same night again: nothing is sent twice)", soft_wrap=True)
    out.print("  make ui\n" if shop is None else "  userops ui\n")


@main.command()
@click.option("--date", "night", type=NIGHT, help="The night (default: the one that is current).")
@click.option(
    "--out", "path", type=click.Path(path_type=Path, dir_okay=False), help="File to write (default: published/reviews/<night>.html)."
)
@speaks_plainly
def review(night: date | None, path: Path | None) -> None:
    """Write a published night as one page for people: stages, retention, value, personas, tags, lists, in English and Chinese."""
    from userops_pipeline.publish import review as room

    home = Home.from_environment()
    generation = room.published_on(home, night)
    written = room.write(path or home.review_of(generation.as_of), room.review(generation))
    out.print(f"[green]✓[/] {near(written)}", soft_wrap=True)


@main.command()
@click.argument("user_id")
@language_option
@speaks_plainly
def explain(user_id: str, language: Language) -> None:
    """One user's stage, value, tags, segments and lists, each with the rule and the values it saw."""
    from userops_pipeline.rulebook import explain as explain_user
    from userops_pipeline.rulebook.render import as_lines

    for line in as_lines(explain_user(user_id, published(Home.from_environment())), language):
        out.print(line, soft_wrap=True, markup=False)


@main.group("generations")
def generations_group() -> None:
    """The published generations."""


@generations_group.command("list")
@speaks_plainly
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
    show_table("Generations", ["", "id", "as of", "rows", "published"], rows)


@generations_group.command("activate")
@click.argument("generation")
@speaks_plainly
def generations_activate(generation: str) -> None:
    """Make a generation current again, after verifying every file of it."""
    from userops_pipeline.publish import generations

    home = Home.from_environment()
    with home.writer_lock("generations activate"):
        activated = generations.activate(home, generation)
    out.print(f"[green]✓[/] {activated.id} is current; readers see it from their next connection on")
