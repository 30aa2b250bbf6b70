"""Which nights a run conforms: its own, and every earlier one the lake lacks or holds by something that has changed since.

Add here when a run must go back further for another reason; must not conform anything that landing and conform prove elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from userops_pipeline.defs.resources import FIRST_NIGHT_TAG, nights_of
from userops_pipeline.ground.home import Home
from userops_pipeline.ground.lake import raw_scan
from userops_pipeline.intake.conform import conform
from userops_pipeline.intake.landing import land
from userops_pipeline.intake.shop import Shop
from userops_pipeline.intake.source import load_source

SOURCE = """
about: A shop that sends its history in files that may grow in number
business_zone: Asia/Shanghai
zone: Asia/Shanghai
first_night: 2026-06-01
root: {path: FOLDER}
files:
  orders:
    path: orders-*.csv
    columns: [order, buyer, at, amount]
tables:
  orders: {each: orders}
"""
MAPPING = """
select "order" as order_id, buyer as user_id, "at" as ordered_at, 'paid' as status, amount, 'CNY' as currency,
    _file, _row, cast("at" as date) as _night
from orders
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    folder = tmp_path / "history_shop"
    folder.mkdir()
    (folder / "source.yml").write_text(SOURCE.replace("FOLDER", str(tmp_path / "drops")), encoding="utf-8")
    (folder / "orders.sql").write_text(MAPPING, encoding="utf-8")
    (tmp_path / "drops").mkdir()
    (tmp_path / "drops" / "orders-1.csv").write_text("order,buyer,at,amount\n1,a,2026-06-01 10:00:00,5\n2,b,2026-06-03 10:00:00,6\n")
    return Shop(Home(tmp_path / "home"), (load_source(str(folder)),))


@pytest.fixture
def run(shop: Shop) -> Callable[[str, str], list[date]]:
    """Land and conform as a run of these nights would; the nights it took."""

    def go(first: str, last: str) -> list[date]:
        tags = {"dagster/partition": last, **({FIRST_NIGHT_TAG: first} if first != last else {})}
        context = SimpleNamespace(run=SimpleNamespace(tags=tags))
        land(shop.home, shop.sources[0], nights_of(shop, context))
        nights = nights_of(shop, context)
        conform(shop.home, shop.sources[0], nights)
        return nights

    return go


def orders(shop: Shop) -> list[str]:
    with duckdb.connect() as connection:
        rows = connection.execute(f"select order_id from {raw_scan(shop.home, 'orders')} order by 1").fetchall()
    return [order for (order,) in rows]


def test_a_run_takes_its_own_nights_and_the_ones_that_were_missed(shop: Shop, run: Callable) -> None:
    assert run("2026-06-01", "2026-06-01") == [date(2026, 6, 1)]
    assert run("2026-06-04", "2026-06-04") == [date(2026, 6, 2), date(2026, 6, 3), date(2026, 6, 4)]
    assert run("2026-06-05", "2026-06-05") == [date(2026, 6, 5)]
    assert orders(shop) == ["1", "2"]


def test_an_archive_that_grew_brings_its_old_nights_again_and_loses_no_row(shop: Shop, run: Callable, tmp_path: Path) -> None:
    """The second file's order of 2026-06-01 once ended in neither raw, quarantine nor any count."""
    run("2026-06-01", "2026-06-03")
    (tmp_path / "drops" / "orders-2.csv").write_text("order,buyer,at,amount\n3,a,2026-06-01 12:00:00,7\n4,a,2026-06-04 12:00:00,8\n")
    assert run("2026-06-04", "2026-06-04") == [date(2026, 6, day) for day in (1, 2, 3, 4)]
    assert orders(shop) == ["1", "2", "3", "4"]


def test_a_changed_mapping_conforms_the_old_nights_again(shop: Shop, run: Callable) -> None:
    run("2026-06-01", "2026-06-03")
    mapping = shop.sources[0].folder / "orders.sql"
    mapping.write_text(MAPPING.replace("as order_id", "|| '-x' as order_id"), encoding="utf-8")
    assert len(run("2026-06-04", "2026-06-04")) == 4
    assert orders(shop) == ["1-x", "2-x"]
