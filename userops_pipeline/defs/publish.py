"""Publish: the one asset that turns a proven build into the generation everybody reads.

Here lives what is gathered for a generation: tables, checks, dictionary, rules.
Add here when the record of a generation should hold more; how it is written, proved and swapped is publish/generations.py.
"""

import time
from datetime import date

import dagster as dg

from userops_pipeline import rulebook
from userops_pipeline.build import warehouse
from userops_pipeline.build.declared import published_models, scored_tables
from userops_pipeline.defs import gate, score, transform
from userops_pipeline.defs.resources import DATA_TEAM, WriterLock, earlier_nights, partition_range, partitions_of
from userops_pipeline.ground.faults import crash_point
from userops_pipeline.intake.landing import nights_without, stretches
from userops_pipeline.intake.shop import Shop
from userops_pipeline.publish import dictionary, generations
from userops_pipeline.rulebook.current import declarations, manifest_of, rules_of

GENERATION = dg.AssetKey(["published", "generation"])


def publish_asset(shop: Shop) -> dg.AssetsDefinition:
    """The generation, after every published model and scored table."""
    manifest = manifest_of(shop.home)
    models, scored = published_models(manifest), scored_tables(manifest)
    tables = {**models, **scored}

    @dg.asset(
        key=GENERATION,
        deps=[*(transform.TRANSLATOR.get_asset_key(node) for node in models.values()), *map(score.scored_key, scored)],
        group_name="publish",
        owners=[DATA_TEAM],
        kinds={"parquet", "duckdb"},
        description="One row per published generation: every table of the night, audited, made current in one step; BI reads only this.",
        partitions_def=partitions_of(shop),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def generation(context: dg.AssetExecutionContext, writer: WriterLock) -> dg.MaterializeResult:
        begun = time.perf_counter()
        _, as_of = partition_range(context, shop.home)
        clock = warehouse.built_clock(shop.home, as_of)
        declared = declarations()
        passed = {step: module.recorded(shop.home, as_of) for step, module in (("gate", gate), ("build", transform), ("score", score))}
        for step, checks in passed.items():
            if not checks:
                raise dg.Failure(f"Nothing was published: {as_of} has not passed the {step}; run the whole night.")
        with warehouse.reading(shop.home) as connection:
            published = generations.publish(
                shop.home,
                connection,
                tables=[generations.PublishedTable(node["schema"], name) for name, node in tables.items()],
                as_of=as_of,
                window_from=max(clock.window_from, clock.first_on),
                first_on=clock.first_on,
                sources=[source.name for source in shop.sources],
                business_zone=clock.business_zone,
                checks=[check for checks in passed.values() for check in checks],
                config_hash=warehouse.project_hash(shop.home),
                rulebook_json=rulebook.to_json(rules_of()),
                docs=dictionary.describe(manifest, tables, {name: declared.rules_of(name) for name in tables}),
                manifest_extra=_without_file(shop, as_of),
            )
        crash_point("publish:after")
        for night in earlier_nights(context, shop.home):
            context.log_event(dg.AssetMaterialization(GENERATION, partition=night.isoformat(), metadata={"generation": published.id}))
        context.log.info(f"generation {published.id} is current: {len(tables)} tables, {time.perf_counter() - begun:.1f} s")
        return dg.MaterializeResult(
            metadata={
                "generation": published.id,
                "tables": len(tables),
                "dagster/row_count": sum(file.rows or 0 for file in published.manifest.files.values()),
                "checks_passed": sum(check.passed for check in published.manifest.checks),
                "checks_warned": sum(check.verdict == "warned" for check in published.manifest.checks),
                "seconds": round(time.perf_counter() - begun, 3),
                "database": dg.MetadataValue.path(str(shop.home.published / "userops.duckdb")),
                "dictionary": dg.MetadataValue.path(str(published.path / "dictionary.html")),
            }
        )

    return generation


def _without_file(shop: Shop, as_of: date) -> dict[str, dict[str, str]]:
    """The nights that are published without a file that was expected: by source and kind of file."""
    found = {
        f"{source.name}.{name}": stretches(nights)
        for source in shop.sources
        for name in source.files
        if (nights := nights_without(shop.home, source, name, as_of))
    }
    return {generations.WITHOUT_FILE: found} if found else {}
