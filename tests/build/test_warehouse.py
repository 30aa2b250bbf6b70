"""What the warehouse tells dbt before it starts: when the window of a run begins, and where a long one is cut.

Add a case when the clock says something else that models rely on.
Must not build a model: nights and windows are tested with dbt.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pytest

from userops_pipeline.build import warehouse
from userops_pipeline.build.warehouse import EVERYTHING, Clock, begin_leg, finish_build, legs, prepare_build
from userops_pipeline.ground.home import UserOpsError
from userops_pipeline.intake.landing import nights_between

# Zones whose clocks show midnight twice (Havana, Beirut), never (São Paulo), or skip a date (Apia); and one that does nothing.
NIGHTS = {
    "America/Havana": date(2023, 11, 5),
    "Asia/Beirut": date(2022, 10, 30),
    "America/Sao_Paulo": date(2018, 11, 4),
    "Pacific/Apia": date(2011, 12, 30),
    "Asia/Shanghai": date(2026, 1, 1),
}

FIRST, AS_OF = date(2026, 3, 1), date(2026, 4, 29)


def clock(window_from: date, zone: str) -> Clock:
    return Clock(window_from, window_from, window_from, window_from, zone, full=False)


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


@pytest.fixture
def lake(shop: Any) -> Any:
    """Sixty nights of two users."""
    shop.drop(
        "2026-03-01", "users.csv", "user_id,registered,name,email,phone,birth\nu1,2026-03-01 10:00:00,,,,\nu2,2026-03-01 10:00:00,,,,\n"
    )
    shop.run(*(str(night) for night in nights_between(FIRST, AS_OF)))
    return shop


def cut(shop: Any, **options: Any) -> list[tuple[date | None, date | None]]:
    made = legs(shop.home, prepare_build(shop.home, [shop.source], AS_OF, **options))
    return [(leg.nights_from, leg.nights_to) for leg in made]


def test_a_window_that_memory_holds_is_gone_through_at_once(lake: Any) -> None:
    assert cut(lake) == [(FIRST, AS_OF)]


def test_a_longer_one_is_cut_into_legs_of_like_length(lake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warehouse, "USER_NIGHTS", 2 * 25)
    days = [(date(2026, 3, 1), date(2026, 3, 20)), (date(2026, 3, 21), date(2026, 4, 9)), (date(2026, 4, 10), AS_OF)]
    assert cut(lake) == days
    monkeypatch.setenv("USEROPS_NIGHTS_AT_ONCE", "1")
    assert cut(lake) == [(night, night) for night in nights_between(FIRST, AS_OF)]


def test_only_what_is_not_built_yet_is_cut_and_a_build_that_died_begins_again(lake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warehouse, "USER_NIGHTS", 2 * 20)
    prepare_build(lake.home, [lake.source], date(2026, 3, 31))
    finish_build(lake.home, date(2026, 3, 31))
    wanted = [(date(2026, 4, 1), date(2026, 4, 14)), (date(2026, 4, 15), AS_OF)]
    assert cut(lake) == wanted
    begin_leg(lake.home, legs(lake.home, prepare_build(lake.home, [lake.source], AS_OF))[1])
    assert cut(lake) == wanted
    assert len(cut(lake, full=True)) == 3


def test_nights_at_once_that_are_no_number_are_refused(lake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for said in ("0", "-3", "ten"):
        monkeypatch.setenv("USEROPS_NIGHTS_AT_ONCE", said)
        with pytest.raises(UserOpsError, match=f"USEROPS_NIGHTS_AT_ONCE is '{said}'; it must be"):
            cut(lake)


# -- the lake held against its accounting ------------------------------------------------------------------------------


def lost(shop: Any) -> None:
    next(shop.home.raw.glob("users/arrived_on=2026-03-01/*.parquet")).unlink()


def flipped(shop: Any) -> None:
    place = next(shop.home.raw.glob("users/arrived_on=2026-03-01/*.parquet"))
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 1
    place.write_bytes(content)


def uncounted(shop: Any) -> None:
    next(shop.home.accounting.glob("arrived_on=2026-03-01/*.parquet")).unlink()


def planted(shop: Any) -> None:
    place = next(shop.home.raw.glob("users/arrived_on=2026-03-01/*.parquet"))
    (place.parent / "stranger.parquet").write_bytes(place.read_bytes())


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (lost, "lake/raw/users/arrived_on=2026-03-01/shop.parquet is missing"),
        (flipped, "lake/raw/users/arrived_on=2026-03-01/shop.parquet is not what the night of 2026-03-01 left there"),
        (uncounted, "lake/accounting/arrived_on=2026-03-01/shop.parquet is missing"),
        (planted, "lake/raw/users/arrived_on=2026-03-01/stranger.parquet belongs to no conformed night"),
    ],
)
def test_a_lake_that_is_not_what_was_accounted_for_is_not_built_on(shop: Any, harm: Any, sentence: str) -> None:
    head = "user_id,registered,name,email,phone,birth\n"
    shop.drop("2026-03-01", "users.csv", f"{head}u1,2026-03-01 10:00:00,,,,\n")
    shop.run("2026-03-01", "2026-03-02")
    night = date(2026, 3, 2)
    prepare_build(shop.home, [shop.source], night)
    finish_build(shop.home, night)
    harm(shop)
    with pytest.raises(UserOpsError, match="The lake is not what was accounted for") as fault:
        prepare_build(shop.home, [shop.source], night)
    assert sentence in str(fault.value)
    if harm is not planted:
        shop.conform("2026-03-01")
        prepare_build(shop.home, [shop.source], night)
