"""What the warehouse tells dbt before it starts: here, when the window of a run begins.

Add a case when the clock says something else that models rely on.
Must not build a model: nights and windows are tested with dbt.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import duckdb
import pytest

from userops_pipeline.core.warehouse import EVERYTHING, Clock

# Zones whose clocks show midnight twice (Havana, Beirut), never (São Paulo), or skip a date (Apia); and one that does nothing.
NIGHTS = {
    "America/Havana": date(2023, 11, 5),
    "Asia/Beirut": date(2022, 10, 30),
    "America/Sao_Paulo": date(2018, 11, 4),
    "Pacific/Apia": date(2011, 12, 30),
    "Asia/Shanghai": date(2026, 1, 1),
}


def clock(window_from: date, zone: str) -> Clock:
    return Clock(window_from, window_from, window_from, zone, full=False)


@pytest.mark.parametrize(("zone", "night"), NIGHTS.items(), ids=NIGHTS)
def test_what_begins_with_the_window_is_what_has_its_dates(zone: str, night: date) -> None:
    """Staging asks for the time where it means the date: as DuckDB reckons dates, both must say the same, quarter hour by quarter hour."""
    for window_from in (night + timedelta(days=shift) for shift in (-1, 0, 1, 2)):
        begins = clock(window_from, zone).facts_from_at
        with duckdb.connect() as connection:
            wrong = connection.execute(
                "select count(*), count(*) filter ((cast(timezone($zone, timezone('UTC', seen_at)) as date) >= $night) <> (seen_at >= $begins)) "
                "from range($night - interval 3 day, $night + interval 3 day, interval 15 minute) as times (seen_at)",
                {"zone": zone, "night": window_from, "begins": begins},
            ).fetchone()
        assert wrong == (6 * 24 * 4, 0)


def test_a_build_from_nothing_begins_before_every_time() -> None:
    assert clock(EVERYTHING, "Asia/Shanghai").facts_from_at == datetime.min
