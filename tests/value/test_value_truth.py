"""Promises of P(alive) against the truth of the demo shop: how far off by tenth, and how far from an oracle that knows each one's parameters.

The shop's story begins at registration, where it may already end, and counts every order; our tables begin at the first purchase, as the
papers and shops without a sign-up do, and count days. Both are measured: the model on its own story, and the tables on theirs.

Add an estimate here when the simulation knows its truth. Must not let the pipeline see the truth.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pytest
import yaml
from scipy.stats import rankdata
from value_shop import build, load, scored, source_at

from userops_pipeline.core.home import PROJECT_DIR, Home
from userops_pipeline.simulate import Settings, simulate
from userops_pipeline.stats import btyd
from userops_pipeline.stats.btyd import Histories

FIRST, DAYS = date(2026, 1, 1), 210
LAST = FIRST + timedelta(days=DAYS - 1)
USERS = 20_000


def whole_history(folder: Path) -> Path:
    """The demo shop's source, users and orders only, with everything in one first night: a shop that starts with a history."""
    shipped = PROJECT_DIR / "userops_pipeline" / "sources" / "demo_shop"
    document = yaml.safe_load((shipped / "source.yml").read_text(encoding="utf-8"))
    tables = ("users", "orders")
    files = {name: document["files"][name] for name in tables}
    for name in tables:
        for drop in sorted((folder / "shop" / "drops").glob(f"*/{name}*.parquet")):
            drop.rename(folder / "shop" / "drops" / f"{LAST}" / f"{name}-{drop.parent.name}.parquet")
    (folder / "source").mkdir()
    kept = {
        **document,
        "first_night": LAST,
        "last_night": LAST,
        "files": files,
        "tables": {name: document["tables"][name] for name in tables},
    }
    (folder / "source" / "source.yml").write_text(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True), encoding="utf-8")
    for name in tables:
        (folder / "source" / f"{name}.sql").write_text((shipped / f"{name}.sql").read_text(encoding="utf-8"), encoding="utf-8")
    return folder / "source"


Numbers = dict[str, npt.NDArray[np.float64]]
PEOPLE = "read_parquet(?) as people"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[duckdb.DuckDBPyConnection, str]:
    """The scored warehouse, and the file of the truth about its people."""
    folder = tmp_path_factory.mktemp("truth")
    simulate(Settings(users=USERS, days=DAYS, seed=5, out=folder / "shop", start=FIRST, events_per_user=40.0, orders_per_user=4.0))
    home = Home(folder / "home")
    with source_at(str(whole_history(folder)), USEROPS_DEMO_SHOP=folder / "shop") as source:
        load(home, source, [LAST])
        build(home, source, LAST)
    assert scored(home, LAST).eligibility == "eligible"
    return duckdb.connect(str(home.warehouse), read_only=True), str(folder / "shop" / "truth" / "people.parquet")


@pytest.fixture(scope="module")
def known(built: tuple[duckdb.DuckDBPyConnection, str]) -> Numbers:
    """Of every buyer: what we say, what is true, and what the oracle is asked."""
    con, people = built
    return con.execute(
        "select cast(alive_probability as double) as said, cast(people.is_alive as integer) as alive, cast(is_one_time_buyer as integer) as once, "
        "cast(purchase_rate as double) as rate, cast(dropout_chance as double) as chance, cast(age_days - recency_days as double) as silent "
        f"from marts.user_value inner join intermediate.int_buyer using (user_id) inner join {PEOPLE} "
        "on user_value.user_id = cast(people.user_id as varchar) where alive_probability is not null",
        [people],
    ).fetchnumpy()


@pytest.fixture(scope="module")
def from_registration(built: tuple[duckdb.DuckDBPyConnection, str]) -> Numbers:
    """Of every registered user: orders since registration, the last of them and the age in days, and what is true."""
    con, people = built
    return con.execute(
        "select count(order_id) as repeats, coalesce(greatest(max(ordered_on) - min(users.registered_on), 0), 0) as recency, "
        "? - min(users.registered_on) as age, min(cast(people.is_alive as integer)) as alive "
        f"from intermediate.int_user as users inner join {PEOPLE} on users.user_id = cast(people.user_id as varchar) "
        "left join (select * from intermediate.int_order where is_purchase) as orders on users.user_id = orders.user_id group by users.user_id order by users.user_id",
        [LAST, people],
    ).fetchnumpy()


def auc(said: npt.NDArray[np.float64], alive: npt.NDArray[np.float64]) -> float:
    """The chance that of two buyers, one alive and one not, the living one has the higher number."""
    ranks, living = rankdata(said), alive.sum()
    return float((ranks[alive == 1].sum() - living * (living + 1) / 2) / (living * (len(alive) - living)))


def gaps(said: npt.NDArray[np.float64], alive: npt.NDArray[np.float64]) -> list[float]:
    """Said less true, by tenth of what is said."""
    return [float(said[tenth].mean() - alive[tenth].mean()) for tenth in np.array_split(np.argsort(said, kind="stable"), 10)]


@pytest.mark.soak
def test_on_the_shops_own_story_alive_is_calibrated(from_registration: Numbers) -> None:
    histories = Histories(
        *(from_registration[name].astype(np.float64) for name in ("repeats", "recency", "age")), np.ones(len(from_registration["age"]))
    )
    model = btyd.fit(histories).model
    off = gaps(model.alive(histories.repeats, histories.recency, histories.age), from_registration["alive"])
    print("from registration, in orders:", model, [f"{gap:+.3f}" for gap in off])
    assert max(map(abs, off)) <= 0.03


@pytest.mark.soak
def test_alive_of_the_tables_is_near_the_truth_by_tenth(known: Numbers) -> None:
    off = gaps(known["said"], known["alive"])
    print("from the first purchase, in days:", [f"{gap:+.3f}" for gap in off])
    assert len(known["said"]) > USERS / 2
    assert max(map(abs, off)) <= 0.05
    assert abs(float(known["said"].mean() - known["alive"].mean())) <= 0.02
    once = known["once"] == 1
    assert abs(known["said"][once].mean() - known["alive"][once].mean()) <= 0.05


@pytest.mark.soak
def test_who_is_alive_is_told_apart_nearly_as_well_as_who_knows_the_parameters_can(known: Numbers) -> None:
    """The oracle knows a buyer's own rate and chance: alive is (1 − q) e^(−λ silent) against q."""
    chance, rate = known["chance"], known["rate"]
    oracle = 1 / (1 + chance / (1 - chance) * np.exp(rate * known["silent"]))
    ours, best, silence = (auc(numbers, known["alive"]) for numbers in (known["said"], oracle, -known["silent"]))
    print(f"AUC of alive: ours {ours:.4f}, oracle {best:.4f}, silence alone {silence:.4f}")
    assert ours >= 0.88
    assert best - ours <= 0.07
    assert ours - silence >= 0.02
