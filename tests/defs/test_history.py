"""Dagster's record of runs as a home keeps it: the same files and the same answers as Dagster's own storage, without a connection an event.

Add here when the record is kept otherwise. Must not look at what a run of ours records: the flow's tests do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log.sqlite import sqlite_event_log

from userops_pipeline.cli import DAGSTER_YAML
from userops_pipeline.defs import history

CHECKS = 20


@dg.multi_asset(
    specs=[dg.AssetSpec("table")], check_specs=[dg.AssetCheckSpec(f"check_{number}", asset="table") for number in range(CHECKS)]
)
def assets() -> dg.MaterializeResult:
    results = [dg.AssetCheckResult(check_name=f"check_{number}", passed=number > 0) for number in range(CHECKS)]
    return dg.MaterializeResult(asset_key="table", metadata={"rows": 7}, check_results=results)


@pytest.fixture
def instance_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], contextlib.AbstractContextManager[dg.DagsterInstance]]:
    def instance_of(settings: str) -> contextlib.AbstractContextManager[dg.DagsterInstance]:
        (tmp_path / "dagster.yaml").write_text(settings, encoding="utf-8")
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
        return dg.DagsterInstance.get()

    return instance_of


def test_a_run_is_recorded_as_dagster_would_through_two_connections(
    instance_of: Callable[[str], contextlib.AbstractContextManager[dg.DagsterInstance]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    create = sqlite_event_log.create_engine
    for module in (sqlite_event_log, history):
        monkeypatch.setattr(module, "create_engine", lambda url, **options: made.append(url) or create(url, **options))
    with instance_of(DAGSTER_YAML) as ours:
        runs = [dg.materialize([assets], instance=ours, run_config={"loggers": {"console": {}}}).run_id for _ in range(2)]
        assert len(made) <= 1 + 1 + len(runs), "one to begin with, one for the index, one a run"
        told = [[entry.message for entry in ours.all_logs(run)] for run in runs]
    with instance_of("telemetry:\n  enabled: false\n") as dagsters:
        assert type(dagsters.event_log_storage) is sqlite_event_log.SqliteEventLogStorage
        assert [[entry.message for entry in dagsters.all_logs(run)] for run in runs] == told
        latest = dagsters.get_latest_materialization_event(dg.AssetKey("table"))
        assert latest is not None and latest.run_id == runs[-1]
        assert min(map(len, told)) > CHECKS
