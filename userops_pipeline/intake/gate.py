"""The gate: Great Expectations over what arrived, deciding whether a night is good enough to build on.

Here lives which expectations follow from the contract and from a source's tolerances, and how they are run in one pass.
Add an expectation here when it can be derived for every source; a tolerance belongs into source.yml. Must not show a raw value:
results carry counts only, and Great Expectations is imported inside the one function that needs it (it costs seconds).
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb

from userops_pipeline.ground import contract
from userops_pipeline.ground.contract import Column, Table
from userops_pipeline.ground.home import Home
from userops_pipeline.ground.lake import accounting_scan, quarantined, raw_scan
from userops_pipeline.ground.leaks import REMEDY, addresses_in, looks_like_address
from userops_pipeline.ground.sql import identifier, quoted
from userops_pipeline.intake import stops, usual
from userops_pipeline.intake.landing import manifests, nights_late, nights_without, refused, stretches
from userops_pipeline.intake.mappings import files_read
from userops_pipeline.intake.source import Source
from userops_pipeline.intake.usual import HISTORY_NIGHTS

COPIES_SHARE = 0.1  # a tool that delivers at least once repeats a row now and then; a file that came twice repeats all
REASONS_SHOWN = 3  # why most rows of a table are set aside
UNUSUAL_SHOWN = 10  # nights that a sentence names

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Expectation:
    """One expectation on a table the gate prepares; `name` is unique within its contract table."""

    table: str
    name: str
    about: str
    gx_class: str
    arguments: dict[str, Any] = field(hash=False)
    severity: Severity = "error"
    view: str | None = None

    @property
    def asset(self) -> str:
        return self.view or self.table


@dataclass(frozen=True)
class GateResult:
    """How an expectation came out; counts only."""

    table: str
    name: str
    about: str
    passed: bool
    severity: Severity
    rows: int
    unexpected: int
    waived: bool = False
    detail: str = ""  # which columns, with their figures


def expectations(sources: Iterable[Source]) -> list[Expectation]:
    """Every expectation for the tables these sources fill, in contract order."""
    sources = list(sources)
    found: list[Expectation] = []
    for name, table in contract.tables().items():
        fillers = _fillers(sources, name)
        if not fillers:
            continue
        found.append(
            Expectation(name, "key_is_unique", f"{', '.join(table.key)} is unique within a night", "ExpectColumnValuesToBeInSet",
                        {"column": "key_copies", "value_set": [1]})
        )  # fmt: skip
        for column in table.columns:
            if column.required:
                found.append(
                    Expectation(
                        name,
                        f"{column.name}_is_there",
                        f"{column.name} is never missing",
                        "ExpectColumnValuesToNotBeNull",
                        {"column": column.name},
                    )
                )
            if column.refers:
                found += [
                    Expectation(
                        name,
                        f"{prefix}{column.name}_resolves",
                        f"{column.name} is found in {column.refers} for all but {source.gate.orphan_share:.1%}",
                        "ExpectColumnValuesToBeInSet",
                        {"column": f"{column.name}_resolves", "value_set": [1], "mostly": 1 - source.gate.orphan_share},
                        view=f"{name}_of_{source.name}" if prefix else None,
                    )
                    for prefix, source in fillers
                ]
            if column.known or column.only:
                found.append(
                    Expectation(
                        name,
                        f"{column.name}_is_known",
                        f"{column.name} is one of {', '.join(column.known or column.only)}",
                        "ExpectColumnValuesToBeInSet",
                        {"column": column.name, "value_set": list(column.known or column.only)},
                        severity="warning" if column.known else "error",
                    )
                )
            if column.type in ("money", "number", "share", "integer") and column.min is not None:
                found.append(
                    Expectation(
                        name,
                        f"{column.name}_in_range",
                        f"{column.name} lies within {column.min}..{column.max if column.max is not None else 'any'}",
                        "ExpectColumnValuesToBeBetween",
                        {"column": column.name, "min_value": column.min, **({"max_value": column.max} if column.max is not None else {})},
                    )
                )
        found.append(
            Expectation(name, "holds_no_address", f"no id or word of it is an e-mail address or a phone number: {REMEDY}",
                        "ExpectColumnValuesToBeInSet", {"column": "holds_address", "value_set": [0]})
        )  # fmt: skip
        for prefix, source in fillers:
            quarantine_share, (low, high) = source.gate.quarantine_share, source.gate.volume
            found.append(
                Expectation(name, f"{prefix}quarantine_is_small", f"at most {quarantine_share:.1%} of its rows are set aside",
                            "ExpectColumnValuesToBeBetween", {"column": "quarantined_share", "min_value": 0, "max_value": quarantine_share},
                            view=f"{name}_load_of_{source.name}")
            )  # fmt: skip
            found.append(
                Expectation(name, f"{prefix}copies_are_few", f"at most {COPIES_SHARE:.0%} of its rows are copies of others of the night",
                            "ExpectColumnValuesToBeBetween", {"column": "copies_share", "min_value": 0, "max_value": COPIES_SHARE},
                            severity="warning", view=f"{name}_load_of_{source.name}")
            )  # fmt: skip
            if table.at is not None:
                found.append(
                    Expectation(name, f"{prefix}volume_is_usual",
                                f"a night's rows are {low:g} to {high:g} times the median of the {HISTORY_NIGHTS} nights before it or of its weekday",
                                "ExpectColumnValuesToBeInSet", {"column": "unusual_nights", "value_set": [0]},
                                view=f"{name}_volume_of_{source.name}")
                )  # fmt: skip
                found.append(
                    Expectation(name, f"{prefix}volume_does_not_leap", "a night's rows do not differ from those of its weekday as no night before did",
                                "ExpectColumnValuesToBeInSet", {"column": "leaping_nights", "value_set": [0]},
                                severity="warning", view=f"{name}_volume_of_{source.name}")
                )  # fmt: skip
    if any("orders" in source.tables for source in sources):
        found.append(
            Expectation("orders", "currency_is_one", "the amounts in the lake are of one currency, so that they can be added",
                        "ExpectColumnValuesToBeInSet", {"column": "currency_count", "value_set": [0, 1]}, view="orders_currencies")
        )  # fmt: skip
    for source in sources:
        found.append(
            Expectation("deliveries", f"{source.name}_files_are_accepted", f"no file of {source.name} is refused", "ExpectColumnValuesToBeInSet",
                        {"column": "refused_files", "value_set": [0]}, view=f"{source.name}_deliveries")
        )  # fmt: skip
        found.append(
            Expectation("deliveries", f"{source.name}_files_are_fresh", f"no night's file of {source.name} is more than {source.gate.fresh_days} nights late",
                        "ExpectColumnValuesToBeBetween", {"column": "nights_late", "min_value": 0, "max_value": source.gate.fresh_days},
                        view=f"{source.name}_deliveries")
        )  # fmt: skip
        found.append(
            Expectation("deliveries", f"{source.name}_columns_are_usual", f"every column of {source.name} looks like its last nights",
                        "ExpectColumnValuesToBeInSet", {"column": "unusual_columns", "value_set": [0]}, view=f"{source.name}_deliveries")
        )  # fmt: skip
    return found


def _fillers(sources: list[Source], table: str) -> list[tuple[str, Source]]:
    """The sources that fill a table, each judged by its own tolerances; where there are several, with what their expectations' names begin."""
    found = [source for source in sources if table in source.tables]
    return [(f"{source.name}_" if len(found) > 1 else "", source) for source in found]


def run_gate(
    home: Home,
    sources: list[Source],
    nights: list[date],
    as_of: date,
    *,
    waived: frozenset[str] = frozenset(),
    progress: Callable[[str], None] = lambda _: None,
) -> list[GateResult]:
    """Check what arrived in `nights`, which nobody has let pass yet. `waived` names `<table>.<expectation>` to let pass.

    Files, volume and columns are judged night by night; of a longer history that is loaded at once, only for its end: what is missing or
    unusual before that is told to `progress` and holds nothing.
    """
    with home.scratch("gate") as scratch:
        database = scratch / "gate.duckdb"
        said, details = _prepare(database, home, sources, nights, as_of)
        for sentence in said:
            progress(sentence)
        progress("gate: run expectations")
        found = expectations(sources)
        outcomes = _run_great_expectations(database, found, home.data_docs)
    return [
        GateResult(
            expectation.table,
            expectation.name,
            expectation.about,
            passed,
            expectation.severity,
            rows,
            unexpected,
            waived=not passed and f"{expectation.table}.{expectation.name}" in waived,
            detail=details.get((expectation.table, expectation.name), ""),
        )
        for expectation, (passed, rows, unexpected) in zip(found, outcomes, strict=True)
    ]


# -- what is checked -----------------------------------------------------------------------------------------------


# By table and name of an expectation, what it looked at in detail.
Details = dict[tuple[str, str], str]


def _prepare(database: Path, home: Home, sources: list[Source], nights: list[date], as_of: date) -> tuple[list[str], Details]:
    """One table per contract table with the nights' rows and what cannot be told from a single row; no personal column.

    Gives a sentence for every column in which somebody's address was found and for what is unusual in a longer history, and details.
    """
    said: list[str] = []
    details: Details = {}
    # Each of the nights that nobody has let pass yet; of a longer history being loaded, its end.
    judged = nights if len(nights) <= HISTORY_NIGHTS else [as_of]
    known = usual.noted(home, [source.name for source in sources], min(judged) - timedelta(days=HISTORY_NIGHTS), as_of)
    unusual = [(night, deviation) for night in judged for deviation in usual.deviations(known, night)]
    with duckdb.connect(str(database)) as connection:
        connection.execute("create temp table nights (night date)")
        connection.executemany("insert into nights values (?)", [(night,) for night in nights])
        for name in dict.fromkeys(table for source in sources for table in source.tables):
            table = contract.tables()[name]
            _prepare_table(connection, home, table)
            if connection.execute(f"select max(holds_address) from {name}").fetchone() == (1,):
                words = addresses_in(connection, name, [column.name for column in _words(table)])
                said += [f"{name}.{column}: {rows} values look like e-mail addresses or phone numbers" for column, rows in words]
            for prefix, source in _fillers(sources, name):
                connection.execute(f"create view {name}_of_{source.name} as select * from {name} where source_name = {quoted(source.name)}")
                details[name, f"{prefix}quarantine_is_small"] = _prepare_load(connection, home, table, source)
                if table.at is not None:
                    told, before, leaping = _prepare_volume(connection, home, table, source, nights, judged)
                    details[name, f"{prefix}volume_is_usual"], details[name, f"{prefix}volume_does_not_leap"] = _few(told), _few(leaping)
                    said += [f"{name} of {source.name}: {_few(before)}"] if before else []
        if any("orders" in source.tables for source in sources):
            codes = connection.execute(
                f"select currency from (select currency from {raw_scan(home, 'orders')} union select currency from "
                f"{raw_scan(home, 'channel_costs')}) where currency is not null order by 1"
            ).fetchall()
            if len(codes) > 1:
                details["orders", "currency_is_one"] = ", ".join(code for (code,) in codes) + "; state currency and rates in source.yml"
            connection.execute(f"create table orders_currencies as select {len(codes)} as currency_count")
        for source in sources:
            late = max((nights_late(home, source, name, as_of) for name in source.files), default=0)
            missing = {name: nights_without(home, source, name, as_of) for name in source.files}
            missing = {
                name: lacking for name, all_nights in missing.items() if (lacking := [night for night in all_nights if night in judged])
            }
            details["deliveries", f"{source.name}_files_are_fresh"] = "; ".join(
                f"{name}: {stretches(lacking)}" for name, lacking in missing.items()
            )
            late = max([late, *(nights_late(home, source, name, night) for name, lacking in missing.items() for night in lacking)])
            waiting = len(list(refused(home, source)))
            columns = [f"{night} {found.table}.{found.sentence}" for night, found in unusual if found.source == source.name]
            details["deliveries", f"{source.name}_columns_are_usual"] = "; ".join(columns)
            connection.execute(
                f"create table {source.name}_deliveries as select {waiting} as refused_files, {late} as nights_late, {len(columns)} as unusual_columns"
            )
    return said, details


def _prepare_table(connection: duckdb.DuckDBPyConnection, home: Home, table: Table) -> None:
    columns = [
        f"cast(case when t.{column.name} is null then null else '(given)' end as varchar) as {column.name}"
        if column.personal
        else f"t.{column.name}"
        for column in table.columns
    ]
    joins = []
    for column in table.columns:
        if column.refers is None:
            continue
        parent, parent_key = column.refers.split(".")
        alias = f"parent_{column.name}"
        joins.append(
            f"left join (select distinct {parent_key} as k from {raw_scan(home, parent)}) as {alias} on t.{column.name} = {alias}.k"
        )
        # What conform found elsewhere may name nobody: the row it stands in is judged there.
        silent = f" or ({stops.IS_FOUND})" if table.name == stops.STOPS else ""
        columns.append(
            f"case when t.{column.name} is null{silent} then null when {alias}.k is null then 0 else 1 end as {column.name}_resolves"
        )
    holds = " or ".join(looks_like_address(f"coalesce(t.{identifier(column.name)}, '')") for column in _words(table))
    columns.append(f"cast({holds or 'false'} as integer) as holds_address")
    key = ", ".join(f"t.{identifier(name)}" for name in table.key)
    connection.execute(
        f"create table {table.name} as select t.source_name, {', '.join(columns)}, count(*) over (partition by t.arrived_on, t.source_name, {key}) as key_copies "
        f"from {raw_scan(home, table.name)} as t {' '.join(joins)} where t.arrived_on in (select night from nights)"
    )


def _words(table: Table) -> list[Column]:
    """Columns whose text is published: ids, names of things, words of a vocabulary."""
    return [column for column in table.columns if column.type == "text" and not column.personal]


def _prepare_load(connection: duckdb.DuckDBPyConnection, home: Home, table: Table, source: Source) -> str:
    """What share of the nights' rows is set aside; where that is too much, the reasons of most of them."""
    ours = f"table_name = {quoted(table.name)} and source_name = {quoted(source.name)}"
    place = f"{table.name}_load_of_{source.name}"
    connection.execute(
        f"""
        create table {place} as
        select coalesce(sum(rows_quarantined) / nullif(sum(rows_in), 0), 0.0)::double as quarantined_share,
            coalesce(sum(rows_duplicate) / nullif(sum(rows_in), 0), 0.0)::double as copies_share
        from {accounting_scan(home)} where {ours} and arrived_on in (select night from nights)
        """
    )
    found = connection.execute(
        f"select quarantined_share, (select min(night) from nights), (select max(night) from nights) from {place}"
    ).fetchone()
    assert found is not None
    share, first, last = found
    if share <= source.gate.quarantine_share:
        return ""
    reasons = quarantined(home, table=table.name, source=source.name, between=(first, last))
    return "; ".join(
        f"{f'{entry.column} ' if entry.column else ''}{entry.reason}: {entry.rows:,} rows" for entry in reasons[:REASONS_SHOWN]
    )


def _prepare_volume(
    connection: duckdb.DuckDBPyConnection, home: Home, table: Table, source: Source, nights: list[date], judged: list[date]
) -> tuple[list[str], list[str], list[str]]:
    """How many of the judged nights have an unusual number of rows; which they are, which of the other nights, and which nights leap."""
    first, last = min(nights), max(nights)
    rows = connection.execute(
        f"select arrived_on, sum(rows_in) from {accounting_scan(home)} where table_name = {quoted(table.name)} and source_name = "
        f"{quoted(source.name)} and arrived_on between date '{first - timedelta(days=HISTORY_NIGHTS)}' and date '{last}' group by 1 order by 1"
    ).fetchall()
    counts = {night: int(count) for night, count in rows if not source.is_quiet(night)}
    kinds = files_read(source, table.name)
    if all(source.files[kind].daily for kind in kinds):
        # A night without any file is told as that.
        looked_at = [night for night in nights if any(manifests(home, source, kind, night) for kind in kinds)]
    else:
        ends = _ends_of_archive(connection, home, table, source, last)
        looked_at = [night for night in nights if night not in ends]
    unusual = usual.volumes(counts, looked_at, source.gate.volume)
    told = [entry.sentence for entry in unusual if entry.night in judged]
    leaping = [
        entry.sentence for entry in usual.leaps(counts, [night for night in looked_at if night in judged]) if entry.sentence not in told
    ]
    connection.execute(
        f"create table {table.name}_volume_of_{source.name} as select {len(told)} as unusual_nights, {len(leaping)} as leaping_nights"
    )
    return told, [entry.sentence for entry in unusual if entry.night not in judged], leaping


def _ends_of_archive(connection: duckdb.DuckDBPyConnection, home: Home, table: Table, source: Source, until: date) -> set[date]:
    """The first and the last night that an archive has rows of: it was cut there at some hour, so they are partial."""
    ends = connection.execute(
        f"select min(arrived_on), max(arrived_on) from {raw_scan(home, table.name)} where source_name = {quoted(source.name)} "
        f"and source_file not like '____-__-__/%' and arrived_on <= date '{until}'"
    ).fetchone()
    return {night for night in ends or () if night is not None}


def _few(sentences: list[str]) -> str:
    return "; ".join(sentences[:UNUSUAL_SHOWN]) + (
        f"; and {len(sentences) - UNUSUAL_SHOWN} nights more" if len(sentences) > UNUSUAL_SHOWN else ""
    )


# -- Great Expectations --------------------------------------------------------------------------------------------


def _run_great_expectations(database: Path, found: list[Expectation], docs: Path) -> list[tuple[bool, int, int]]:
    """(passed, rows looked at, rows unexpected) per expectation; writes Data Docs without any raw value."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    import great_expectations.expectations as gxe
    from sqlalchemy.pool import StaticPool

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    source = context.data_sources.add_sql(
        name="raw",
        connection_string=f"duckdb:///{database}",
        # The only settings under which GX's transactions and DuckDB's single file agree.
        kwargs={  # pyright: ignore[reportCallIssue] - missing in its stub
            "isolation_level": "AUTOCOMMIT",
            "skip_autocommit_rollback": True,
            "poolclass": StaticPool,
            "connect_args": {"read_only": True},
        },
    )
    building = docs.with_name(f".{docs.name}.{os.getpid()}")
    context.add_data_docs_site(
        site_name="gate",
        site_config={
            "class_name": "SiteBuilder",
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(building)},
        },
    )
    validations = []
    for asset in dict.fromkeys(expectation.asset for expectation in found):
        suite = context.suites.add(gx.ExpectationSuite(name=asset))
        for number, expectation in enumerate(found):
            if expectation.asset == asset:
                severity = "critical" if expectation.severity == "error" else "warning"
                suite.add_expectation(
                    getattr(gxe, expectation.gx_class)(
                        **expectation.arguments, severity=severity, meta={"number": number}, notes=expectation.about
                    )
                )
        batch = source.add_table_asset(name=asset, table_name=asset).add_batch_definition_whole_table("tonight")
        validations.append(context.validation_definitions.add(gx.ValidationDefinition(name=asset, data=batch, suite=suite)))
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(
            name="gate",
            validation_definitions=validations,
            result_format={"result_format": "BASIC", "partial_unexpected_count": 0},
        )
    )
    outcome = checkpoint.run()
    outcomes: dict[int, tuple[bool, int, int]] = {}
    for validation in outcome.run_results.values():
        for result in validation.results:
            counts = result.result
            failed_to_run = (result.exception_info or {}).get("raised_exception", False)
            unexpected = int(counts.get("unexpected_count") or 0)
            assert result.expectation_config is not None
            assert result.expectation_config.meta is not None
            outcomes[result.expectation_config.meta["number"]] = (
                bool(result.success) and not failed_to_run,
                int(counts.get("element_count") or 0),
                unexpected,
            )
    # Once for all suites: as an action of the checkpoint every suite would draw the whole site anew, which takes longer than the checks.
    context.build_data_docs(site_names=["gate"])
    engine = source.get_execution_engine().engine
    engine.dispose()
    shutil.rmtree(docs, ignore_errors=True)
    if building.is_dir():
        os.replace(building, docs)
    return [outcomes[number] for number in range(len(found))]
