"""Properties over small simulated shops, dirty and late: however the nights, the rows and the files are cut, the tables are the same.

Add a way of cutting when a run could meet it. One example of each runs with every test run, two hundred with `make soak`.
Must not know a number of any table: tables are compared with each other.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from compiled import Model, build, compile_project, contents
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from userops_pipeline.core.conform import conform
from userops_pipeline.core.home import PROJECT_DIR, Home
from userops_pipeline.core.landing import land
from userops_pipeline.core.source import Source, load_source
from userops_pipeline.simulate import Settings, simulate

FIRST = date(2026, 1, 1)
MOST_DAYS = 7
FEW = settings(max_examples=1, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


class Bench:
    """Where shops are simulated and built: in memory where there is room, emptied after every example."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.models: list[Model] = []

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
        home = Home(self.folder / name)
        shutil.rmtree(home.root, ignore_errors=True)  # an example that failed leaves its home to the next
        with reading(drops) as source:
            for first, last in parts:
                nights = [FIRST + timedelta(days=day) for day in range(first, last + 1)]
                land(home, source, nights)
                conform(home, source, nights)
                build(self.models, home, source, nights[-1], nights_at_once)
        return contents(home)


@contextmanager
def reading(drops: Path) -> Iterator[Source]:
    """The demo shop's source, pointed at these drops."""
    os.environ["USEROPS_DEMO_SHOP"] = str(drops)
    try:
        yield load_source("demo_shop")
    finally:
        del os.environ["USEROPS_DEMO_SHOP"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30
    with tempfile.TemporaryDirectory(prefix="userops-", dir=memory if roomy else tmp_path_factory.getbasetemp()) as folder:
        found = Bench(Path(folder))
        found.compile()
        yield found


shops = st.fixed_dictionaries(
    {
        "users": st.integers(10, 40),
        "days": st.integers(3, MOST_DAYS),
        "seed": st.integers(0, 10_000),
        "dirt": st.sampled_from([0.0, 0.03, 0.1]),
    }
)


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]


# -- any split of the nights --------------------------------------------------------------------------------------------


@st.composite
def cut_shops(draw: Callable) -> tuple[dict[str, Any], list[tuple[int, int]], int | None]:
    """A shop, its nights in parts, and how many of them are built at once: all, or fewer, in legs. Now and then a part is run again, or a
    past night is built once more in between."""
    shop = draw(shops)
    days = shop["days"]
    cuts = sorted(draw(st.sets(st.integers(1, days - 1), max_size=days - 1)))
    bounds = [0, *cuts, days]
    parts = [(first, last - 1) for first, last in itertools.pairwise(bounds)]
    again = draw(st.none() | st.integers(0, len(parts) - 1))
    if again is not None and again < len(parts) - 1:
        parts.insert(draw(st.integers(again + 1, len(parts) - 1)), parts[again])
    return shop, parts, draw(st.none() | st.integers(1, days))


def any_split(bench: Bench, cut: tuple[dict[str, Any], list[tuple[int, int]], int | None]) -> None:
    shop, parts, nights_at_once = cut
    drops = bench.simulated(**shop)
    once = bench.run(drops, [(0, shop["days"] - 1)], "once")
    assert differing(once, bench.run(drops, parts, "parts", nights_at_once)) == []


@FEW
@example(cut=({"users": 30, "days": 6, "seed": 3, "dirt": 0.1}, [(0, 2), (3, 5)], 2))
@given(cut=cut_shops())
def test_nights_in_any_split_give_the_same_tables(bench: Bench, cut: Any) -> None:
    any_split(bench, cut)


@pytest.mark.soak
@MANY
@given(cut=cut_shops())
def test_nights_in_any_split_give_the_same_tables_many_times(bench: Bench, cut: Any) -> None:
    any_split(bench, cut)


# -- any order of rows, any number of files -----------------------------------------------------------------------------


def shuffled(drops: Path, out: Path, seed: int, split: bool) -> Path:
    """A copy of the drops with the rows of every file in another order, and, if asked, every other file in two."""
    chance = random.Random(seed)
    for file in sorted((drops / "drops").rglob("*.*")):
        target = out / file.relative_to(drops)
        target.parent.mkdir(parents=True, exist_ok=True)
        halves = [target, target.with_name(target.name.replace(".", "_2.", 1))] if split and chance.random() < 0.5 else [target]
        if file.suffix == ".parquet":
            with duckdb.connect() as connection:
                connection.execute(f"create temp table rows as select *, row_number() over () as _row from read_parquet('{file}')")
                for number, half in enumerate(halves):
                    connection.execute(
                        f"copy (select * exclude (_row) from rows where _row % {len(halves)} = {number} order by hash(_row + {seed}), _row) "
                        f"to '{half}' (format parquet)"
                    )
        elif file.suffix == ".gz":
            shutil.copy(file, target)
        else:
            content = file.read_bytes()
            lines = content.splitlines(keepends=True)
            head, rows = ([], lines) if file.suffix == ".jsonl" else (lines[:1], lines[1:])
            rows = [row if row.endswith(b"\n") else row + b"\n" for row in rows]
            chance.shuffle(rows)
            for number, half in enumerate(halves):
                half.write_bytes(b"".join(head + rows[number :: len(halves)]))
    return out


def any_order(bench: Bench, shop: dict[str, Any], seed: int, split: bool) -> None:
    drops = bench.simulated(**shop)
    other = bench.folder / "shuffled"
    shutil.rmtree(other, ignore_errors=True)
    whole = [(0, shop["days"] - 1)]
    assert differing(bench.run(drops, whole, "once"), bench.run(shuffled(drops, other, seed, split), whole, "shuffled_home")) == []


@FEW
@given(shop=shops, seed=st.integers(0, 1000), split=st.booleans())
def test_neither_the_order_of_rows_nor_the_number_of_files_matters(bench: Bench, shop: dict[str, Any], seed: int, split: bool) -> None:
    any_order(bench, shop, seed, split)


@pytest.mark.soak
@MANY
@given(shop=shops, seed=st.integers(0, 1000), split=st.booleans())
def test_neither_order_nor_files_matter_many_times(bench: Bench, shop: dict[str, Any], seed: int, split: bool) -> None:
    any_order(bench, shop, seed, split)


# -- any machine --------------------------------------------------------------------------------------------------------

MACHINES = [
    {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "0"},
    {"TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "1"},
    {"TZ": "America/New_York", "LC_ALL": "C", "PYTHONHASHSEED": "2"},
    {"TZ": "Asia/Shanghai", "LC_ALL": "de_DE.UTF-8", "PYTHONHASHSEED": "3"},
    {"TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "4"},
    {"TZ": "Pacific/Pago_Pago", "LC_ALL": "zh_CN.UTF-8", "PYTHONHASHSEED": "5"},
    {"TZ": "Europe/London", "LC_ALL": "POSIX", "PYTHONHASHSEED": "6"},
    {"TZ": "Australia/Lord_Howe", "LC_ALL": "fr_FR.UTF-8", "PYTHONHASHSEED": "7"},
]


def elsewhere(bench: Bench, drops: Path, days: int, machine: dict[str, str]) -> dict[str, Any]:
    """The tables that a fresh process with this environment builds."""
    models = bench.folder / "models.json"
    models.write_text(json.dumps([asdict(model) for model in bench.models]), encoding="utf-8")
    command = [sys.executable, __file__, str(bench.folder / "elsewhere"), str(drops), str(days), str(models)]
    environment = {**os.environ, **machine, "PYTHONPATH": str(PROJECT_DIR)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)  # what it complains of is shown
    return {name: tuple(found) for name, found in json.loads(done.stdout.splitlines()[-1]).items()}


@pytest.mark.soak
@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine["TZ"])
def test_neither_time_zone_nor_locale_of_the_machine_matters(bench: Bench, machine: dict[str, str]) -> None:
    drops = bench.simulated(users=40, days=4, seed=1, dirt=0.1)
    here = bench.run(drops, [(0, 3)], "once")
    assert differing(here, elsewhere(bench, drops, 4, machine)) == []


if __name__ == "__main__":
    there = Bench(Path(sys.argv[1]))
    there.models = [Model(**model) for model in json.loads(Path(sys.argv[4]).read_text(encoding="utf-8"))]
    print(json.dumps(there.run(Path(sys.argv[2]), [(0, int(sys.argv[3]) - 1)], "home")))
