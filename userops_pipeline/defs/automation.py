"""Automation: the one job, when it runs, and how Dagster's runs come to the watch.

Here live the nightly job, its schedule and the sensors; add here when something should start by itself.
Must not hold what a run does (the steps beside this file do), nor when somebody is told (oncall/watch.py does).
"""

import difflib
import os
import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import dagster as dg
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.remote_origin import RemoteRepositoryOrigin
from dagster._core.workspace.load import location_origins_from_yaml_paths

from userops_pipeline.defs.land import landing_key
from userops_pipeline.defs.publish import GENERATION
from userops_pipeline.defs.resources import FIRST_NIGHT_TAG, HELD, partitions_of
from userops_pipeline.ground import warrant
from userops_pipeline.ground.home import WORKSPACE, UserOpsError
from userops_pipeline.intake.gate import expectations
from userops_pipeline.intake.shop import Shop
from userops_pipeline.oncall.alerts import plain
from userops_pipeline.oncall.runs import Calendar, Outcome, Run, runs
from userops_pipeline.oncall.watch import BEFORE, conclude, look, of_exception

NIGHTLY = "nightly"


def nightly_job(shop: Shop) -> UnresolvedAssetJobDefinition:
    """The whole flow for one night or a range of nights, in one process: DuckDB has one writer and uses every core itself."""
    return dg.define_asset_job(
        NIGHTLY,
        selection=dg.AssetSelection.all(),
        partitions_def=partitions_of(shop),
        executor_def=dg.in_process_executor,
        description="Land, conform, gate, build, score, publish and deliver one night, or a range of nights as one run.",
    )


def nightly_schedule(job: UnresolvedAssetJobDefinition) -> Any:
    """Every night at USEROPS_HOUR (default 3) in the business zone, for the day that has ended; switched on in the UI."""
    return dg.build_schedule_from_partitioned_job(job, name="every_night", hour_of_day=int(os.environ.get("USEROPS_HOUR", "3")))


def watch_sensors(shop: Shop) -> list[dg.SensorDefinition]:
    """One sensor per way a run can end, and one that asks every ten minutes for what never came; they run with the Dagster daemon."""
    ends = {"alert_on_failure": dg.DagsterRunStatus.FAILURE, "alert_on_cancel": dg.DagsterRunStatus.CANCELED}
    return [
        *(_end_sensor(shop, name, status) for name, status in {**ends, "note_success": dg.DagsterRunStatus.SUCCESS}.items()),
        _freshness_sensor(shop),
    ]


def _end_sensor(shop: Shop, name: str, status: dg.DagsterRunStatus) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        run_status=status,
        name=name,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells how runs of the UI and of schedules end; runs of the command line tell it themselves.",
    )
    def end_sensor(context: dg.RunStatusSensorContext) -> None:
        ways = told_of(shop, context.instance, context.dagster_run)
        context.log.info(f"told by {', '.join(ways)}" if ways else "nothing to tell")

    return end_sensor


def _freshness_sensor(shop: Shop) -> dg.SensorDefinition:
    @dg.sensor(
        name="alert_on_stale",
        minimum_interval_seconds=600,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells when yesterday is not published by the hour it is due, when a run died without a word, and daily what is still open.",
    )
    def alert_on_stale() -> dg.SkipReason:
        return dg.SkipReason(" ".join(look(shop.home, Calendar.of(shop.sources))) or "Every night that is due is published.")

    return alert_on_stale


def told_of(shop: Shop, instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    """Remember and tell how a run ended that nobody watched; the ways by which it was told."""
    if any(known.id == run.run_id for known in runs(shop.home)):
        return []  # the command line watches its own
    calendar, stats = Calendar.of(shop.sources), instance.get_run_stats(run.run_id)
    last = run.tags.get("dagster/asset_partition_range_end") or run.tags.get("dagster/partition")
    first = run.tags.get(FIRST_NIGHT_TAG) or run.tags.get("dagster/asset_partition_range_start") or last
    ended = Run(
        id=run.run_id,
        first=date.fromisoformat(first) if first else None,
        last=date.fromisoformat(last) if last else None,
        started_at=datetime.fromtimestamp(stats.start_time or stats.launch_time or time.time(), UTC),
        ended_at=datetime.fromtimestamp(stats.end_time or time.time(), UTC),
        zone=calendar.zone,
        first_night=calendar.first_night,
        ends_on=calendar.ends_on,
    )
    if run.status == dg.DagsterRunStatus.CANCELED:
        failures = [Failed(BEFORE, "It was cancelled in the UI; nothing more was done. Run the night again.")]
    else:
        failures = failures_of([entry.dagster_event for entry in instance.all_logs(run.run_id) if entry.dagster_event is not None])
    outcome: Outcome = "good" if run.status == dg.DagsterRunStatus.SUCCESS else _outcome(failures)
    cause = failures[0] if failures and outcome != "good" else None
    ended = ended.model_copy(update={"outcome": outcome, "step": cause and cause.step, "cause": cause and cause.sentence})
    return conclude(shop.home, ended, is_whole=run.job_name == NIGHTLY)


@dataclass(frozen=True)
class Failed:
    """A step that failed and why; `is_held` where a check of the data or the rules stopped it, not a fault."""

    step: str
    sentence: str
    is_held: bool = False


@dataclass(frozen=True)
class Finished:
    """How a run ended: what failed, the first cause first; nothing where all went well."""

    run_id: str
    seconds: float
    outcome: Outcome
    failures: list[Failed]
    has_published: bool


def run_nights(
    definitions: dg.Definitions,
    shop: Shop,
    first: date,
    last: date,
    *,
    run_id: str | None = None,
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
    run_id = run_id or str(uuid.uuid4())
    with dg.DagsterInstance.get() as instance:
        _as_of_the_ui(instance)
        result = job.execute_in_process(
            instance=instance,
            run_config=config,
            partition_key=last.isoformat(),
            run_id=run_id,
            tags={warrant.TAG: warrant.sign(shop.home, run_id)} | ({FIRST_NIGHT_TAG: first.isoformat()} if first < last else {}),
            raise_on_error=False,
        )
    failures = failures_of(result.all_events)
    return Finished(
        result.run_id,
        time.perf_counter() - begun,
        "good" if result.success else _outcome(failures),
        failures,
        has_published=any(event.is_step_success and event.step_key == GENERATION.to_python_identifier() for event in result.all_events),
    )


def _as_of_the_ui(instance: dg.DagsterInstance) -> None:
    """Let runs of this instance belong to the location that the UI serves: what belongs to none is in no timeline and no sensor's sight."""
    [location] = location_origins_from_yaml_paths([str(WORKSPACE)])
    origin = RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME).get_job_origin(NIGHTLY)
    instance.create_run_for_job = partial(instance.create_run_for_job, remote_job_origin=origin)  # pyright: ignore[reportAttributeAccessIssue]


def failures_of(events: Sequence[dg.DagsterEvent]) -> list[Failed]:
    """What failed and why, in the order it did; the run's own failure only where no step says more."""
    told = [_told(event) for event in events if event.is_failure]
    return [entry for entry in told if entry.step != BEFORE] or told


def _outcome(failures: list[Failed]) -> Outcome:
    """A night that was published but for a list, one that a check holds, or one that failed."""
    if failures and all(failure.step.startswith("lists__") for failure in failures):
        return "list"
    return "held" if failures and failures[0].is_held else "failed"


def _refuse_unknown(shop: Shop, first: date, last: date, waive: list[str]) -> None:
    nights = partitions_of(shop).get_partition_keys()
    for night in (first, last):
        if night.isoformat() not in nights:
            ended = f"they are {nights[0]} to {nights[-1]}" if nights else "there is none yet"
            raise UserOpsError(f"{night} is none of the nights that can be run: {ended}.")
    known = {f"{expectation.table}.{expectation.name}" for expectation in expectations(shop.sources)}
    for name in waive:
        if name not in known:
            like = difflib.get_close_matches(name, known, 1, cutoff=0)[0]
            raise UserOpsError(f"There is no expectation {name!r} to waive; the gate's names are like {like}.")


def _told(event: dg.DagsterEvent) -> Failed:
    """The step that failed and the sentence of why: our own words where there are some, else the innermost error's class and place."""
    data = event.event_specific_data
    error, chain = getattr(data, "error", None), []
    while error is not None:
        chain.append(error)
        error = error.cause
    step = event.step_key or BEFORE
    if not chain:
        return Failed(step, (event.message or "It failed without a word.").strip())
    spoken = next((error for error in chain if error.cls_name in _spoken()), None)
    if spoken is not None:
        metadata = getattr(getattr(data, "user_failure_data", None), "metadata", None) or {}
        return Failed(step, _unnamed(spoken.message)[:1500], HELD in metadata)
    innermost = chain[-1]
    # DuckDB lets go of a query that a signal interrupts, and says so in these words instead of passing on what the signal raised.
    is_stopped = innermost.message.strip().endswith("Query interrupted")
    if is_stopped or any(error.cls_name in ("DagsterExecutionInterruptedError", "KeyboardInterrupt") for error in chain):
        return Failed(step, of_exception(KeyboardInterrupt()))
    places = [found for line in innermost.stack if (found := re.search(r"(userops_pipeline/\S+)\", line (\d+)", line))]
    place = f" at {places[-1][1]}:{places[-1][2]}" if places else ""
    return Failed(step, f"{innermost.cls_name}{place}: {plain(_unnamed(innermost.message))}")


def _unnamed(message: str) -> str:
    """An error's words without the name of its class."""
    return re.sub(r"^[\w.]+: ", "", message.strip())


def _spoken() -> set[str]:
    """The classes of errors whose words are for people."""
    found, waiting = {dg.Failure.__name__}, [UserOpsError]
    while waiting:
        error = waiting.pop()
        found.add(error.__name__)
        waiting += error.__subclasses__()
    return found
