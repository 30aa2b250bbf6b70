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
import pytest
from value_shop import build, load, scored, source_at

from tests.changed_project import shop_with
from userops_pipeline.ground.home import Home
from userops_pipeline.publish import pictures

sys.path.insert(0, str(Path(__file__).parents[1] / "stats"))
from cdnow import sample_file

NIGHTS = [date(1997, month, 1) for month in (10, 11, 12)] + [date(1998, month, 1) for month in range(1, 8)]
FIT, LAST = NIGHTS[0], NIGHTS[-1]
# What the paper does: its model, fitted on 39 weeks and tested on the next 39. June 1998 has no purchase on its last day.
PAPER = {"value": {"model": "bg_nbd", "max_days_since_order": 31}, "value_history": {"holdout_months": 9}}


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
        rules = shop_with(tmp_path_factory.mktemp("shop"), PAPER) / "rules"
        build(home, source, LAST, rules)
    outcome = scored(home, LAST, rules)
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


def test_the_tracking_of_78_weeks_is_the_papers(shop: duckdb.DuckDBPyConnection) -> None:
    """Figure 6 of Fader, Hardie, Lee (2005), out of value_tracking: the model follows the fit's 39 weeks, and is 4 % low at the end of the other 39."""
    rows = shop.execute(
        "select week_to_on, cast(expected_count as double), actual_count, is_holdout, week_number, error_share "
        "from marts.value_tracking where version_on = ? order by week_number",
        [LAST],
    ).fetchall()
    weeks = [pictures.TrackedWeek(*row[:4]) for row in rows]
    assert (len(rows), rows[-1][4], weeks[-1].ends_on) == (78, 78, date(1998, 6, 30))
    assert sum(not week.is_holdout for week in weeks) == 39
    middle, end = weeks[38], weeks[77]
    assert (middle.actual, end.actual) == (2457, 4339)
    assert abs(middle.expected / middle.actual - 1) < 0.02
    assert float(rows[-1][5]) == pytest.approx(-0.0411, abs=0.0005)
    assert float(rows[-1][5]) == pytest.approx(end.expected / end.actual - 1, abs=1e-5)
    summary = shop.execute(
        "select tested_version_on, holdout_days, holdout_customer_count, holdout_actual_count, tracking_error_share "
        "from marts.value_model_fits where version_on = ?",
        [LAST],
    ).fetchone()
    assert summary == (FIT, 273, 2357, 1882, rows[-1][5])
    assert pictures.value_tracking(weeks, version_on=LAST).for_page().startswith("<svg ")


def test_who_bought_once_has_no_prediction_from_a_model_that_knows_nothing_of_them(shop: duckdb.DuckDBPyConnection) -> None:
    rows = shop.execute(
        "select distinct is_one_time_buyer, left(eligibility, 30), alive_probability is null from marts.user_value order by all"
    ).fetchall()
    assert rows == [(False, "eligible", False), (True, "not_eligible: one purchase day", True)]
