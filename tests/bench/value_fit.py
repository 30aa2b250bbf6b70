"""How long a fit of the value model takes beside the package Lifetimes, that both find the same, and what a month costs a shop of a million.

`python -m tests.bench.value_fit`. Add a contestant, a size or a step here. Must not prove a formula: tests/stats does.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from tests.changed_project import GROCER
from tests.dbt_runs import our_project
from userops_pipeline.conclude.scored import ValueRules
from userops_pipeline.rulebook.current import described

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # CPU seconds of one thread, on both sides

import duckdb
import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from tests.bench import processes
from userops_pipeline.conclude import score
from userops_pipeline.stats import btyd

REPEATS = 3
BESIDE, ALONE = 100_000, 1_000_000
DAYS = 365
TRUTH = btyd.PurchaseModel("mbg_nbd", 0.5, 40.0, 0.9, 2.0)
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def purchases(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Customers who behave as the model says: who bought again, on which whole day since their first purchase, and everybody's age in days."""
    rng = np.random.default_rng(1)
    rate, chance = rng.gamma(TRUTH.r, 1 / TRUTH.alpha, count), rng.beta(TRUTH.a, TRUTH.b, count)
    age = np.floor(rng.random(count) * DAYS)
    at, whose, days = np.zeros(count), [], []
    who = np.flatnonzero(rng.random(count) >= chance)
    while len(who):
        at[who] += rng.exponential(1 / rate[who])
        who = who[at[who] <= age[who]]
        whose.append(who)
        days.append(np.minimum(np.ceil(at[who]), age[who]))
        who = who[rng.random(len(who)) >= chance[who]]
    return np.concatenate(whose), np.concatenate(days), age


def customers(count: int) -> Arrays:
    """Repeats, recency and age in whole days of customers who behave as the model says."""
    whose, days, age = purchases(count)
    recency = np.zeros(count)
    np.maximum.at(recency, whose, days)
    return np.bincount(whose, minlength=count).astype(np.float64), recency, age


def grouped(each: Arrays) -> btyd.Histories:
    """The same by history, as the table int_value_history hands it over."""
    keys, count = np.unique(np.stack(each), axis=1, return_counts=True)
    return btyd.Histories(*keys, count=count.astype(np.float64))


def ours(histories: btyd.Histories) -> np.ndarray:
    return btyd.fit(histories).maximum.parameters


def theirs(*each: np.ndarray) -> np.ndarray:
    from lifetimes import ModifiedBetaGeoFitter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        repeats, recency, age, *weights = each
        found = ModifiedBetaGeoFitter().fit(repeats, recency, age, weights=weights[0] if weights else None)
    return found.params_[["r", "alpha", "a", "b"]].to_numpy()


def timed(contestants: dict[str, Callable[[], np.ndarray]]) -> dict[str, tuple[float, np.ndarray]]:
    """Median CPU seconds and answer of each; they take turns, so that a busy moment meets all."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    answers: dict[str, np.ndarray] = {}
    for _ in range(REPEATS):
        for name, run in contestants.items():
            begun = time.process_time()
            answers[name] = run()
            seconds[name].append(time.process_time() - begun)
    return {name: (statistics.median(seconds[name]), answers[name]) for name in contestants}


# ---- a month of a shop ------------------------------------------------------------------------------------------------------------------

NIGHT = date(2026, 1, 1)
BUYERS, VIEWS = ("int_buyer",), ("int_value_version", "int_buyer_month")
GROUPS = ("int_value_history", "int_value_spend", "int_value_tracking")
STEPS = {
    "nothing": "start and imports, in each of the next",
    "group": "group the histories (int_value_*)",
    "buyers": "tonight's histories (int_buyer)",
    "score": "fit both models, score everybody",
    "again": "score everybody, the fit being known",
}


def compiled(folder: Path, warehouse: Path) -> dict[str, Any]:
    """The SQL of the models, and the rules and columns of the scored tables."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    os.environ["USEROPS_WAREHOUSE"] = str(warehouse)
    project = str(our_project())
    places = ["--project-dir", project, "--profiles-dir", project, "--target-path", str(folder), "--log-path", str(folder)]
    result = dbtRunner().invoke(["compile", "--quiet", "--select", *BUYERS, *VIEWS, *GROUPS, *places])
    DuckDBConnectionManager.close_all_connections()
    if not result.success:
        raise SystemExit(f"The models cannot be compiled: {result.exception}")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    declared = {node["name"]: node for node in manifest["sources"].values() if node["source_name"] == "scored"}
    sql = {path.stem: path.read_text(encoding="utf-8") for path in (folder / "compiled").rglob("int_*.sql")}
    columns = {name: {key: value["data_type"] for key, value in node["columns"].items()} for name, node in declared.items()}
    return {"sql": sql, "rules": described(GROCER).rules_of("user_value"), "columns": columns}


def fill(warehouse: Path, count: int) -> None:
    """The tables the models read, of a shop with so many buyers in the last year."""
    whose, days, age = purchases(count)
    rng = np.random.default_rng(2)
    users = np.concatenate([np.arange(count), whose])
    on = np.concatenate([-age, days - age[whose]]).astype(np.int64) - 1
    mean = rng.gamma(4.0, 10.0, count)[users]
    bought = pa.table({"who": users, "days": on, "amount": rng.gamma(6.0, mean / 6.0) + 0.01})
    with duckdb.connect(str(warehouse)) as con:
        con.register("bought", bought)
        con.execute(f"""
            create schema raw; create schema intermediate; create schema marts;
            create table intermediate.int_clock as
                select date '{NIGHT}' as as_of, date '{NIGHT}' as first_on, date '0001-01-01' as facts_from;
            create table intermediate.int_night as select date '{NIGHT}' as night_on;
            create table intermediate.int_user_day as
                select 'u' || who as user_id, date '{NIGHT}' + cast(days as integer) as activity_on, count(*) as order_count,
                    cast(sum(amount) as decimal(18, 2)) as spend_amount from bought group by all;
            create table intermediate.int_user as
                select 'u' || range as user_id, date '{NIGHT}' as known_from_on, cast(null as date) as known_to_on, date '2025-01-01' as registered_on
                from range({count});
            create table marts.user_profile as select user_id from intermediate.int_user;
        """)  # fmt: skip


def step(name: str, warehouse: Path, file: Path) -> None:
    """One step of the month, alone in its process."""
    if name == "shop":
        file.write_text(json.dumps(compiled(file.parent, warehouse)), encoding="utf-8")
        fill(warehouse, ALONE)
        return
    if name == "nothing":
        return
    project = json.loads(file.read_text(encoding="utf-8"))
    with duckdb.connect(str(warehouse)) as con:
        if name == "group":
            for view in VIEWS:
                con.execute(f"create view intermediate.{view} as {project['sql'][view]}")
        for table in {"group": GROUPS, "buyers": BUYERS}.get(name, ()):
            con.execute(f"create table intermediate.{table} as {project['sql'][table]}")
        if name in ("score", "again"):
            outcome = score.score(con, ValueRules.model_validate(project["rules"]), project["columns"], NIGHT)
            if outcome.eligibility != "eligible" or bool(outcome.fitted) != (name == "score"):
                raise SystemExit(f"Scoring said {outcome.eligibility} and fitted {outcome.fitted}.")


def month(out: Console) -> None:
    """What the models of value cost a shop of a million buyers, step by step; a process shows the peak of its parent too, so this one stays small."""
    with tempfile.TemporaryDirectory() as place:
        warehouse = Path(place) / "shop.duckdb"
        command = ["-m", "tests.bench.value_fit"]
        places = [str(warehouse), str(Path(place) / "project.json")]
        processes.run([*command, "shop", *places])
        table = Table("step", "CPU s", "wall s", "peak GiB", title=f"A month of {ALONE:,} buyers", title_justify="left", box=None)
        for name, what in STEPS.items():
            usage = processes.run([*command, name, *places])
            table.add_row(what, f"{usage.cpu:.1f}", f"{usage.wall:.1f}", f"{usage.peak_gib:.2f}")
        with duckdb.connect(str(warehouse), read_only=True) as con:
            counts = con.execute(
                "select (select count(*) from intermediate.int_user_day), (select count(*) from intermediate.int_value_history), (select count(*) from intermediate.int_value_spend), "
                "(select count(*) from marts.user_value where eligibility = 'eligible')"
            ).fetchone()
        out.print(table)
        out.print("{:,} purchase days, {:,} groups of histories, {:,} of spend; {:,} users scored".format(*(counts or (0, 0, 0, 0))))


def main() -> None:
    out = Console(highlight=False)
    month(out)
    table = Table(
        "customers",
        "who",
        "rows",
        "CPU s",
        "times ours",
        "furthest parameter",
        title="One fit of the MBG/NBD",
        title_justify="left",
        box=None,
    )
    each = customers(BESIDE)
    histories = grouped(each)
    contestants: dict[str, Callable[[], np.ndarray]] = {"userops, grouped": lambda: ours(histories)}
    if importlib.util.find_spec("lifetimes") is None:
        out.print("Lifetimes is not installed (extra `dev`): our fit runs alone.")
    else:
        ones = (histories.repeats, histories.recency, histories.age, histories.count)
        contestants |= {"Lifetimes, customer by customer": lambda: theirs(*each), "Lifetimes, grouped": lambda: theirs(*ones)}
    found = timed(contestants)
    (mine, answer) = found["userops, grouped"]
    for name, (seconds, other) in found.items():
        rows = BESIDE if name.endswith("customer") else len(histories.count)
        off = float(np.abs(other / answer - 1).max())
        table.add_row(f"{BESIDE:,}", name, f"{rows:,}", f"{seconds:.3f}", f"{seconds / mine:.1f}", f"{off:.1e}")
    many = grouped(customers(ALONE))
    seconds, answer = timed({"ours": lambda: ours(many)})["ours"]
    table.add_row(f"{ALONE:,}", "userops, grouped", f"{len(many.count):,}", f"{seconds:.3f}", f"{seconds / mine:.1f}", "")
    coarse = many.coarsened(128)
    seconds, other = timed({"ours": lambda: ours(coarse)})["ours"]
    off = float(np.abs(other / answer - 1).max())
    table.add_row(
        f"{ALONE:,}", "userops, in 128 steps of time", f"{len(coarse.count):,}", f"{seconds:.3f}", f"{seconds / mine:.1f}", f"{off:.1e}"
    )
    out.print(table)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        step(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main()
