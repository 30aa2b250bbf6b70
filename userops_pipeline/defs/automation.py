"""Automation: the one job, when it runs, and who is told when it fails.

Here live the nightly job, its schedule and the failure sensor; add here when something should start by itself.
Must not hold what a run does: the steps beside this file do.
"""

import difflib
import os
import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from userops_pipeline.core import warrant
from userops_pipeline.core.alerts import alert
from userops_pipeline.core.gate import expectations
from userops_pipeline.core.home import UserOpsError
from userops_pipeline.defs.land import landing_key
from userops_pipeline.defs.resources import FIRST_NIGHT_TAG, Shop

NIGHTLY = "nightly"


def nightly_job(shop: Shop) -> UnresolvedAssetJobDefinition:
    """The whole flow for one night or a range of nights, in one process: DuckDB has one writer and uses every core itself."""
    return dg.define_asset_job(
        NIGHTLY,
        selection=dg.AssetSelection.all(),
        partitions_def=shop.partitions,
        executor_def=dg.in_process_executor,
        description="Land, conform, gate, build, score, publish and deliver one night, or a range of nights as one run.",
    )


def nightly_schedule(job: UnresolvedAssetJobDefinition) -> Any:
    """Every night at USEROPS_HOUR (default 3) in the business zone, for the day that has ended; switched on in the UI."""
    return dg.build_schedule_from_partitioned_job(job, name="every_night", hour_of_day=int(os.environ.get("USEROPS_HOUR", "3")))


def failure_sensor(shop: Shop) -> dg.SensorDefinition:
    """Tells about every failed run, however it was started, as long as the Dagster daemon runs."""

    @dg.run_failure_sensor(name="alert_on_failure", default_status=dg.DefaultSensorStatus.RUNNING)
    def alert_on_failure(context: dg.RunFailureSensorContext) -> None:
        steps = ", ".join(event.step_key for event in context.get_step_failure_events() if event.step_key) or "before its first step"
        ways = alert(shop.home, f"Run {context.dagster_run.run_id[:8]} of {context.dagster_run.job_name} failed at {steps}.")
        context.log.info(f"told by {', '.join(ways)}")

    return alert_on_failure


@dataclass(frozen=True)
class Finished:
    """How a run ended: (step, sentence) of what failed, nothing where all went well."""

    run_id: str
    seconds: float
    failures: list[tuple[str, str]]


def run_nights(
    definitions: dg.Definitions,
    shop: Shop,
    first: date,
    last: date,
    *,
    accept_changed: bool = False,
    waive: list[str] | None = None,
    full_refresh: bool = False,
    dry_run: bool = False,
) -> Finished:
    """Run the nightly job for these nights in this process, recorded in the instance that the UI shows.

    Raises:
        UserOpsError: a night is none of the shop's, or `waive` names no expectation; nothing was started.
    """
    begun = time.perf_counter()
    _refuse_unknown(shop, first, last, waive or [])
    job = definitions.resolve_job_def(NIGHTLY)
    lists = [node for node in job.graph.node_dict if node.startswith("lists__")]
    config: dict[str, Any] = {
        "loggers": {"console": {}},
        "ops": {
            **{landing_key(source).to_python_identifier(): {"config": {"accept_changed": accept_changed}} for source in shop.sources},
            "gate": {"config": {"waive": waive or []}},
            "build": {"config": {"full_refresh": full_refresh}},
            **{node: {"config": {"dry_run": dry_run}} for node in lists},
        },
    }
    run_id = str(uuid.uuid4())
    with dg.DagsterInstance.get() as instance:
        result = job.execute_in_process(
            instance=instance,
            run_config=config,
            partition_key=last.isoformat(),
            run_id=run_id,
            tags={warrant.TAG: warrant.sign(shop.home, run_id)} | ({FIRST_NIGHT_TAG: first.isoformat()} if first < last else {}),
            raise_on_error=False,
        )
    return Finished(result.run_id, time.perf_counter() - begun, _failures(result.all_events))


def _failures(events: Sequence[dg.DagsterEvent]) -> list[tuple[str, str]]:
    """What failed and why; the run's own failure only where no step says more."""
    told = [_told(event) for event in events if event.is_failure]
    return [entry for entry in told if entry[0] != "run"] or told


def _refuse_unknown(shop: Shop, first: date, last: date, waive: list[str]) -> None:
    nights = shop.partitions.get_partition_keys()
    for night in (first, last):
        if night.isoformat() not in nights:
            ended = f"they are {nights[0]} to {nights[-1]}" if nights else "there is none yet"
            raise UserOpsError(f"{night} is none of the nights that can be run: {ended}.")
    known = {f"{expectation.table}.{expectation.name}" for expectation in expectations(shop.sources)}
    for name in waive:
        if name not in known:
            like = difflib.get_close_matches(name, known, 1, cutoff=0)[0]
            raise UserOpsError(f"There is no expectation {name!r} to waive; the gate's names are like {like}.")


def _told(event: dg.DagsterEvent) -> tuple[str, str]:
    """The step that failed and the innermost sentence of why."""
    error = getattr(event.event_specific_data, "error", None)
    while error is not None and error.cause is not None:
        error = error.cause
    sentence = (error.message if error is not None else event.message or "failed").strip()
    return event.step_key or "run", re.sub(r"^[\w.]+: ", "", sentence)[:600]  # without the name of the exception's class
