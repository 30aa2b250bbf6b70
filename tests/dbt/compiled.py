"""The project's SQL without dbt around it: compiled once, then built as often as a property needs, in tenths of a second.

Here lives how a compiled model is put into a warehouse; the real dbt does the same in every other test of a build.
Add nothing that dbt does not do, and no expectation: a property says itself what must be equal.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb

from tests import joins
from tests.dbt_runs import run_dbt
from tests.joins import Joined
from userops_pipeline.build import warehouse
from userops_pipeline.build.declared import leg_models
from userops_pipeline.ground.home import Home
from userops_pipeline.intake.conform import conform
from userops_pipeline.intake.landing import land
from userops_pipeline.intake.source import Source, load_source
from userops_pipeline.simulate import Settings, simulate

FIRST = date(2026, 1, 1)  # the first night of every simulated shop


@dataclass(frozen=True)
class Model:
    """A compiled model: where it goes, how it is kept, and its SQL for an empty warehouse (`full`) and for a later night."""

    relation: str
    schema: str
    kept_as: str
    full: str
    later: str
    window: str | None
    window_start: str | None
    in_first_leg: bool
    in_later_leg: bool


def _dbt(home: Home, command: str) -> Any:
    return run_dbt(home.warehouse, command, "--select", "resource_type:model", target=home.dbt_target)


def run_project(home: Home, source: Source, as_of: date) -> None:
    """Every model once, by dbt itself, of what the lake holds up to this night."""
    warehouse.prepare_build(home, [source], as_of)
    _dbt(home, "run")


def _compiled(home: Home) -> dict[str, Any]:
    return {row.node.unique_id: row.node for row in _dbt(home, "compile").result.results if row.node.resource_type == "model"}


def compile_project(home: Home, source: Source, as_of: date) -> list[Model]:
    """Every model in the order of its reads; `home` is an empty one whose lake holds this night."""
    warehouse.prepare_build(home, [source], as_of)
    full = _compiled(home)
    nodes = {name: {**node.to_dict(), "resource_type": "model"} for name, node in full.items()}
    first, later_leg = (set(leg_models(nodes, is_first=is_first)) for is_first in (True, False))
    order = TopologicalSorter({name: [parent for parent in node.depends_on.nodes if parent in full] for name, node in full.items()})
    models = [
        Model(
            relation=full[name].relation_name,
            schema=full[name].schema,
            kept_as=full[name].config.materialized,
            full=full[name].compiled_code,
            later="",
            window=full[name].config.meta.get("window"),
            window_start=full[name].config.meta.get("window_start"),
            in_first_leg=full[name].name in first,
            in_later_leg=full[name].name in later_leg,
        )
        for name in order.static_order()
    ]
    build(models, home, source, as_of)  # dbt asks which tables there are
    later = {node.relation_name: node.compiled_code for node in _compiled(home).values()}
    return [replace(model, later=later[model.relation]) for model in models]


def build(models: list[Model], home: Home, source: Source, as_of: date, nights_at_once: int | None = None) -> list[Joined]:
    """What the build step does for this night: the clock and its window, in legs every model of the leg, and the note that it succeeded.

    Gives what every statement joined, in the order they ran.
    """
    clock = warehouse.prepare_build(home, [source], as_of)
    *earlier, last = warehouse.legs(home, clock, nights_at_once)
    found = []
    for number, leg in enumerate(earlier):
        found += _leg([model for model in models if (model.in_first_leg if number == 0 else model.in_later_leg)], home, leg)
    found += _leg(models, home, last)
    warehouse.finish_build(home, as_of)
    return found


def _leg(models: list[Model], home: Home, leg: warehouse.Clock) -> list[Joined]:
    warehouse.begin_leg(home, leg)
    found = []
    with duckdb.connect(str(home.warehouse)) as connection:
        for schema in sorted({model.schema for model in models}):
            connection.execute(f"create schema if not exists {schema}")
        tables = "select database_name, schema_name, table_name from duckdb_tables()"
        built = {".".join(f'"{name}"' for name in row) for row in connection.execute(tables).fetchall()}
        zone = next(model.relation for model in models if model.relation.endswith('"int_clock"'))
        joins.watch(connection)
        for model in models:
            if model.kept_as == "view":
                connection.execute(f"create or replace view {model.relation} as {model.full}")
                continue
            anew = model.kept_as == "table" or model.relation not in built
            kept = f"table {model.relation} as {model.full}" if anew else f"temp table tonight as {model.later}"
            connection.execute(f"create or replace {kept}")
            found.append(joins.last(connection, model.relation.split('"')[-2]))
            if not anew:
                connection.execute(f"delete from {model.relation} where {model.window} >= (select {model.window_start} from {zone})")
                connection.execute(f"insert into {model.relation} by name select * from tonight")
    return found


def contents(home: Home) -> dict[str, tuple[int, int]]:
    """Rows and content hash of everything that is published or sent."""
    with duckdb.connect(str(home.warehouse), read_only=True) as connection:
        names = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables where table_schema in ('marts', 'exports') order by all"
        ).fetchall()
        found = {}
        for (name,) in names:
            columns = ", ".join(row[0] for row in connection.execute(f"describe {name}").fetchall())
            found[name] = connection.execute(f"select count(*), coalesce(sum(hash({columns})), 0) from {name}").fetchone()
        return found


class Bench:
    """Where shops are simulated and built: in memory where there is room, emptied after every example."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models: list[Model] = []
        self.joined: list[Joined] = []  # by the statements of the last run

    def simulated(self, *, users: int, days: int, seed: int, dirt: float) -> Path:
        out = self.folder / "shop"
        shutil.rmtree(out, ignore_errors=True)
        simulate(Settings(users=users, days=days, seed=seed, out=out, start=FIRST, dirt=dirt))
        return out

    def compile(self) -> None:
        drops, home = self.simulated(users=10, days=2, seed=0, dirt=0.0), Home(self.folder / "compile")
        with reading(drops) as source:
            land(home, source, [FIRST])
            conform(home, source, [FIRST])
            self.models = compile_project(home, source, FIRST)
        shutil.rmtree(home.root)

    def run(self, drops: Path, parts: list[tuple[int, int]], name: str, nights_at_once: int | None = None) -> dict[str, Any]:
        """The tables after these nights, each (first, last) landed, conformed and built as one run, in legs of so many nights."""
        with reading(drops) as source:
            return self.run_source(source, parts, name, nights_at_once)

    def run_source(self, source: Source, parts: list[tuple[int, int]], name: str, nights_at_once: int | None = None) -> dict[str, Any]:
        """The same of another shop; a part counts its nights from the source's first."""
        home, self.joined = Home(self.folder / name), []
        shutil.rmtree(home.root, ignore_errors=True)  # an example that failed leaves its home to the next
        for first, last in parts:
            nights = [source.first_night + timedelta(days=day) for day in range(first, last + 1)]
            land(home, source, nights)
            conform(home, source, nights)
            self.joined += build(self.models, home, source, nights[-1], nights_at_once)
        return contents(home)


@contextmanager
def reading(drops: Path) -> Iterator[Source]:
    """The demo shop's source, pointed at these drops."""
    os.environ["USEROPS_DEMO_SHOP"] = str(drops)
    try:
        yield load_source("demo_shop")
    finally:
        del os.environ["USEROPS_DEMO_SHOP"]


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]
