"""Generations of the tables as they are declared, with the rows a test gives: what the proofs of the review read.

Add here what two files of them need. Must not hold a promise: tests do.
"""

from __future__ import annotations

import functools
from datetime import date
from pathlib import Path

import duckdb
import yaml

from tests.dbt_runs import our_project
from userops_pipeline.ground.home import Home
from userops_pipeline.ground.verdicts import CheckResult
from userops_pipeline.publish import generations
from userops_pipeline.publish.generations import PublishedTable
from userops_pipeline.rulebook import Rulebook, to_json

NIGHT = date(2017, 12, 31)


@functools.cache
def declared() -> dict[str, dict[str, str]]:
    """Type by column of every table that is published, as the YAML beside the models declares them."""
    documents = [
        yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        for path in sorted((our_project() / "models" / "marts").rglob("*.yml"))
    ]
    tables = [model for document in documents for model in document.get("models", [])]
    tables += [table for document in documents for source in document.get("sources", []) for table in source["tables"]]
    return {table["name"]: {column["name"]: column["data_type"] for column in table["columns"]} for table in tables}


def published(home: Path, tables: dict[str, dict[str, str]], night: date = NIGHT, **rows: str) -> generations.Generation:
    """A generation of these tables, without a row but those given as SQL by table."""
    with duckdb.connect(":memory:") as warehouse:
        warehouse.execute("create schema marts")
        for name, columns in tables.items():
            typed = ", ".join(f'"{column}" {data_type}' for column, data_type in columns.items())
            warehouse.execute(f"create table marts.{name} ({typed})")
            if name in rows:
                warehouse.execute(f"insert into marts.{name} by name {rows[name]}")
        return generations.publish(
            Home(home),
            warehouse,
            tables=[PublishedTable("marts", name) for name in tables],
            as_of=night,
            window_from=night,
            first_on=date(2017, 1, 1),
            sources=["complete_journey"],
            business_zone="America/New_York",
            checks=[CheckResult(name="assert_something", passed=True), CheckResult(name="orders.fresh", passed=False, severity="warn")],
            config_hash="c0ffee",
            rulebook_json=to_json(Rulebook()),
        )


def section_of(page: str, name: str) -> str:
    return page[page.index(f'<section id="{name}">') : page.index("</section>", page.index(f'<section id="{name}">'))]
