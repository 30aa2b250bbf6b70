"""Small demo shops, each simulated once for all tests of this folder. Must not hold promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from userops_pipeline.ground.home import Home
from userops_pipeline.intake.conform import conform
from userops_pipeline.intake.landing import land, nights_between
from userops_pipeline.intake.source import Source, load_source
from userops_pipeline.simulate import Settings, simulate

NIGHTS = 15
USERS = 300
RATE = 0.06


@dataclass(frozen=True)
class Shop:
    """A simulated shop, landed and conformed."""

    settings: Settings
    home: Home

    def sql(self, query: str) -> list[tuple]:
        """`{drops:<file>}`, `{truth:<table>}`, `{raw:<table>}`, `{quarantine}` and `{accounting}` stand for the files."""
        out, lake = self.settings.out, self.home.root / "lake"

        def place(part: str) -> str:
            kind, _, name = part.partition(":")
            return {
                "drops": f"read_parquet('{out}/drops/*/{name}.parquet', filename=true)",
                "truth": f"'{out}/truth/{name}.parquet'",
                "raw": f"read_parquet('{lake}/raw/{name}/*/demo_shop.parquet')",
                "quarantine": f"read_parquet('{lake}/quarantine/*/*/*.parquet')",
                "accounting": f"read_parquet('{lake}/accounting/*/*.parquet')",
            }[kind]

        for part in {query[i + 1 : query.index("}", i)] for i, mark in enumerate(query) if mark == "{"}:
            query = query.replace("{" + part + "}", place(part))
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(query).fetchall()


def delivered(folder: Path, users: int, nights: int, rate: float) -> Shop:
    """A shop simulated under this folder, every night of it landed and conformed by the source as it stands."""
    settings = Settings(users, nights, seed=11, out=folder / "files", dirt=rate)
    simulate(settings)
    source, home = reading(settings), Home(folder / "home")
    every = nights_between(settings.start, settings.date_of(nights - 1))
    assert {landed.outcome for landed in land(home, source, every)} == {"landed"}
    conform(home, source, every)
    return Shop(settings, home)


def reading(settings: Settings) -> Source:
    """The source of the demo shop, pointed at these files."""
    source = load_source("demo_shop")
    return source.model_copy(update={"root": source.root.model_copy(update={"env": None, "path": str(settings.out)})})


@pytest.fixture(scope="session")
def conformed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[float], Shop]:
    """The same shop with dirt at a rate, landed and conformed by the source as it stands."""
    made: dict[float, Shop] = {}

    def make(rate: float) -> Shop:
        if rate not in made:
            made[rate] = delivered(tmp_path_factory.mktemp("shop"), USERS, NIGHTS, rate)
        return made[rate]

    return make


@pytest.fixture(scope="session")
def dirty(conformed: Callable[[float], Shop]) -> Shop:
    return conformed(RATE)


@pytest.fixture(scope="session")
def clean(conformed: Callable[[float], Shop]) -> Shop:
    return conformed(0.0)


@pytest.fixture(scope="session")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Big enough for the model to show: files and truth of 6,000 users over 90 nights."""
    out = tmp_path_factory.mktemp("larger")
    simulate(Settings(6000, 90, seed=3, out=out, events_per_user=60, orders_per_user=4))
    return out
