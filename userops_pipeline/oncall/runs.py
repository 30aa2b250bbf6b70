"""Runs: what each run of the nights did, one small file per run in the home, from its start on.

Here lives what is remembered of a run, which of them are not mended yet, and by when a night should be published.
Add a field here when whoever is on call asks for it. Must not tell anybody (watch does) nor know Dagster: a doctor reads this in no time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, ValidationError

from userops_pipeline.ground.home import Home, UserOpsError, write_atomically
from userops_pipeline.intake.source import Source, load_source

KEEP_RUNS = 400
# What a run may end as; `list` is a published night of which a list did not go out.
Outcome = Literal["running", "good", "held", "list", "failed"]


class Run(BaseModel):
    """One run: its nights, how it ended, the step it ended at and the first cause, which holds no value of a row."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    first: date | None = None
    last: date | None = None  # null where it failed before it knew
    started_at: datetime
    ended_at: datetime | None = None
    outcome: Outcome = "running"
    step: str | None = None
    cause: str | None = None
    process: int | None = None
    dry_run: bool = False
    zone: str | None = None
    first_night: date | None = None
    ends_on: date | None = None  # the last night that will ever come

    @property
    def nights(self) -> str:
        """Its nights as one says them."""
        if self.last is None:
            return "the nights asked for"
        return f"night {self.last}" if self.first in (None, self.last) else f"nights {self.first} to {self.last}"

    @property
    def is_dead(self) -> bool:
        """Whether its process is gone although it never said how it ended."""
        if self.outcome != "running" or self.process is None:
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass
        return False


def remember(home: Home, run: Run) -> None:
    """Write the run's file, and forget the oldest beyond KEEP_RUNS."""
    place = home.runs / f"{run.started_at:%Y%m%dT%H%M%S%f}-{run.id[:8]}.json"
    write_atomically(place, (run.model_dump_json(indent=1) + "\n").encode(), mode=0o600)
    for old in sorted(home.runs.glob("*.json"))[:-KEEP_RUNS]:
        old.unlink(missing_ok=True)


def runs(home: Home) -> list[Run]:
    """Every run remembered, oldest first; a file that cannot be read is passed over."""
    found = []
    for path in sorted(home.runs.glob("*.json")):
        try:
            found.append(Run.model_validate_json(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, ValidationError):
            continue
    return found


def unmended(found: Iterable[Run]) -> list[Run]:
    """The last bad run of every night that no good run has gone over since, oldest first.

    A good run mends its own nights and those before; one that did not send mends no list.
    """
    waiting: list[Run] = []
    for run in sorted(found, key=lambda run: run.ended_at or run.started_at):
        if run.outcome == "running":
            continue
        waiting = [
            other
            for other in waiting
            if not (mends(run, other.last, other.outcome) if run.outcome == "good" else other.last == run.last and run.last is not None)
        ]
        if run.outcome != "good":
            waiting.append(run)
    return waiting


def is_made_good(run: Run, found: Iterable[Run]) -> bool:
    """Whether a good run that began later has gone over a run's nights."""
    return any(other.outcome == "good" and other.started_at > run.started_at and mends(other, run.last, "failed") for other in found)


def mends(run: Run, night: date | None, outcome: str) -> bool:
    """Whether a good run makes good what went wrong with `night`."""
    return (night is None or run.last is None or night <= run.last) and not (outcome == "list" and run.dry_run)


# -- when a night should be there ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Calendar:
    """Which nights a shop has, and by whose clock."""

    zone: str
    first_night: date
    ends_on: date | None = None

    @classmethod
    def of(cls, sources: Sequence[Source]) -> Calendar:
        ends = [source.last_night for source in sources]
        return cls(
            os.environ.get("USEROPS_SCHEDULE_ZONE") or sources[0].business_zone,
            min(source.first_night for source in sources),
            None if None in ends else max(end for end in ends if end is not None),
        )

    def due(self, now: datetime) -> date | None:
        """The night that should be published by now; null where none is any more, or none yet."""
        here = now.astimezone(ZoneInfo(self.zone))
        night = here.date() - timedelta(days=1 if here.hour >= fresh_by() else 2)
        return None if self.ends_on is not None or night < self.first_night else night


def fresh_by() -> int:
    """The hour by which yesterday is published: USEROPS_FRESH_BY, else three hours after the schedule's.

    Raises:
        UserOpsError: the setting is no hour.
    """
    said = os.environ.get("USEROPS_FRESH_BY") or str(min(int(os.environ.get("USEROPS_HOUR", "3")) + 3, 23))
    if not re.fullmatch(r"\d{1,2}", said) or int(said) > 23:
        raise UserOpsError(f"USEROPS_FRESH_BY is {said!r}; it must be the hour by which yesterday is published, 0 to 23.")
    return int(said)


def calendar_of(found: Sequence[Run]) -> Calendar | None:
    """The shop's calendar as the newest run knew it, else as the environment's sources say; null where neither is known."""
    for run in reversed(found):
        if run.zone and run.first_night:
            return Calendar(run.zone, run.first_night, run.ends_on)
    if not os.environ.get("USEROPS_SOURCE"):
        return None
    try:
        return Calendar.of([load_source(name.strip()) for name in os.environ["USEROPS_SOURCE"].split(",")])
    except UserOpsError:
        return None


def now() -> datetime:
    return datetime.now(UTC)
