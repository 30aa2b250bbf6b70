"""What the proofs of the value tables stand on: a shop's history landed, built as far as these tables need it, and scored.

Add here what two files of this folder need. Must not hold a promise, nor a way to build that the step does not take.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from tests.changed_project import GROCER, project_of
from tests.dbt_runs import run_dbt
from userops_pipeline.build import warehouse
from userops_pipeline.build.declared import columns_of, scored_tables
from userops_pipeline.conclude import score, scored
from userops_pipeline.conclude.scored import ValueRules
from userops_pipeline.ground.home import Home
from userops_pipeline.intake.conform import conform
from userops_pipeline.intake.landing import land
from userops_pipeline.intake.source import Source, load_source
from userops_pipeline.rulebook.current import described

READ = [f"+{name}" for _, name in scored.INPUTS]


@contextmanager
def source_at(name_or_folder: str, **folder: Path) -> Iterator[Source]:
    """A source whose files lie where the environment variable says."""
    [(variable, place)] = folder.items()
    os.environ[variable] = str(place)
    try:
        yield load_source(name_or_folder)
    finally:
        del os.environ[variable]


def declared(home: Home) -> dict[str, score.Columns]:
    """The columns of the scored tables, as the project says that was built last."""
    tables = scored_tables(json.loads((home.dbt_target / "manifest.json").read_text(encoding="utf-8")))
    return {name: columns_of(node) for name, node in tables.items()}


def load(home: Home, source: Source, nights: Sequence[date]) -> None:
    """Every night into the lake."""
    land(home, source, list(nights))
    conform(home, source, list(nights))


def build(home: Home, source: Source, as_of: date, rules: Path = GROCER) -> None:
    """What the score step reads, built by dbt for this night."""
    warehouse.prepare_build(home, [source], as_of)
    chosen = ["--select", *READ, "--indirect-selection", "cautious", "--exclude", "resource_type:unit_test"]
    run_dbt(home.warehouse, "build", *chosen, target=home.dbt_target, project=project_of(rules, home.root))
    warehouse.finish_build(home, as_of)


def scored(home: Home, as_of: date, rules: Path = GROCER, **others: Any) -> score.Scored:
    """The scores of this night, by the settings of a folder of rules but for these."""
    settings = ValueRules.model_validate({**described(rules).rules_of("user_value"), **others})
    with duckdb.connect(str(home.warehouse)) as connection:
        outcome = score.score(connection, settings, declared(home), as_of)
    assert [check.name for check in outcome.checks if not check.passed] == []
    return outcome
