"""Score: the tables that are not SQL, written between build and publish, each an asset with its numbers, checks and pictures.

Here lives what Dagster is told of conclude/score.py: which models it reads, what became of it, and what a person looks at.
Add here when the UI should show more of a score; a table of it is declared in dbt's YAML, its settings are section `value`, a formula belongs to stats.
"""

import json
import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from userops_pipeline.build import warehouse
from userops_pipeline.build.declared import columns_of, meta_of, scored_tables
from userops_pipeline.conclude import scored
from userops_pipeline.defs import transform
from userops_pipeline.defs.resources import DATA_TEAM, WriterLock, held, partition_range, shown
from userops_pipeline.ground.faults import crash_point
from userops_pipeline.ground.home import Home, write_json
from userops_pipeline.intake.shop import Shop
from userops_pipeline.publish import generations, pictures
from userops_pipeline.rulebook.current import manifest_of, rules_of


def scored_key(name: str) -> dg.AssetKey:
    """The key of a scored table: beside the marts, where it is published."""
    return dg.AssetKey(["marts", name])


def _rules() -> scored.ValueRules:
    rules = rules_of().value
    if rules is None:
        raise held("The settings of value cannot be read; `userops rules check` says why. Nothing was scored.")
    return rules


def score_assets(shop: Shop) -> dg.AssetsDefinition:
    """The scored tables as assets, out of one step."""
    manifest = manifest_of(shop.home)
    declared = scored_tables(manifest)
    reads = [node for node in manifest["nodes"].values() if (node["schema"], node["name"]) in scored.INPUTS]

    @dg.multi_asset(
        name="score",
        specs=[_spec(name, node, [transform.TRANSLATOR.get_asset_key(model) for model in reads]) for name, node in declared.items()],
        check_specs=[dg.AssetCheckSpec(name, asset=scored_key(scored.USERS), blocking=True) for name in scored.CHECKS],
    )
    def score(context: dg.AssetExecutionContext, writer: WriterLock) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        from userops_pipeline.conclude import score as scoring

        begun = time.perf_counter()
        _, as_of = partition_range(context, shop.home)
        warehouse.built_clock(shop.home, as_of)
        rules = _rules()
        tables = {name: columns_of(node) for name, node in declared.items()}
        with warehouse.reading(shop.home) as connection:
            outcome = scoring.score(connection, rules, tables, as_of, context.log.info)
            drawn = _pictures(connection)
        crash_point("score:after")
        _remember(shop.home, as_of, outcome.checks)
        context.log.info(f"scored in {time.perf_counter() - begun:.1f} s, {len(outcome.fitted)} version(s) fitted")
        for name in declared:
            more = {**_numbers(outcome), **drawn} if name == scored.USERS else {}
            yield dg.MaterializeResult(asset_key=scored_key(name), metadata={"dagster/row_count": outcome.rows[name], **more})
        for check in outcome.checks:
            yield dg.AssetCheckResult(
                asset_key=scored_key(scored.USERS),
                check_name=check.name,
                passed=check.passed,
                metadata={"failing_rows": check.rows_failed or 0},
            )
        failed = [check.name for check in outcome.checks if not check.passed]
        if failed:
            raise dg.Failure(
                f"The scores are not what must hold of them: {', '.join(failed)}. Nothing is published; yesterday's tables stay."
            )

    return score


def _spec(name: str, node: Any, reads: list[dg.AssetKey]) -> dg.AssetSpec:
    columns = [
        dg.TableColumn(column, declared["data_type"], description=declared["description"]) for column, declared in node["columns"].items()
    ]
    return dg.AssetSpec(
        scored_key(name),
        deps=reads,
        description=node["description"],
        group_name="score",
        owners=[f"team:{meta_of(node).get('owner')}"] if meta_of(node).get("owner") else [DATA_TEAM],
        kinds={"python", "duckdb"},
        metadata={"dagster/column_schema": dg.TableSchema(columns=columns)},
    )


def _numbers(outcome: Any) -> dict[str, Any]:
    """The parameters in force, for plots over time."""
    row = outcome.in_force or {}
    numbers = {name: row[name] for name in ("r", "alpha", "a", "b", "p", "q", "v", "customer_count") if row.get(name) is not None}
    version = {"version_on": str(row["version_on"]), "model": row["model"]} if row else {}
    return {"eligibility": outcome.eligibility, "versions_fitted": len(outcome.fitted), **version, **numbers}


def _pictures(connection: Any) -> dict[str, dg.MetadataValue]:
    """What the latest tested version said beside what came; nothing before there is one."""
    version = connection.execute("select max(version_on) from marts.value_tracking").fetchone()[0]
    if version is None:
        return {}
    deciles = connection.execute(
        "select decile, cast(expected_count as double), cast(actual_count as double) from marts.value_calibration where version_on = ? order by 1",
        [version],
    ).fetchall()
    weeks = connection.execute(
        "select week_to_on, cast(expected_count as double), actual_count, is_holdout from marts.value_tracking where version_on = ? order by 1",
        [version],
    ).fetchall()
    drawings = {
        "predicted_and_actual_by_tenth": pictures.value_calibration([pictures.Tenth(*row) for row in deciles], version_on=version),
        "expected_and_actual_by_week": pictures.value_tracking([pictures.TrackedWeek(*row) for row in weeks], version_on=version),
    }
    return {name: shown(picture) for name, picture in drawings.items()}


def _remember(home: Home, as_of: date, checks: tuple[generations.CheckResult, ...]) -> None:
    record = {"as_of": as_of, "checks": [check.model_dump(mode="json") for check in checks]}
    write_json(home.scored, record)


def recorded(home: Home, as_of: date) -> list[generations.CheckResult]:
    """What was checked of this night's scores; empty when they were not made since the last build."""
    if not home.scored.is_file():
        return []
    document = json.loads(home.scored.read_text(encoding="utf-8"))
    if document["as_of"] != as_of.isoformat():
        return []
    return [generations.CheckResult.model_validate(check) for check in document["checks"]]
