"""The gate in Dagster: one check per expectation on the raw tables, run together, blocking the build.

Here lives how gate results become checks and how publish learns of them; add here when a check needs more metadata.
Must not decide anything: intake/gate.py derives the expectations and runs them.
"""

import json
import time
from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg

from userops_pipeline.defs.land import ACCOUNTING, raw_key
from userops_pipeline.defs.resources import WriterLock, held, needs_warrant, partition_range
from userops_pipeline.ground.home import Home, write_json
from userops_pipeline.intake.gate import Expectation, GateResult, expectations, run_gate
from userops_pipeline.intake.landing import nights_between, refused
from userops_pipeline.intake.shop import Shop
from userops_pipeline.publish import generations


class GateConfig(dg.Config):
    """`waive`: expectations to let pass this once, as `<table>.<expectation>`; they are recorded as waived. Decided at the command line."""

    waive: list[str] = []


def _asset(expectation: Expectation) -> dg.AssetKey:
    return ACCOUNTING if expectation.table == "deliveries" else raw_key(expectation.table)


def gate_checks(shop: Shop) -> dg.AssetChecksDefinition:
    """Every expectation of the shop's sources as one check."""
    specs = [
        dg.AssetCheckSpec(
            expectation.name,
            asset=_asset(expectation),
            blocking=expectation.severity == "error",
            description=expectation.about[0].upper() + expectation.about[1:] + ".",
        )
        for expectation in expectations(shop.sources)
    ]

    @dg.multi_asset_check(name="gate", specs=specs)
    def gate(context: dg.AssetCheckExecutionContext, config: GateConfig, writer: WriterLock) -> Iterator[dg.AssetCheckResult]:
        begun = time.perf_counter()
        if config.waive:
            needs_warrant(context, shop.home, f"--waive {config.waive[0]}")
        first, last = partition_range(context, shop.home)
        results = run_gate(
            shop.home,
            list(shop.sources),
            _unproven(shop.home, first, last),
            last,
            waived=frozenset(config.waive),
            progress=context.log.info,
        )
        _remember(shop.home, last, results)
        failed = [result for result in results if not result.passed]
        context.log.info(f"{len(results)} expectations, {len(failed)} not met, {time.perf_counter() - begun:.1f} s")
        for result in failed:
            verdict = "waived" if result.waived else "the build is held" if result.severity == "error" else "warning"
            context.log.warning(f"{_said(result)} ({verdict})")
        for expectation, result in zip(expectations(shop.sources), results, strict=True):
            yield dg.AssetCheckResult(
                check_name=expectation.name,
                asset_key=_asset(expectation),
                passed=result.passed or result.waived,
                severity=dg.AssetCheckSeverity.ERROR if result.severity == "error" else dg.AssetCheckSeverity.WARN,
                metadata={
                    "rows": result.rows,
                    "unexpected": result.unexpected,
                    "waived": result.waived,
                    "data_docs": dg.MetadataValue.path(str(shop.home.data_docs / "index.html")),
                },
            )
        holding = [result for result in failed if result.severity == "error" and not result.waived]
        if holding:
            more = f" And {len(holding) - 1} more: {', '.join(map(_name, holding[1:]))}." if len(holding) > 1 else ""
            tonight = " --tonight" if first == last else ""
            raise held(
                f"The gate holds the night: {_said(holding[0])}{_refusals(shop, holding[0])}.{more} Nothing is built or published. Mend what "
                f"arrived (`userops quarantine list{tonight}` shows what was set aside), or let it pass once with --waive {_name(holding[0])}."
            )

    return gate


def _name(result: GateResult) -> str:
    return f"{result.table}.{result.name}"


def _said(result: GateResult) -> str:
    """An expectation that is not met, with its counts."""
    counted = f": {result.unexpected:,} of {result.rows:,} rows are not" if result.rows > 1 else ""
    return f"{_name(result)}: not true that {result.about}{counted}{f' ({result.detail})' if result.detail else ''}"


def _refusals(shop: Shop, result: GateResult) -> str:
    """Why files are refused, where that is what holds: the first cause lies in the file."""
    reasons = [
        file["reason"]
        for source in shop.sources
        if result.name == f"{source.name}_files_are_accepted"
        for file in refused(shop.home, source)
    ]
    return f" ({' '.join(reasons[:3])}{f' And {len(reasons) - 3} files more.' if len(reasons) > 3 else ''})" if reasons else ""


def _unproven(home: Home, first: date, last: date) -> list[date]:
    """The run's nights and those before that were never published: what was held once stays held until it is mended or waived."""
    current = generations.current(home)
    if current is not None and current.as_of < first:
        return nights_between(current.as_of + timedelta(days=1), last)
    return nights_between(first, last)


def _remember(home: Home, as_of: date, results: list[GateResult]) -> None:
    write_json(home.warehouse.parent / "gate.json", {"as_of": as_of, "results": [result.__dict__ for result in results]})


def recorded(home: Home, as_of: date) -> list[generations.CheckResult]:
    """What the gate said of this night, for the generation's record; empty when it has not been asked."""
    place = home.warehouse.parent / "gate.json"
    if not place.is_file():
        return []
    document = json.loads(place.read_text(encoding="utf-8"))
    if document["as_of"] != as_of.isoformat():
        return []
    return [
        generations.CheckResult(
            name=f"{result['table']}.{result['name']}",
            passed=result["passed"],
            severity="error" if result["severity"] == "error" and not result["waived"] else "warn",
            rows_checked=result["rows"],
            rows_failed=result["unexpected"],
        )
        for result in document["results"]
    ]
