"""Commands about rules: whether they are sound, which there are, whom a condition would take.

Add a command here when a person who writes rules asks something. Must not load Dagster, nor dbt while the manifest is as new as the project.
"""

from __future__ import annotations

import os
import sys

import click
from rich.markup import escape

from userops_pipeline.cli.command import language_option, main, out, published, show_table, source_option, speaks_plainly
from userops_pipeline.ground.home import Home
from userops_pipeline.ground.words import Language


@main.group()
def rules() -> None:
    """The rules of the shop: stages, tags, segments, funnels, lists."""


@rules.command("check")
@source_option
@language_option
@speaks_plainly
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
    problems = problems_of(registry.names())
    for problem in problems:
        mark = "[yellow]![/]" if problem.is_warning else "[red]✗[/]"
        out.print(f"{mark} {escape(said(problem, language))}", soft_wrap=True)
    errors = sum(not problem.is_warning for problem in problems)
    if errors:
        sys.exit(1)
    sound = {"en": f"the rules are sound ({len(problems)} warnings)", "zh": f"规则没有问题（{len(problems)} 条提醒）"}
    out.print(f"[green]✓[/] {sound[language]}")


@rules.command("list")
@click.argument("words", nargs=-1)
@speaks_plainly
def rules_list(words: tuple[str, ...]) -> None:
    """Every rule with its kind, label and condition; with WORDS, those that have all of them in kind, name, label, file or condition."""
    from userops_pipeline.rulebook import list_rules
    from userops_pipeline.rulebook.current import rules_of

    found = [
        row
        for row in list_rules(rules_of())
        if all(word.lower() in f"{row.kind} {row.name} {row.label} {row.file} {row.rule}".lower() for word in words)
    ]
    if not found:
        out.print("No rule has all of these words.")
    for row in found:
        out.print(f"[dim]{row.kind:15}[/]{row.name}  {row.label}  [dim]{row.file}[/]", soft_wrap=True)
        out.print(f"{'':15}{row.rule}", soft_wrap=True, markup=False)


@rules.command("preview")
@click.argument("condition")
@click.option("--ids", type=click.IntRange(0), default=0, metavar="N", help="Name the first N users too.")
@speaks_plainly
def rules_preview(condition: str, ids: int) -> None:
    """How many users a condition would take, by stage, in the published tables."""
    from userops_pipeline.rulebook import preview
    from userops_pipeline.rulebook.current import rules_of

    home = Home.from_environment()
    published(home)
    found = preview(condition, rules_of(), home.published / "userops.duckdb", ids=ids)
    out.print(f"{found.users:,} of {found.everyone:,} users ({found.share:.1%})\n")
    show_table(
        "By stage",
        ["stage", "阶段", "users", "share of the stage"],
        [(stage.stage, stage.label, f"{stage.users:,}", f"{stage.share:.1%}") for stage in found.stages],
    )
    for user in found.user_ids:
        out.print(user, markup=False, soft_wrap=True)
