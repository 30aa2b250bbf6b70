"""Promises of the value tables on CDNOW: the published parameters out of our own tables, and the tracking of the holdout.

Add a published number of this data set here. Must not compute a model: the pipeline does.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pytest
from value_shop import build, load, scored, source_at

from userops_pipeline.core import pictures, value_models
from userops_pipeline.core.home import Home
from userops_pipeline.stats.btyd import Histories, PurchaseModel

sys.path.insert(0, str(Path(__file__).parents[1] / "stats"))
from cdnow import sample_file

NIGHTS = [date(1997, month, 1) for month in (10, 11, 12)] + [date(1998, month, 1) for month in range(1, 8)]
FIT, LAST = NIGHTS[0], NIGHTS[-1]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    drops: dict[date, list[tuple[str, ...]]] = defaultdict(list)
    for number, line in enumerate(sample_file().read_text(encoding="ascii").splitlines()):
        _, customer, day, _, amount = line.split()
        bought = date.fromisoformat(day)
        drops[next(night for night in NIGHTS if bought < night)].append((f"p{number}", customer, f"{bought} 12:00:00", amount))
    files = tmp_path_factory.mktemp("cdnow")
    for night in NIGHTS:
        with open(files / f"{night}.csv", "w", newline="", encoding="utf-8") as handle:
            csv.writer(handle).writerows([("purchase_id", "customer_id", "purchased_on", "amount"), *drops[night]])
    home = Home(tmp_path_factory.mktemp("home"))
    with source_at(str(Path(__file__).parents[1] / "sources" / "cdnow"), USEROPS_TEST_DATA=files) as source:
        load(home, source, NIGHTS)
        build(home, source, LAST)
    outcome = scored(home, LAST, model="bg_nbd", max_days_since_order=31)
    assert outcome.eligibility == "eligible"
    return duckdb.connect(str(home.warehouse), read_only=True)


def test_the_version_of_october_1997_has_the_published_parameters(shop: duckdb.DuckDBPyConnection) -> None:
    row = shop.execute(
        "select customer_count, repeat_customer_count, history_days, is_converged, r, alpha / 7, a, b, "
        "log_likelihood + ln(7) * (select sum(repeat_sum) from intermediate.int_value_history where version_on = ? and purpose = 'fit'), "
        "is_spend_converged, p, q, v from marts.value_model_fits where version_on = ?",
        [FIT, FIT],
    ).fetchone()
    assert row is not None
    counts, converged, purchases, spend = row[:3], row[3], row[4:9], row[10:]
    assert counts == (2357, 946, 273)
    assert converged
    assert row[9]
    assert [f"{value:.3f}" for value in purchases[:4]] == ["0.243", "4.414", "0.793", "2.426"]
    assert purchases[4] == pytest.approx(-9582.43, abs=0.006)
    assert [f"{spend[0]:.2f}", f"{spend[1]:.3f}", f"{spend[2]:.3f}"] == ["6.25", "3.744", "15.444"]


def holdout(shop: duckdb.DuckDBPyConnection) -> value_models.Tested:
    """What October's version says of the 39 weeks after it, and what came, counted from purchase days and not from the fitted groups."""
    groups = shop.execute(
        """
        with days as (select user_id, activity_on, min(activity_on) over (partition by user_id) as first_on from intermediate.int_user_day where order_count > 0),
        buyers as (
            select
                user_id,
                count(*) filter (activity_on < $fit) - 1 as x,
                max(activity_on) filter (activity_on < $fit) - min(first_on) as recency,
                $fit - min(first_on) - 1 as age,
                count(*) filter (activity_on >= $fit and activity_on < $last) as later
            from days group by user_id
        )
        select x, recency, age, later, count(*) as customers from buyers group by all order by all
        """,
        {"fit": FIT, "last": LAST},
    ).fetchnumpy()
    x, recency, age, later, customers = (np.asarray(groups[name], dtype=float) for name in ("x", "recency", "age", "later", "customers"))
    repeats = dict(
        shop.execute("select purchased_on, repeat_count from intermediate.int_value_tracking where version_on = ?", [LAST]).fetchall()
    )
    row = shop.execute("select r, alpha, a, b from marts.value_model_fits where version_on = ?", [FIT]).fetchone()
    assert row is not None
    return value_models.tested(
        LAST, value_models.Backtest(FIT, Histories(x, recency, age, customers), later, repeats), PurchaseModel("bg_nbd", *row)
    )


def test_the_tracking_of_78_weeks_is_the_papers(shop: duckdb.DuckDBPyConnection) -> None:
    """Figure 6 of Fader, Hardie, Lee (2005): the model follows the fit's 39 weeks, and is a little low at the end of the other 39."""
    found = holdout(shop)
    assert [len(found.tracking), found.tracking[-1]["week_to_on"]] == [78, date(1998, 6, 30)]
    assert sum(not week["is_holdout"] for week in found.tracking) == 39
    middle, end = found.tracking[38], found.tracking[77]
    assert (middle["actual_count"], end["actual_count"]) == (2457, 4339)
    assert abs(middle["expected_count"] / middle["actual_count"] - 1) < 0.02
    assert found.summary["tracking_error_share"] == pytest.approx(-0.0411, abs=0.0005)
    assert (found.summary["holdout_customer_count"], found.summary["holdout_actual_count"]) == (2357, 1882)
    weeks = [
        pictures.TrackedWeek(*(week[name] for name in ("week_to_on", "expected_count", "actual_count", "is_holdout")))
        for week in found.tracking
    ]
    assert pictures.value_tracking(weeks, version_on=LAST).for_page().startswith("<svg ")


def test_who_bought_once_has_no_prediction_from_a_model_that_knows_nothing_of_them(shop: duckdb.DuckDBPyConnection) -> None:
    rows = shop.execute(
        "select distinct is_one_time_buyer, left(eligibility, 30), alive_probability is null from marts.user_value order by all"
    ).fetchall()
    assert rows == [(False, "eligible", False), (True, "not_eligible: one purchase day", True)]
