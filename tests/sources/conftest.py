"""Real event data through landing, conform and dbt, each by a source folder of its own beside this file.

Here lives how such a source is built in tmp_path, and the skip where the data are absent.
Must not hold expectations: a test says itself what should come out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from tests.dbt_runs import run_dbt
from userops_pipeline.build.warehouse import finish_build, prepare_build
from userops_pipeline.ground.home import PROJECT_DIR, Home
from userops_pipeline.intake.conform import Accounting, conform
from userops_pipeline.intake.landing import land
from userops_pipeline.intake.source import load_source

SHARED_DATA = Path(os.environ.get("USEROPS_SHARED_DATA") or PROJECT_DIR.parent / "shared" / "data")
DBT_PROJECT = PROJECT_DIR / "dbt_project"
MODELS = ("+int_sessions", "+int_activity", "+sessions_daily", "+identity_changes_daily")

Built = tuple[duckdb.DuckDBPyConnection, list[Accounting]]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], Built]]:
    """Loads every night of the source of that name from the data folder of that name; gives the warehouse and the accounting."""
    opened: list[duckdb.DuckDBPyConnection] = []

    def run(name: str, data: str) -> Built:
        files = SHARED_DATA / data
        if not files.is_dir():
            pytest.skip(f"the data set {data} is not at {files}; set USEROPS_SHARED_DATA")
        os.environ["USEROPS_TEST_DATA"] = str(files)
        source = load_source(str(Path(__file__).parent / name))
        assert source.last_night is not None
        nights = [source.first_night + timedelta(days) for days in range((source.last_night - source.first_night).days + 1)]
        home = Home(tmp_path_factory.mktemp(name))
        land(home, source, nights)
        accounting = conform(home, source, nights)
        _dbt(home, source, nights[-1])
        connection = duckdb.connect(str(home.warehouse), read_only=True)
        connection.execute("set timezone = 'UTC'")
        opened.append(connection)
        return connection, accounting

    yield run
    for connection in opened:
        connection.close()
    os.environ.pop("USEROPS_TEST_DATA", None)


def _dbt(home: Home, source: object, as_of: date) -> None:
    prepare_build(home, [source], as_of)  # type: ignore[list-item]
    chosen = ["--select", *MODELS, "--indirect-selection", "cautious", "--exclude", "resource_type:unit_test"]
    run_dbt(home.warehouse, "build", *chosen, target=home.dbt_target)
    finish_build(home, as_of)
