"""The command line: `userops …`, one thin command per question or deed.

Here lives how arguments are read and answers are shown, one file per group of commands; add a command when a person asks something new.
Must not hold logic: every command calls one function of the rooms below and prints what it returns.
"""

from userops_pipeline.cli import answers, care, lists, nights, rules, shops
from userops_pipeline.cli.command import DAGSTER_YAML, main, shop_of
from userops_pipeline.cli.entry import entry

__all__ = ["DAGSTER_YAML", "answers", "care", "entry", "lists", "main", "nights", "rules", "shop_of", "shops"]
