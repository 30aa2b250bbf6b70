"""A small shop in tmp_path: a source folder, its drops and its home, run through the real land, conform and gate.

Here lives what the tests of the lake share. Add a question about the lake here when two test files ask it.
Must not hold expectations: a test says itself what should have happened.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from userops_pipeline.ground import contract
from userops_pipeline.ground.home import Home
from userops_pipeline.ground.lake import raw_scan
from userops_pipeline.intake.conform import Accounting, conform
from userops_pipeline.intake.landing import Landed, land
from userops_pipeline.intake.nights import config_hash
from userops_pipeline.intake.source import Source, load_source

USERS = "user_id,registered,name,email,phone,birth\n"
ORDERS = "order_id,user_id,at,amount,currency,status\n"
MAPPINGS = {
    "users": "select user_id, registered as registered_at, name, email, phone, birth as birth_date, _file, _row, _night from users",
    "orders": 'select order_id, user_id, "at" as ordered_at, status, amount, currency, _file, _row, _night from orders',
}


class Shop:
    """One shop: `drop` delivers a file, `run` lands and conforms nights, the rest asks the lake."""

    def __init__(self, folder: Path, changes: dict[str, Any], mappings: dict[str, str]) -> None:
        self.folder, self.drops = folder / "shop", folder / "drops"
        self.folder.mkdir()
        self.drops.mkdir()
        self.home = Home(folder / "home")
        self.document: dict[str, Any] = {
            "about": "A shop of the tests",
            "business_zone": "UTC",
            "zone": "UTC",
            "first_night": "2026-03-01",
            "root": {"path": str(self.drops)},
            "phone_prefix": "+86",
            "files": {
                "users": {"path": "{night}/users*", "columns": USERS.strip().split(",")},
                "orders": {"path": "{night}/orders*", "columns": ORDERS.strip().split(",")},
            },
            "tables": {"users": {"each": "users"}, "orders": {"each": "orders"}},
        } | changes
        self.configure()
        for table, sql in (MAPPINGS | mappings).items():
            self.map(table, sql)

    def configure(self) -> None:
        (self.folder / "source.yml").write_text(yaml.safe_dump(self.document, allow_unicode=True), encoding="utf-8")

    def map(self, table: str, sql: str) -> None:
        if table in self.document["tables"]:
            (self.folder / f"{table}.sql").write_text(sql, encoding="utf-8")

    @property
    def source(self) -> Source:
        return load_source(str(self.folder))

    def drop(self, night: str, name: str, content: bytes | str) -> Path:
        path = self.drops / night / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def land(self, *nights: str, accept_changed: bool = False) -> list[Landed]:
        return land(self.home, self.source, [date.fromisoformat(night) for night in nights], accept_changed=accept_changed)

    def conform(self, *nights: str) -> list[Accounting]:
        return conform(self.home, self.source, [date.fromisoformat(night) for night in nights])

    def run(self, *nights: str) -> list[Accounting]:
        self.land(*nights)
        return self.conform(*nights)

    def ask(self, sql: str) -> list[tuple]:
        """Rows of a query that names contract tables as {orders} and the like."""
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(sql.format(**{name: raw_scan(self.home, name) for name in contract.tables()})).fetchall()

    def aside(self) -> list[tuple[str, str | None, str]]:
        """(table, column, reason) of every row in quarantine, in order of table, file and row."""
        files = sorted(str(path) for path in self.home.quarantine.glob("*/*/*.parquet"))
        if not files:
            return []
        with duckdb.connect() as connection:
            return connection.execute(
                "select table_name, column_name, reason from read_parquet($files, hive_partitioning = false) "
                "order by table_name, arrived_on, source_file, source_row",
                {"files": files},
            ).fetchall()

    def content(self, table: str) -> list[tuple]:
        """The table's rows without lineage, in a fixed order."""
        names = ", ".join(column.name for column in contract.tables()[table].columns)
        return self.ask(f"select arrived_on, {names} from {{{table}}} order by all")

    def lake_bytes(self) -> dict[str, bytes]:
        """Every file of raw, quarantine, accounting and nights, without the hash of a source.yml that names this shop's own folder."""
        own = config_hash(self.home, self.source).encode()
        roots = (self.home.raw, self.home.quarantine, self.home.accounting, self.home.nights)
        files = [path for root in roots for path in sorted(root.rglob("*")) if path.is_file()]
        return {str(path.relative_to(self.home.root)): path.read_bytes().replace(own, b"") for path in files}


@pytest.fixture
def new_shop(tmp_path: Path) -> Callable[..., Shop]:
    """Makes shops; keywords replace keys of source.yml, `mappings` adds or replaces mappings."""

    def make(*, name: str = "a", mappings: dict[str, str] | None = None, **changes: Any) -> Shop:
        folder = tmp_path / name
        folder.mkdir()
        return Shop(folder, changes, mappings or {})

    return make


@pytest.fixture
def shop(new_shop: Callable[..., Shop]) -> Shop:
    return new_shop()
