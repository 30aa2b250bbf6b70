"""What an operator finds in Dagster: every asset explained, every run recorded with its numbers, every failure told.

Add here what the UI must show. Must not run nights beyond those of the shelf.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from flow_harness import EVE, FIRST, LAST, FlowShop, listening, nights

from userops_pipeline.definitions import build_definitions
from userops_pipeline.defs.automation import NIGHTLY, watch_sensors
from userops_pipeline.defs.resources import held
from userops_pipeline.ground.home import Home
from userops_pipeline.intake.shop import Shop
from userops_pipeline.intake.source import load_source
from userops_pipeline.oncall.runs import runs

GROUPS = {"land", "conform", "build_staging", "build_intermediate", "build_marts", "build_exports", "score", "publish", "deliver"}


@pytest.fixture
def instance(clean: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(clean / "dagster"))
    with dg.DagsterInstance.get() as found:
        yield found


@pytest.fixture
def definitions(shop: FlowShop, clean: Path) -> dg.Definitions:
    return build_definitions(Shop(Home(clean), (load_source(str(shop.source)),)))


def test_the_location_loads_with_its_job_schedule_and_sensor(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)
    assert definitions.resolve_job_def(NIGHTLY)
    [schedule], sensors = definitions.schedules or [], definitions.sensors or []
    assert definitions.get_repository_def().get_schedule_def("every_night").execution_timezone == "Asia/Shanghai"
    assert schedule is not None
    assert {sensor.default_status for sensor in sensors} == {dg.DefaultSensorStatus.RUNNING}
    assert {sensor.name for sensor in sensors} == {"alert_on_failure", "alert_on_cancel", "note_success", "alert_on_stale"}


def test_every_asset_has_a_group_an_owner_a_kind_and_says_what_one_row_is(definitions: dg.Definitions) -> None:
    specs = [spec for spec in definitions.resolve_all_asset_specs() if spec.group_name != "default"]
    assert len(specs) > 80
    assert {spec.group_name for spec in specs} == GROUPS
    lacking = {
        spec.key.to_user_string(): [name for name, there in (("owner", spec.owners), ("kind", spec.kinds)) if not there]
        for spec in specs
        if not spec.owners or not spec.kinds
    }
    assert lacking == {}
    without_grain = [
        spec.key.to_user_string()
        for spec in specs
        if not (spec.description or "").strip().lower().startswith(("one row", "one verbatim copy"))
    ]
    assert without_grain == []


def test_one_backfill_is_one_run_that_stands_for_every_night_of_its_range(instance: dg.DagsterInstance) -> None:
    last, backfill = instance.get_runs(limit=2)  # newest first
    assert (backfill.tags["userops/first_night"], backfill.tags["dagster/partition"]) == (str(FIRST), str(EVE))
    assert last.tags["dagster/partition"] == str(LAST)
    assert {backfill.status, last.status} == {dg.DagsterRunStatus.SUCCESS}
    for run in (backfill, last):  # of the location that the UI serves: in its timeline, and seen by its sensors
        assert run.remote_job_origin is not None
        assert run.remote_job_origin.repository_origin.get_label() == "__repository__@userops"
    for key in ("landing/sample_shop", "published/generation"):
        assert instance.get_materialized_partitions(dg.AssetKey(key.split("/"))) == {str(night) for night in nights()}, key


def test_a_run_leaves_numbers_that_plot_and_pictures(instance: dg.DagsterInstance) -> None:
    def metadata(key: str) -> dict[str, object]:
        event = instance.get_latest_materialization_event(dg.AssetKey(key.split("/")))
        assert event is not None
        assert event.asset_materialization is not None
        return {name: value.value for name, value in event.asset_materialization.metadata.items()}

    published = metadata("published/generation")
    assert {"dagster/row_count", "tables", "checks_passed", "seconds"} <= published.keys()
    reviewed = metadata("published/review")
    assert (reviewed["generation"], Path(str(reviewed["page"])).name) == (published["generation"], f"{LAST}.html")
    for picture in (
        "stages_night_by_night",
        "stage_flow",
        "active_users",
        "retention_weekly",
        "rfm_grid",
        "value_concentration",
        "list_sizes",
    ):
        assert "](data:image/svg+xml;base64," in str(reviewed[picture])
    assert {"rows", "bytes", "files_landed", "seconds"} <= metadata("landing/sample_shop").keys()
    assert {"rows_in", "quarantined", "duplicates", "dagster/row_count"} <= metadata("raw/orders").keys()
    assert {"planned", "sent", "calls", "sentence"} <= metadata("lists/coupon_news").keys()
    key = next(key for key in instance.all_asset_keys() if key.path[-1] == "user_lifecycle")
    assert {"dagster/row_count", "seconds"} <= metadata(key.to_user_string()).keys()


def test_a_run_of_the_ui_is_told_by_the_sensors_and_one_of_the_command_line_is_not_told_again(
    shop: FlowShop, clean: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_well = False

    @dg.op
    def gate() -> None:
        if not goes_well:
            raise held("The gate holds the night: orders.key_is_unique: 3 of 100 rows are not.")

    @dg.op(ins={"after": dg.In(dg.Nothing)})
    def build() -> None:
        pass

    @dg.job(name=NIGHTLY)
    def job() -> None:
        build(gate())

    sensors = {sensor.name: sensor for sensor in watch_sensors(Shop(Home(clean), (load_source(str(shop.source)),)))}

    def ticks(sensor: str, run: dg.DagsterRun, kind: str) -> None:
        [event] = [
            entry.dagster_event
            for entry in instance.all_logs(run.run_id)
            if entry.dagster_event and entry.dagster_event.event_type_value == kind
        ]
        sensors[sensor](
            dg.build_run_status_sensor_context(sensor_name=sensor, dagster_event=event, dagster_instance=instance, dagster_run=run)
        )

    with listening() as (tool, bodies):
        monkeypatch.setenv("USEROPS_ALERT_WEBHOOK", tool.url)
        bad = job.execute_in_process(instance=instance, raise_on_error=False, tags={"dagster/partition": str(LAST)}).dagster_run
        ticks("alert_on_failure", bad, "PIPELINE_FAILURE")
        ticks("alert_on_failure", bad, "PIPELINE_FAILURE")
        goes_well = True
        good = job.execute_in_process(instance=instance, tags={"dagster/partition": str(LAST)}).dagster_run
        ticks("note_success", good, "PIPELINE_SUCCESS")
        ticks("note_success", instance.get_runs(limit=3)[-1], "PIPELINE_SUCCESS")  # the command line's
    cause = "The gate holds the night: orders.key_is_unique: 3 of 100 rows are not."
    said = [
        f"held (home): night {LAST} (run {bad.run_id[:8]}) at gate: {cause}",
        f"recovered (home): night {LAST} (run {good.run_id[:8]}) went well. Told before: a night is held ({LAST}).",
    ]
    assert [line.split(" ", 2)[2] for line in (clean / "alerts.log").read_text(encoding="utf-8").splitlines()] == said
    assert [body["text"] for body in bodies] == said
    assert [run.outcome for run in runs(Home(clean))] == ["good", "good", "held", "good"]


def test_the_ui_is_told_of_every_night_that_will_ever_run(definitions: dg.Definitions) -> None:
    partitions = definitions.resolve_job_def(NIGHTLY).partitions_def
    assert partitions is not None
    keys = partitions.get_partition_keys()
    assert (keys[0], keys[-1], len(keys)) == (str(FIRST), str(LAST), len(nights()))
