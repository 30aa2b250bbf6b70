"""The comparison behind `make check-spark` finds what differs; shown on two small generations, without Spark.

Add a kind of difference when the comparison could miss it. Must not build the shop.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest

from tests.spark import check
from userops_pipeline.core import generations
from userops_pipeline.core.home import Home

ROWS = "select * from (values ('u1', 1.50::decimal(18,2)), ('u2', null)) as t (user_id, amount)"


def published(folder: Path, orders: str, *others: str) -> generations.Generation:
    with duckdb.connect() as warehouse:
        warehouse.execute(f"create schema marts; create table marts.orders as {orders}")
        for other in others:
            warehouse.execute(f"create table marts.{other} as select 1 as a")
        return generations.publish(
            Home(folder),
            warehouse,
            tables=[generations.PublishedTable("marts", name) for name in ("orders", *others)],
            as_of=date(2026, 3, 1),
            window_from=date(2026, 3, 1),
            first_on=date(2026, 3, 1),
            sources=["shop"],
            business_zone="UTC",
            checks=[generations.CheckResult(name="one", passed=True)],
            config_hash=folder.name,
            rulebook_json="{}",
        )


def test_equal_tables_are_equal_whatever_the_order_of_their_rows(tmp_path: Path) -> None:
    assert check.differing(published(tmp_path / "a", ROWS), published(tmp_path / "b", f"{ROWS} order by user_id desc")) == []


@pytest.mark.parametrize(
    ("other", "columns"),
    [
        (ROWS.replace("1.50", "1.51"), ["amount"]),
        (ROWS.replace("'u2'", "'u3'"), ["user_id"]),
        (f"{ROWS} union all select 'u2', null", ["user_id"]),
        (f"select user_id, amount::decimal(18,3) as amount from ({ROWS})", []),
    ],
    ids=["value", "key", "row twice", "type"],
)
def test_a_difference_is_found_with_its_column(tmp_path: Path, other: str, columns: list[str]) -> None:
    found = check.differing(published(tmp_path / "a", ROWS), published(tmp_path / "b", other))
    assert [difference.table for difference in found] == ["orders"]
    assert set(columns) <= set(found[0].columns)


def test_a_table_of_one_engine_only_is_found(tmp_path: Path) -> None:
    found = check.differing(published(tmp_path / "a", ROWS, "extra"), published(tmp_path / "b", ROWS))
    assert [difference.table for difference in found] == ["extra"]


def test_without_java_nothing_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert check.main() == 2
    assert "Spark needs Java 17" in capsys.readouterr().out
