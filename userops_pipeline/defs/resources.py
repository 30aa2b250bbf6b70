"""What every step of the flow shares: the nights of a run, the writer's lock, and the progress a person reads.

Here lives what a run holds (its nights, the lock); add here when two steps need the same thing.
Must not hold a step: each step has its own file beside this one.
"""

import importlib
import logging
import os
import sys
import threading
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import PrivateAttr

from userops_pipeline.ground import warrant
from userops_pipeline.ground.home import Home, UserOpsError
from userops_pipeline.intake.landing import nights_between
from userops_pipeline.intake.nights import config_hash, conformed_nights
from userops_pipeline.intake.shop import Shop
from userops_pipeline.publish.pictures import Picture

DATA_TEAM = "team:data"

# A range of nights is run as the partition of its last night with the first one in this tag. Dagster's own range tags make it write an
# event per asset and night before anything runs: 30,000 events and minutes for a year, more than the work itself.
FIRST_NIGHT_TAG = "userops/first_night"


# In the metadata of a failure that is no fault: a check of the data or of the rules holds the night.
HELD = "userops/held"


def held(sentence: str) -> dg.Failure:
    """What a step raises where a check stops it."""
    return dg.Failure(sentence, metadata={HELD: True})


def import_ahead() -> None:
    """Import what later steps need while an earlier one waits for DuckDB; importing it there waits for this one or finds it done."""

    def import_all() -> None:
        for name in ("great_expectations.expectations", "dbt.cli.main", "dbt.adapters.duckdb"):
            importlib.import_module(name)

    # Dagster's storage reaches for SQLAlchemy's ORM by name, without importing it: half imported by the thread, it would find it broken.
    importlib.import_module("sqlalchemy.orm")
    threading.Thread(target=import_all, name="import ahead", daemon=True).start()


def partitions_of(shop: Shop) -> dg.DailyPartitionsDefinition:
    """One partition per night, in the business zone; an archive ends with its last night."""
    ends = [source.last_night for source in shop.sources]
    end = None if None in ends else max(end for end in ends if end is not None) + timedelta(days=1)
    return dg.DailyPartitionsDefinition(
        start_date=shop.first_night.isoformat(),
        end_date=end.isoformat() if end else None,
        timezone=os.environ.get("USEROPS_SCHEDULE_ZONE") or shop.sources[0].business_zone,
    )


def nights_of(shop: Shop, context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> list[date]:
    """The nights a run is for: its partition range, and every earlier night the lake lacks or holds by another mapping, contract or archive."""
    first, last = partition_range(context, shop.home)
    known = {(night.source, night.night, night.config_hash) for night in conformed_nights(shop.home)}
    wanted = [(source.name, config_hash(shop.home, source)) for source in shop.sources]
    missing = [
        night
        for night in nights_between(shop.first_night, first - timedelta(days=1))
        if any((name, night, config) not in known for name, config in wanted)
    ]
    return [*missing, *nights_between(first, last)]


def shown(picture: Picture) -> dg.MarkdownMetadataValue:
    """A picture in the UI, its texts in the language of the browser."""
    return dg.MetadataValue.md(f"![{picture.title.en}]({picture.as_image()})")


def partition_range(context: Any, home: Home) -> tuple[date, date]:
    """First and last night of a run: of its own tag, of the range of a backfill, of its partition; else the last night of the lake."""
    tags = context.run.tags
    last = tags.get("dagster/asset_partition_range_end") or tags.get("dagster/partition")
    first = tags.get(FIRST_NIGHT_TAG) or tags.get("dagster/asset_partition_range_start") or last
    if first and last:
        return date.fromisoformat(first), date.fromisoformat(last)
    known = conformed_nights(home)
    if not known:
        raise UserOpsError("The lake holds no night yet; run the nightly job for a partition.")
    return known[-1].night, known[-1].night


def needs_warrant(context: Any, home: Home, option: str) -> None:
    """Refuse what only the command line may decide: a run of the UI, of a schedule, or done over again has no warrant of its own.

    Raises:
        UserOpsError: the run was not started by `userops`; nothing of it was done.
    """
    if not warrant.holds(home, context.run.run_id, context.run.tags.get(warrant.TAG)):
        raise UserOpsError(
            f"{option} is decided at the command line only: run `userops nightly --date D {option}` there. "
            "A run started or repeated in the UI may not; nothing was done."
        )


def earlier_nights(context: Any, home: Home) -> list[date]:
    """The nights of a run beside its partition, for which a step records its materializations itself."""
    if FIRST_NIGHT_TAG not in context.run.tags:
        return []
    first, last = partition_range(context, home)
    return nights_between(first, last)[:-1]


class WriterLock(dg.ConfigurableResource):
    """Held from a run's first step to its last: a home has one writer at a time; a second run refuses with a sentence."""

    home: str
    _held: ExitStack = PrivateAttr(default_factory=ExitStack)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        run = f"run {context.run.run_id[:8]}" if context.run else "a run"
        self._held.enter_context(Home(Path(self.home)).writer_lock(run))

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        self._held.close()


class _Progress(logging.Handler):
    """One line per message a step wrote, and one per step begun; nothing of Dagster's own bookkeeping."""

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", {}) or {}
        event = meta.get("dagster_event")
        kind = getattr(event, "event_type_value", None)
        if kind == "STEP_START":
            line = f"● {meta.get('step_key') or getattr(event, 'step_key', '')}"
        elif event is None and record.levelno >= logging.INFO:
            line = f"    {meta.get('orig_message') or record.getMessage()}"
        else:
            return
        if "Dependencies for step" in line:  # what follows from a failure, once per step behind it; the failure itself is told at the end
            return
        print(line, file=sys.stderr, flush=True)


def _readable(_: dg.InitLoggerContext) -> logging.Logger:
    found = logging.Logger("userops", logging.INFO)
    found.addHandler(_Progress())
    return found


progress_logger = dg.LoggerDefinition(_readable, description="One readable line per step and message, for people at a terminal.")
