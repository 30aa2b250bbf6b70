"""Thresholds learned from gaps, against the simulated shop that knows how often each of its users buys.

Add a comparison when another threshold is learned from data. Must not read a setting of the simulation: the truth tables say what is true.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pytest

from tests.dbt_runs import run_dbt
from userops_pipeline.build.warehouse import EVERYTHING, Clock, write_clock
from userops_pipeline.ground import contract
from userops_pipeline.simulate import Settings, simulate

PROJECT = Path(__file__).parents[2] / "dbt_project"
NIGHTS = 150
FIRST_ON = date(2026, 1, 1)
AS_OF = FIRST_ON + timedelta(days=NIGHTS - 1)
FOLLOW_DAYS = 45  # as declared at lifecycle_thresholds
QUANTILES = {"usual_gap_days": 0.5, "long_gap_days": 0.75, "late_gap_days": 0.9, "overdue_gap_days": 0.95}
COLUMNS = {
    "users": {"user_id": "user_id", "registered_at": "registered_at"},
    "orders": {"order_id": "order_id", "user_id": "user_id", "ordered_at": "ordered_at", "status": "status", "amount": "amount",
               "discount_amount": "discount_amount", "currency": "currency"},
    "order_items": {"order_item_id": "order_item_id", "order_id": "order_id", "ordered_at": "ordered_at", "product_id": "product_id",
                    "quantity": "quantity", "amount": "amount"},
    "products": {"product_id": "product_id", "category": "category"},
}  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A simulated shop without dirt, its purchases as raw rows, and the thresholds built from them."""
    folder = tmp_path_factory.mktemp("shop")
    out, path = folder / "files", folder / "userops.duckdb"
    simulate(Settings(6000, NIGHTS, seed=5, out=out, start=FIRST_ON, events_per_user=100, orders_per_user=10))
    with duckdb.connect(str(path)) as con:
        con.execute("create schema raw")
        for table in contract.tables().values():
            con.execute(f"create table raw.{table.name} as {contract.empty_select(table)}")
        con.execute("create table raw.load_accounting (source_name varchar, table_name varchar, arrived_on date, rows_in bigint, rows_kept bigint, rows_quarantined bigint, rows_duplicate bigint)")  # fmt: skip
        write_clock(con, Clock(AS_OF, EVERYTHING, EVERYTHING, FIRST_ON, "Asia/Shanghai", full=True))
        for name, columns in COLUMNS.items():
            files = f"read_{'csv' if name == 'products' else 'parquet'}('{out}/drops/*/{name}.{'csv' if name == 'products' else 'parquet'}', filename = true)"
            con.execute(
                f"insert into raw.{name} ({', '.join(columns)}, arrived_on, source_name, source_file, source_row) "
                f"select {', '.join(columns.values())}, cast(split_part(filename, '/', -2) as date), 'demo_shop', 'f', row_number() over () from {files}"
            )
    run_dbt(path, "run", "--select", "+lifecycle_thresholds", target=folder / "target")
    return path, out


def returned_within(days: float, rates: npt.NDArray[np.float64], follow_days: int) -> float:
    """True share of users alive at a purchase, among those who come back within `follow_days`, who come back within `days`.

    Purchases of somebody alive are a Poisson process, so from the midnight after a purchase day the next one comes within g days with
    probability 1 - exp(-rate * g), whatever was before.
    """
    return float(np.sum(-np.expm1(-rates * days)) / np.sum(-np.expm1(-rates * follow_days)))


def is_quantile(days: int, share: float, rates: npt.NDArray[np.float64], gap_count: int, follow_days: int = FOLLOW_DAYS) -> bool:
    """Whether `days` is the least whole number within which that share comes back, give or take 0.02 and three standard errors."""
    off = 0.02 + 3 * (share * (1 - share) / gap_count) ** 0.5
    return returned_within(days - 1, rates, follow_days) < share + off and returned_within(days, rates, follow_days) >= share - off


def rates_at_purchases(path: Path, out: Path, until: date) -> dict[str, npt.NDArray[np.float64]]:
    """True rate of the buyer, faster in the 30 days of a welcome offer, for every purchase day up to `until` that somebody alive afterwards bought on; by top category, and in all."""
    with duckdb.connect(str(path), read_only=True) as con:
        con.execute("set timezone = 'UTC'")
        rows = con.execute(
            f"""
            with days as (
                select user_id, activity_on, max(top_category_rank) over (partition by user_id order by activity_on) as ranked
                from intermediate.int_user_day where order_count > 0
            )
            select substr(ranked, 19), purchase_rate * case
                when is_welcomed and activity_on < cast(registered_at + interval 8 hours as date) + 30 then 1 + welcome_effect else 1 end
            from days join '{out}/truth/people.parquet' as people on days.user_id = cast(people.user_id as varchar)
            where activity_on <= ? and (dropped_at is null or cast(dropped_at + interval 8 hours as date) > activity_on)
            """,
            [until],
        ).fetchall()
    found: dict[str, list[float]] = {"(all)": [rate for _, rate in rows]}
    for category, rate in rows:
        found.setdefault(category, []).append(rate)
    return {category: np.array(rates) for category, rates in found.items()}


def test_learned_thresholds_recover_the_simulated_gaps(shop: tuple[Path, Path]) -> None:
    """What the true rates of the buyers imply, in all and by category; 0.02 is left for messages, which make some buy a little faster."""
    path, out = shop
    version_on = AS_OF.replace(day=1)
    with duckdb.connect(str(path), read_only=True) as con:
        learned = {
            category: (gap_count, days)
            for category, gap_count, *days in con.execute(
                f"select category, gap_count, {', '.join(QUANTILES)} from marts.lifecycle_thresholds where version_on = ? and source = 'learned'",
                [version_on],
            ).fetchall()
        }
    truth = rates_at_purchases(path, out, version_on - timedelta(days=36 + FOLLOW_DAYS))
    assert len(learned) > 10
    assert learned["(all)"][0] > 5000
    assert {
        (category, share): found
        for category, (gap_count, days) in learned.items()
        for share, found in zip(QUANTILES.values(), days, strict=True)
        if not is_quantile(found, share, truth[category], gap_count)
    } == {}
    gap_count, (usual, _, late, overdue) = learned["(all)"]
    assert 1 <= usual < late < overdue < FOLLOW_DAYS
    for wrong in (late // 2, late * 2):  # the comparison can tell them
        assert not is_quantile(wrong, 0.9, truth["(all)"], gap_count)


def test_a_month_with_little_behind_it_uses_the_default(shop: tuple[Path, Path]) -> None:
    path, _ = shop
    with duckdb.connect(str(path), read_only=True) as con:
        assert con.execute(
            f"select distinct version_on, source, {', '.join(QUANTILES)} from marts.lifecycle_thresholds where version_on < '2026-04-01' order by all"
        ).fetchall() == [(date(2026, month, 1), "too_few_gaps", 7, 10, 14, 21) for month in (1, 2, 3)]
