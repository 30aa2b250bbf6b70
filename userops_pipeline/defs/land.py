"""Land and conform: the two assets families that bring files into the lake.

Here lives how landing and conforming appear in Dagster: one asset per source, one per contract table, with the night's counts.
Add here when the lake gains a table family; must not touch files itself: intake/landing.py and intake/conform.py do.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date

import dagster as dg

from userops_pipeline.defs.resources import (
    DATA_TEAM,
    WriterLock,
    earlier_nights,
    import_ahead,
    needs_warrant,
    nights_of,
    partition_range,
    partitions_of,
)
from userops_pipeline.ground import contract
from userops_pipeline.ground.faults import crash_point
from userops_pipeline.intake.conform import Accounting, conform
from userops_pipeline.intake.landing import land, nights_without, stretches
from userops_pipeline.intake.shop import Shop
from userops_pipeline.intake.source import Source

RAW = "raw"
ACCOUNTING = dg.AssetKey(["run", "load_accounting"])


class LandConfig(dg.Config):
    """What an operator may decide for one run of landing, at the command line."""

    accept_changed: bool = False


def landing_key(source: Source) -> dg.AssetKey:
    return dg.AssetKey(["landing", source.name])


def raw_key(table: str) -> dg.AssetKey:
    return dg.AssetKey([RAW, table])


def land_assets(shop: Shop) -> list[dg.AssetsDefinition]:
    """One landing asset per source, and the raw tables they are conformed to."""
    return [*(_landing_asset(shop, source) for source in shop.sources), _conform_asset(shop)]


def _landing_asset(shop: Shop, source: Source) -> dg.AssetsDefinition:
    daily = any(file.daily for file in source.files.values())

    @dg.asset(
        key=landing_key(source),
        group_name="land",
        owners=[DATA_TEAM],
        kinds={"file"},
        description=f"One verbatim copy per delivered file of {source.name}, with a manifest. {source.about}.",
        partitions_def=partitions_of(shop) if daily else None,  # an archive holds every night at once
        backfill_policy=dg.BackfillPolicy.single_run() if daily else None,
    )
    def landing(context: dg.AssetExecutionContext, config: LandConfig, writer: WriterLock) -> dg.MaterializeResult:
        begun = time.perf_counter()
        if config.accept_changed:
            needs_warrant(context, shop.home, "--accept-changed")
        shop.check()  # of every source, since the first to be landed may not be the one that is wrong
        import_ahead()
        outcomes = land(shop.home, source, nights_of(shop, context), accept_changed=config.accept_changed, progress=context.log.info)
        counts = {
            kind: sum(outcome.outcome == kind for outcome in outcomes) for kind in ("landed", "seen", "replaced", "refused", "unfinished")
        }
        context.log.info(f"{source.name}: " + ", ".join(f"{count} {kind}" for kind, count in counts.items() if count) + " files")
        for outcome in outcomes:
            if outcome.sentence:
                (context.log.warning if outcome.outcome in ("refused", "unfinished") else context.log.info)(outcome.sentence)
        taken = set(nights_of(shop, context))
        without = {
            name: [night for night in nights_without(shop.home, source, name, max(taken)) if night in taken] for name in source.files
        }
        told = {name: stretches(nights) for name, nights in without.items() if nights}
        for name, nights in told.items():
            context.log.warning(
                f"{source.name}: no file of {name} for {nights}; tables are as if nothing had happened then. Deliver it and run those nights "
                "again, or name them under quiet in source.yml if none was to come"
            )
        crash_point("land:after")
        for night in earlier_nights(context, shop.home) if daily else []:
            rows = sum(outcome.rows for outcome in outcomes if outcome.night == night)
            context.log_event(dg.AssetMaterialization(landing_key(source), partition=night.isoformat(), metadata={"rows": rows}))
        return dg.MaterializeResult(
            metadata={
                **{f"files_{kind}": count for kind, count in counts.items()},
                "rows": sum(outcome.rows for outcome in outcomes),
                "bytes": sum(outcome.bytes for outcome in outcomes),
                "nights_without_file": sum(map(len, without.values())),
                **{f"nights_without_{name}": nights for name, nights in told.items()},
                "seconds": round(time.perf_counter() - begun, 3),
            }
        )

    return landing


def _conform_asset(shop: Shop) -> dg.AssetsDefinition:
    sources = [landing_key(source) for source in shop.sources]
    specs = [
        dg.AssetSpec(
            raw_key(table.name),
            deps=sources,
            group_name="conform",
            owners=[DATA_TEAM],
            kinds={"parquet", "duckdb"},
            description=f"{table.grain[0].upper()}{table.grain[1:]} and delivered version, as the contract has it.",
        )
        for table in contract.tables().values()
    ]
    specs.append(
        dg.AssetSpec(
            ACCOUNTING,
            deps=sources,
            group_name="conform",
            owners=[DATA_TEAM],
            kinds={"parquet"},
            description="One row per source, table and night: rows in = kept + quarantined + duplicates.",
            partitions_def=partitions_of(shop),
        )
    )

    @dg.multi_asset(name="conform", specs=specs, backfill_policy=dg.BackfillPolicy.single_run())
    def conform_tables(context: dg.AssetExecutionContext, writer: WriterLock) -> Iterator[dg.MaterializeResult]:
        begun = time.perf_counter()
        accounts: list[Accounting] = []
        for source in shop.sources:
            accounts += conform(shop.home, source, nights_of(shop, context), progress=context.log.info)
        seconds = round(time.perf_counter() - begun, 3)
        for table in contract.tables():
            yield dg.MaterializeResult(raw_key(table), metadata=_counts([account for account in accounts if account.table == table]))
        totals = _counts(accounts)
        context.log.info(
            f"{totals['dagster/row_count'] + totals['quarantined'] + totals['duplicates']:,} rows in = {totals['dagster/row_count']:,} kept + "
            f"{totals['quarantined']:,} quarantined + {totals['duplicates']:,} duplicates"
        )
        by_night: dict[date, list[Accounting]] = defaultdict(list)
        for account in accounts:
            by_night[account.night].append(account)
        for night in earlier_nights(context, shop.home):
            context.log_event(dg.AssetMaterialization(ACCOUNTING, partition=night.isoformat(), metadata=_counts(by_night[night])))
        _, last = partition_range(context, shop.home)
        yield dg.MaterializeResult(ACCOUNTING, metadata={**_counts(by_night[last]), "rows_in_run": totals["rows_in"], "seconds": seconds})

    return conform_tables


def _counts(accounts: list[Accounting]) -> Mapping[str, int]:
    return {
        "dagster/row_count": sum(account.kept for account in accounts),
        "rows_in": sum(account.rows_in for account in accounts),
        "quarantined": sum(account.quarantined for account in accounts),
        "duplicates": sum(account.duplicates for account in accounts),
    }
