"""How long a fit of the value model takes beside the package Lifetimes, and that both find the same: `python -m tests.bench.value_fit`.

Add a contestant or a size here. Must not prove a formula: tests/stats does.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import time
import warnings
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # CPU seconds of one thread, on both sides

import numpy as np
from rich.console import Console
from rich.table import Table

from userops_pipeline.stats import btyd

REPEATS = 3
BESIDE, ALONE = 100_000, 1_000_000
DAYS = 365
TRUTH = btyd.PurchaseModel("mbg_nbd", 0.5, 40.0, 0.9, 2.0)
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def customers(count: int) -> Arrays:
    """Repeats, recency and age in whole days of customers who behave as the model says."""
    rng = np.random.default_rng(1)
    rate, chance = rng.gamma(TRUTH.r, 1 / TRUTH.alpha, count), rng.beta(TRUTH.a, TRUTH.b, count)
    age = np.floor(rng.random(count) * DAYS)
    at, x, recency = np.zeros(count), np.zeros(count), np.zeros(count)
    who = np.flatnonzero(rng.random(count) >= chance)
    while len(who):
        at[who] += rng.exponential(1 / rate[who])
        who = who[at[who] <= age[who]]
        x[who] += 1
        recency[who] = np.ceil(at[who])
        who = who[rng.random(len(who)) >= chance[who]]
    return x, np.minimum(recency, age), age


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


def main() -> None:
    out = Console(highlight=False)
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
    main()
