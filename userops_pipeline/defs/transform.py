"""Build: one dbt build per run, in this process, shown in Dagster model by model and test by test.

Here lives how a build is shown: the manifest is the one thing read when definitions load; every leg, its results and their first cause.
Add here when Dagster should show more of dbt; a table or a rule belongs into dbt_project.
"""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, dbt_assets
from dagster_dbt.asset_utils import get_asset_check_key_for_test

from userops_pipeline.build import dbt, engine, warehouse
from userops_pipeline.build.declared import columns_of, leg_models, published_models
from userops_pipeline.conclude import scored
from userops_pipeline.defs.resources import DATA_TEAM, WriterLock, held, partition_range
from userops_pipeline.deliver.destinations import registry
from userops_pipeline.ground.faults import crash_point
from userops_pipeline.ground.home import Home, write_json
from userops_pipeline.ground.leaks import without_values
from userops_pipeline.intake.shop import Shop
from userops_pipeline.publish import generations
from userops_pipeline.rulebook.current import manifest_of, problems_of

GROUPS = {"staging": "build_staging", "intermediate": "build_intermediate", "marts": "build_marts", "exports": "build_exports"}


class BuildConfig(dg.Config):
    """`full_refresh`: rebuild every table from the lake, whatever the warehouse holds."""

    full_refresh: bool = False


class Translator(DagsterDbtTranslator):
    """How a dbt node is shown: grouped by layer, described by its grain, owned by who its meta names."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        return GROUPS.get(dbt_resource_props["fqn"][1], "conform")

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return dbt_resource_props.get("description") or ""

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        owner = dbt_resource_props.get("config", {}).get("meta", {}).get("owner")
        return [f"team:{owner}"] if owner else [DATA_TEAM]


TRANSLATOR = Translator()


def build_assets(shop: Shop) -> dg.AssetsDefinition:
    """Every dbt model as an asset and every test as a check, out of one build."""
    manifest = manifest_of(shop.home)

    @dbt_assets(
        manifest=manifest,
        name="build",
        dagster_dbt_translator=TRANSLATOR,
    )
    def build(context: dg.AssetExecutionContext, config: BuildConfig, writer: WriterLock) -> Iterator[dg.Output | dg.AssetCheckResult]:
        _refuse_wrong_rules(context)
        _, as_of = partition_range(context, shop.home)
        clock = warehouse.prepare_build(shop.home, list(shop.sources), as_of, full=config.full_refresh)
        whole = "everything" if clock.full else "this night only" if clock.window_from == as_of else f"from {clock.window_from} on"
        context.log.info(f"clock: as of {as_of}, rebuilding {whole}")
        if engine.engine() == "spark":
            _on_spark(shop.home, engine.before_build(shop.home, full=clock.full))
        *earlier, last = warehouse.legs(shop.home, clock)
        results = []
        for number, leg in enumerate(earlier):
            context.log.info(f"leg {number + 1} of {len(earlier) + 1}: the nights from {leg.nights_from} to {leg.nights_to}")
            results = _leg(shop.home, context, leg, ["run", "--select", *leg_models(manifest["nodes"], is_first=number == 0)])
            if any(map(_has_failed, results)):
                break
            crash_point("build:between_legs")
        else:
            results = _leg(shop.home, context, last, ["build", "--exclude", "resource_type:unit_test"])
        yield from _events(shop.home, manifest, results, context)
        failed = [result for result in results if _has_failed(result)]
        _remember(shop.home, as_of, results)
        if failed:
            raise _first_cause(failed)
        crash_point("build:after_dbt")
        handed_over = _handed_over(manifest) if engine.engine() == "spark" else {}
        if handed_over:
            _on_spark(shop.home, engine.after_build(shop.home, handed_over))
        warehouse.finish_build(shop.home, as_of, handed_over)

    return build


def _on_spark(home: Home, statements: list[str]) -> None:
    """Run statements through dbt's connection, wherever its target points.

    Raises:
        dg.Failure: Spark refused one; the sentence is its own.
    """
    outcome = dbt.invoke(home, ["--quiet", "run-operation", "run_statements", "--args", json.dumps({"statements": statements})])
    if not outcome.success:
        said = [outcome.exception, *(result.message for result in (outcome.result.results if outcome.result else []))]
        reason = next(
            (str(words) for words in said if words),
            "it gave no reason; with DBT_LOG_LEVEL_FILE=info dbt keeps a log in warehouse/dbt/logs of the home",
        )
        raise dg.Failure(f"Spark refused what the home told it: {' '.join(reason.split())[:600]}")


def _handed_over(manifest: Mapping[str, Any]) -> dict[tuple[str, str], engine.Columns]:
    """What Spark must bring into the warehouse: what is published, and what is scored."""
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    wanted = [*published_models(manifest).values(), *(node for node in models if (node["schema"], node["name"]) in scored.INPUTS)]
    return {(node["schema"], node["name"]): columns_of(node) for node in wanted}


def _refuse_wrong_rules(context: dg.AssetExecutionContext) -> None:
    problems = problems_of(registry.names())
    for problem in problems:
        (context.log.debug if problem.is_warning else context.log.error)(str(problem))
    errors = [problem for problem in problems if not problem.is_warning]
    if errors:
        raise held(f"The rules are refused: {errors[0]} ({len(errors)} in all; `userops rules check` lists them).")


def _has_failed(result: Any) -> bool:
    return str(result.status) in ("error", "fail")


def _leg(home: Home, context: dg.AssetExecutionContext, leg: warehouse.Clock, command: list[str]) -> list[Any]:
    """What dbt says of every node of one leg."""
    warehouse.begin_leg(home, leg)
    if engine.engine() == "spark":
        _on_spark(home, [engine.clock_view(leg.row())])
    crash_point("build:before_dbt")
    return _run_dbt(home, context, command)


def _run_dbt(home: Home, context: dg.AssetExecutionContext, command: list[str]) -> list[Any]:
    begun = time.perf_counter()
    done: list[str] = []

    def on_event(event: Any) -> None:
        if event.info.name in ("LogModelResult", "LogTestResult"):
            done.append(event.info.name)
            node = event.data.node_info
            if event.info.name == "LogModelResult":
                context.log.info(f"{len(done):3d}  {node.node_name}  {event.data.execution_time:.2f} s")
            elif len(done) % 50 == 0:
                context.log.info(f"{len(done):3d}  tests run")

    # The manifest on disk is the one `parse` wrote; writing it and all results again costs seconds.
    with warehouse.sealed(home) if engine.engine() == "duckdb" else contextlib.nullcontext():
        outcome = dbt.invoke(home, ["--quiet", "--no-write-json", *command], [on_event])
    if outcome.result is None:
        raise dg.Failure(f"dbt could not start its {command[0]}: {' '.join(str(outcome.exception).split())[:600]}")
    results = list(outcome.result.results)
    context.log.info(f"dbt: {len(results)} models and tests in {time.perf_counter() - begun:.1f} s")
    for result in results:
        if _has_failed(result):
            context.log.error(f"{result.node.resource_type} {result.node.name}: {_without_values(result)}")
    return results


def _first_cause(failed: list[Any]) -> dg.Failure:
    """What failed first, with its file; a model comes before the tests, whose rows it made. Tests alone hold the night, an error fails it."""
    first = min(failed, key=lambda result: result.node.resource_type != "model")
    names = [result.node.name for result in failed if result is not first]
    more = f" And {len(names)} more: {', '.join(names[:5])}." if names else ""
    is_held = all(str(result.status) == "fail" for result in failed)
    return (held if is_held else dg.Failure)(
        f"The {first.node.resource_type} {first.node.name} (dbt_project/{first.node.original_file_path}) "
        f"{'does not hold' if is_held else 'failed'}: {_without_values(first)}.{more} Nothing is published; yesterday's tables stay."
    )


def _without_values(result: Any) -> str:
    """dbt's complaint without the values DuckDB quotes in conversion errors."""
    if str(result.status) == "fail":
        return f"{result.failures} rows fail"
    return without_values(str(result.message))[:300]


def _events(
    home: Home, manifest: Mapping[str, Any], results: list[Any], context: dg.AssetExecutionContext
) -> Iterator[dg.Output | dg.AssetCheckResult]:
    counts = _row_counts(home, [result.node for result in results if result.node.resource_type == "model"])
    selected = context.selected_asset_check_keys
    for result in results:
        node, status = result.node, str(result.status)
        if node.resource_type == "model" and status == "success":
            key = TRANSLATOR.get_asset_key(manifest["nodes"][node.unique_id])
            metadata: dict[str, Any] = {"seconds": round(result.execution_time, 3)}
            if node.name in counts:
                metadata["dagster/row_count"] = counts[node.name]
            yield dg.Output(None, output_name=key.to_python_identifier(), metadata=metadata)
        elif node.resource_type == "test" and status in ("pass", "fail", "warn"):
            check = get_asset_check_key_for_test(manifest, TRANSLATOR, node.unique_id, None)
            if check is not None and check in selected:
                yield dg.AssetCheckResult(
                    asset_key=check.asset_key,
                    check_name=check.name,
                    passed=status == "pass",
                    severity=dg.AssetCheckSeverity.WARN if status == "warn" else dg.AssetCheckSeverity.ERROR,
                    metadata={"failing_rows": result.failures or 0, "seconds": round(result.execution_time, 3)},
                )


def _row_counts(home: Home, nodes: list[Any]) -> dict[str, int]:
    """Rows of every table built, from DuckDB's catalogue: no table is scanned."""
    with warehouse.reading(home) as connection:
        rows = connection.execute("select schema_name, table_name, estimated_size from duckdb_tables()").fetchall()
    sizes = {(schema, table): size for schema, table, size in rows}
    return {node.name: sizes[(node.schema, node.name)] for node in nodes if (node.schema, node.name) in sizes}


def _remember(home: Home, as_of: date, results: list[Any]) -> None:
    """Names, verdicts and counts of the tests, for the generation's record; and the time that models and tests took."""
    tests = [
        {"name": result.node.name, "status": str(result.status), "failures": result.failures or 0}
        for result in results
        if result.node.resource_type == "test"
    ]
    failed_models = [result.node.name for result in results if result.node.resource_type == "model" and str(result.status) != "success"]
    seconds = {
        kind: round(sum(result.execution_time for result in results if result.node.resource_type == kind), 3) for kind in ("model", "test")
    }
    record = {"as_of": as_of, "tests": tests, "failed_models": failed_models, "seconds": seconds}
    write_json(home.warehouse.parent / "build.json", record)


def recorded(home: Home, as_of: date) -> list[generations.CheckResult]:
    """What dbt's tests said of this night; empty when it was not built."""
    place = home.warehouse.parent / "build.json"
    if not place.is_file():
        return []
    document = json.loads(place.read_text(encoding="utf-8"))
    if document["as_of"] != as_of.isoformat():
        return []
    checks = [
        generations.CheckResult(
            name=test["name"],
            passed=test["status"] in ("pass", "success"),
            severity="warn" if test["status"] == "warn" else "error",
            rows_failed=test["failures"],
        )
        for test in document["tests"]
    ]
    return checks + [generations.CheckResult(name=f"model {name} is built", passed=False) for name in document["failed_models"]]
