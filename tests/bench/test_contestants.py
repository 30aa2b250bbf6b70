"""The contestants of the benchmark on a shop small enough to work out by hand, and the comparison on a table that is wrong.

Add a case when a definition of the compared tables changes. Must not measure time.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.bench import scale
from tests.bench.contestants import WRITERS
from userops_pipeline.core.home import Home

NIGHT = date(2026, 3, 31)


def shop(inputs: Path) -> None:
    """One user on two devices over two midnights, one device without a user, three purchases."""
    begun = datetime(2026, 3, 29, 23, 50)
    events = [("d1", "u1", begun + timedelta(minutes=29 * step), "view") for step in range(52)]  # without a break over two midnights
    events += [("d2", "u1", datetime(2026, 3, 31, 9, 0), "view"), ("d2", "u1", datetime(2026, 3, 31, 9, 30), "heartbeat")]
    events += [("d3", None, datetime(2026, 3, 1, 9, 0), "view")]
    orders = [("o2", "u1", datetime(2026, 3, 1, 8, 0), "10.10"), ("o1", "u1", datetime(2026, 3, 1, 8, 0), "0.20"), ("o3", "u1", datetime(2026, 3, 31, 8, 0), "5")]  # fmt: skip
    with duckdb.connect() as con:
        con.execute("create table events (device_id varchar, user_id varchar, event_at timestamp, event_on date, event_name varchar)")
        con.executemany("insert into events values (?, ?, ?, ?, ?)", [(d, u, at, at.date(), name) for d, u, at, name in events])
        con.execute("create table orders (order_id varchar, user_id varchar, ordered_at timestamp, ordered_on date, amount decimal(18, 2))")
        con.executemany("insert into orders values (?, ?, ?, ?, ?)", [(o, u, at, at.date(), amount) for o, u, at, amount in orders])
        for table in ("events", "orders"):
            con.execute(f"copy {table} to '{inputs}/{table}.parquet'")


@pytest.mark.parametrize("name", WRITERS)
def test_a_contestant_makes_the_tables_as_defined(name: str, tmp_path: Path) -> None:
    if name == "Polars streaming":
        pytest.importorskip("polars")
    shop(tmp_path)
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    WRITERS[name](tmp_path, outputs, NIGHT)

    def rows(query: str) -> list[tuple]:
        with duckdb.connect() as con:
            return con.execute(query.format(outputs)).fetchall()

    second_midnight = 50  # events before 2026-03-31 00:00
    sessions = rows("select device_id, event_count, started_at from '{}/sessions.parquet' order by device_id, started_at")
    assert [row[:2] for row in sessions] == [("d1", second_midnight), ("d1", 2), ("d2", 1), ("d2", 0), ("d3", 1)]
    cents = 100 if name == "pandas" else 1
    found = rows(
        "select order_count, spend_amount, order_count_30d, spend_amount_30d, event_count_7d, last_order_on::date from '{}/features.parquet'"
    )
    assert [(a, Decimal(b) / cents, c, Decimal(d) / cents, e, f) for a, b, c, d, e, f in found] == [
        (3, Decimal("15.30"), 1, Decimal("5"), 53, NIGHT)
    ]
    assert rows("select * from '{}/purchases.parquet' order by purchase_number") == [("o1", 1, None), ("o2", 2, 0), ("o3", 3, 30)]
    assert len(rows("select * from '{}/user_days.parquet'")) == 4


def test_a_table_that_differs_is_found(tmp_path: Path) -> None:
    home, outputs = Home(tmp_path), tmp_path / "outputs"
    outputs.mkdir()
    home.warehouse.parent.mkdir(parents=True)
    shop(tmp_path)
    WRITERS["DuckDB by hand"](tmp_path, outputs, NIGHT)
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute("create schema intermediate; create schema marts")
        for table, place in (("sessions", "intermediate.int_sessions"), ("user_days", "intermediate.int_user_day")):
            con.execute(f"create table {place} as from '{outputs}/{table}.parquet'")
        con.execute(f"create table intermediate.int_user_features as from '{outputs}/features.parquet'")
        con.execute(f"create table marts.user_orders as from '{outputs}/purchases.parquet'")
    assert scale.differences(home, outputs, money_in_cents=False) == {}
    with duckdb.connect(str(home.warehouse)) as con:
        con.execute("update intermediate.int_user_day set spend_amount = spend_amount + 0.01 where order_count = 1")
    assert set(scale.differences(home, outputs, money_in_cents=False)) == {"user_days"}
