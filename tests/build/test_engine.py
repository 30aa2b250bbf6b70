"""What passes between the home and Spark: statements, and the tables handed over as DuckDB shows them. Spark itself runs in `make check-spark`.

Add a case when Spark must be told, or hands over, something else.
Must not start Spark: CI has none.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import sqlglot

from userops_pipeline.build import engine
from userops_pipeline.build.warehouse import Clock
from userops_pipeline.ground import contract
from userops_pipeline.ground.home import Home, UserOpsError

CLOCK = Clock(
    date(2026, 3, 2), date(2026, 3, 1), date(2026, 2, 27), date(2026, 3, 1), "Asia/Shanghai", full=False, nights_to=date(2026, 3, 1)
).row()
TABLES = {("marts", "orders"): {"order_id": "string", "ordered_at": "timestamp", "amount": "decimal(18,2)", "item_count": "bigint"}}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_an_engine_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USEROPS_ENGINE", "sqlite")
    with pytest.raises(UserOpsError, match="there are two engines"):
        engine.engine()


def test_spark_is_told_every_table_of_the_contract_and_the_clock(home: Home) -> None:
    told = "\n".join([*engine.before_build(home, full=False), engine.clock_view(CLOCK)])
    for table in contract.tables():
        assert f"create table raw.{table} (" in told
        assert f"location '{(home.raw / table).as_uri()}'" in told
    assert "date'2026-03-02' as as_of" in told
    assert "date'2026-03-01' as nights_to" in told
    assert "'Asia/Shanghai' as business_zone" in told
    assert "timestamp'2026-02-28 16:00:00' as facts_from_at" in told
    assert "timestamp'2026-02-26 16:00:00' as rows_from_at" in told
    assert "varchar" not in told.lower()


def test_only_a_full_build_forgets_tables_and_no_statement_can_reach_the_lake(home: Home) -> None:
    night, full = (engine.before_build(home, full=full) for full in (False, True))
    assert not [statement for statement in night if "cascade" in statement]
    assert {statement.split()[4] for statement in full if "cascade" in statement} == set(engine.SCHEMAS)
    # Only tables with a location are external: dropping any other would drop its files.
    assert all(" location '" in statement for statement in full if statement.startswith("create table"))


def test_what_spark_is_told_is_sentences_of_spark(home: Home) -> None:
    for statement in [*engine.before_build(home, full=True), engine.clock_view(CLOCK)]:
        sqlglot.parse_one(statement, read="spark")


def test_tables_handed_over_stand_in_the_warehouse_with_the_types_of_their_contract(home: Home) -> None:
    place = home.spark / "handed_over" / "marts" / "orders"
    place.mkdir(parents=True)
    with duckdb.connect() as warehouse:
        # Another order of columns, a narrower number and two files, as Spark may write them.
        warehouse.execute(f"copy (select 2::int as item_count, 1.50::decimal(9,2) as amount, timestamp '2026-03-01 16:00:00' as ordered_at, '一' as order_id) to '{place}/a.parquet'")  # fmt: skip
        warehouse.execute(f"copy (select null::int as item_count, null::decimal(9,2) as amount, null::timestamp as ordered_at, 'b' as order_id) to '{place}/b.parquet'")  # fmt: skip
        engine.show(home, warehouse, TABLES)
        types = [row[:2] for row in warehouse.execute("describe marts.orders").fetchall()]
        rows = warehouse.execute("select * from marts.orders order by order_id").fetchall()
    assert types == [("order_id", "VARCHAR"), ("ordered_at", "TIMESTAMP"), ("amount", "DECIMAL(18,2)"), ("item_count", "BIGINT")]
    assert rows == [("b", None, None, None), ("一", datetime(2026, 3, 1, 16), Decimal("1.50"), 2)]
