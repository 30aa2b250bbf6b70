"""Commands about a shop as a folder: begin one, run all of its nights, hold it against its template and the installed engine.

Add a command here when it is about the shop as its owner keeps it. Must not know a rule.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from userops_pipeline.cli.command import err, main, out, speaks_plainly
from userops_pipeline.cli.nights import run_range
from userops_pipeline.cli.rules import rules
from userops_pipeline.ground import shop_file
from userops_pipeline.ground.home import UserOpsError, shop_folder


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--template", "kind", help="Kind of shop; asked for where it is not said.")
@click.option("--name", help="What people call the shop (default: the folder's name).")
@speaks_plainly
def init(folder: Path, kind: str | None, name: str | None) -> None:
    """Begin a shop in a new FOLDER: rules, a source and sample files, which run at once."""
    from userops_pipeline.templates import kinds, start

    if kind is None:
        for known in kinds.names():
            told = kinds.template(known)
            out.print(f"  [bold]{known}[/]  {told.about}  [dim]{told.about_zh}[/]", soft_wrap=True)
        kind = click.prompt("Which kind of shop is it most like?", type=click.Choice(kinds.names()), default="grocer")
    start.begin(folder, kind, name or folder.resolve().name, say=lambda line: err.print(f"    {line}"))
    out.print(f"[green]✓[/] {folder} is a shop like a {kind}; it runs as it is, on sample files:", soft_wrap=True)
    out.print(f"\n    cd {folder}\n    userops run\n    userops summary\n", markup=False)
    out.print("Then put your own files in the place of the sample; README.md in it says how.")


@main.command()
@click.option("--dry-run", is_flag=True, help="Do everything but send the lists.")
@speaks_plainly
def run(dry_run: bool) -> None:
    """Run every night of the shop, as one run; nights that are as they were are not done again."""
    run_range(None, None, None, waive=(), dry_run=dry_run, accept_changed=False, full_refresh=False)


@rules.command("diff")
@click.option("--template", "kind", help="Another kind of shop to compare with (default: that of shop.yml).")
@speaks_plainly
def rules_diff(kind: str | None) -> None:
    """What the rules of the shop have other than the template of the installed engine: + added, ~ changed, - taken out."""
    from userops_pipeline.templates.compare import differences

    folder, known = _shop()
    found = differences(folder / "rules", kind or known)
    for each in found:
        mark = {"added": "[green]+[/]", "changed": "[yellow]~[/]", "removed": "[red]-[/]"}[each.what]
        out.print(f"{mark} rules/{each.file}.yml  {each.rule}", soft_wrap=True)
        _show_keys(each.keys)
    out.print(
        f"{len(found)} rules differ from the template {kind or known}."
        if found
        else f"The rules are those of the template {kind or known}."
    )


@main.command()
@click.option("--check", is_flag=True, required=True, help="Say what the installed engine asks of this shop, and change nothing.")
@speaks_plainly
def upgrade(check: bool) -> None:
    """What a newer engine asks of the shop: rules it refuses, and rules of its template that are new or changed since the shop began."""
    from userops_pipeline.deliver.destinations import registry
    from userops_pipeline.rulebook.current import problems_of
    from userops_pipeline.templates.compare import upgrades
    from userops_pipeline.templates.start import version

    folder, kind = _shop()
    made = shop_file.read(folder).made_with
    refused = [problem for problem in problems_of(registry.names()) if not problem.is_warning]
    for problem in refused:
        out.print(f"[red]✗[/] {escape(str(problem))}", soft_wrap=True)
    found = upgrades(folder / "rules", kind)
    for each in found:
        told = each.difference
        word = {"added": "is new", "changed": "is another", "removed": "is no more"}[told.what]
        mine = "; you changed it too, so look at both" if each.is_mine else ""
        out.print(f"[yellow]![/] rules/{told.file}.yml  {told.rule} {word} in the template{mine}", soft_wrap=True)
        _show_keys(told.keys)
    out.print(
        f"made with {made or 'an unknown version'}, installed is {version()}: {len(refused)} rules refused, {len(found)} of the template differ"
    )
    if refused:
        sys.exit(1)


def _shop() -> tuple[Path, str]:
    """The folder of the shop around and its template."""
    folder = shop_folder()
    if folder is None:
        raise UserOpsError("There is no shop.yml here or above; go into a shop, or begin one: `userops init FOLDER`.")
    kind = shop_file.read(folder).template
    if not kind:
        raise UserOpsError("shop.yml names no template; say which to compare with.")
    return folder, kind


def _show_keys(keys: tuple[tuple[str, Any, Any], ...]) -> None:
    for key, before, after in keys:
        out.print(f"      {key}: {before} → {after}", soft_wrap=True, markup=False)
