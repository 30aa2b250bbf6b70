"""The watch: what whoever is on call hears of a run that went wrong, of one that never said how it ended, and of a night that never came.

Here lives when something is told, once for runs of every origin: the command line wraps its runs in `watching`, Dagster's sensors call
`conclude`, and both, like cron with `userops doctor --alert`, call `look`. Must not know how it is told: alerts does.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import signal
import sys
import threading
import traceback
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from userops_pipeline.ground.home import PACKAGE_DIR, Home, UserOpsError
from userops_pipeline.oncall import alerts
from userops_pipeline.oncall.alerts import plain
from userops_pipeline.oncall.runs import Calendar, Outcome, Run, calendar_of, fresh_by, is_made_good, mends, now, remember, runs
from userops_pipeline.publish import generations
from userops_pipeline.publish.generation_files import GenerationError

STALE = "stale"
BEFORE = "before its first step"
KILLED = "It ended without a word: it was killed, or the machine went down. Run the night again."
# A run that never said how it ended is believed dead only after this long: its process may not be visible from here.
PATIENCE = timedelta(minutes=15)


class Stopped(BaseException):
    """A signal asked the run to stop."""


@dataclass
class Watch:
    """A run under way; whoever runs it says what becomes of it."""

    home: Home
    run: Run
    outcome: Outcome = "failed"
    failure: tuple[str, str] | None = field(default=None)

    def is_for(self, first: date, last: date, calendar: Calendar) -> None:
        """Say which nights it is for, once they are known."""
        self.run = self.run.model_copy(
            update={
                "first": first,
                "last": last,
                "zone": calendar.zone,
                "first_night": calendar.first_night,
                "ends_on": calendar.ends_on,
            }
        )
        _remember(self.home, self.run)

    def ended(self, outcome: Outcome, failure: tuple[str, str] | None) -> None:
        """Say how it ended: the step and sentence of the first cause where it did not end well."""
        self.outcome, self.failure = outcome, failure


DELIVERY = "deliver"  # how the key of a list begins that `userops deliver` left behind


@contextlib.contextmanager
def watching(home: Home, first: date | None, last: date | None, *, dry_run: bool = False) -> Iterator[Watch]:
    """Watch a run of this process: whatever ends it, before its first step or after its last, is remembered and told.

    SIGTERM and SIGINT end it with `Stopped`, which leaves it here as SystemExit 143 or 130.
    """
    look(home, asks_freshness=False)
    watch = Watch(home, Run(id=str(uuid.uuid4()), first=first, last=last, started_at=now(), process=os.getpid(), dry_run=dry_run))
    _remember(home, watch.run)
    with _stopped_by_signals():
        try:
            yield watch
        except BaseException as error:
            _conclude(watch, "failed", _of_exception(error))
            if isinstance(error, Stopped):
                sys.exit(128 + error.args[0])
            raise
        _conclude(watch, watch.outcome, watch.failure)


def _conclude(watch: Watch, outcome: Outcome, failure: tuple[str, str] | None) -> None:
    step, cause = failure or (None, None)
    run = watch.run.model_copy(update={"outcome": outcome, "step": step, "cause": cause, "ended_at": now()})
    conclude(watch.home, run)


def conclude(home: Home, run: Run, *, is_whole: bool = True) -> list[str]:
    """Remember how a run ended and tell it; the ways by which it was told, none where it went well as before, or was told already.

    `is_whole` is false for a run of some steps only: it is told when it fails, and mends nothing.
    """
    if is_whole:
        _remember(home, run)
    named = f"{run.nights} (run {run.id[:8]})"
    if run.outcome == "good":
        if not is_whole:
            return []
        fresh = stale(home, calendar_of(runs(home))) is None
        return alerts.mended(
            home,
            f"{named} went well. Told before: {{before}}.",
            lambda key, entry: fresh if key == STALE else mends(run, entry.night, entry.kind),
        )
    cause = run.cause or "No cause is known."
    text = f"{named} at {run.step or BEFORE}: {cause}"
    kind = "failed" if run.outcome == "running" else run.outcome
    # Numbers do not make a cause another one: a retry names another process, a minute later.
    same = hashlib.sha256(re.sub(r"\d+", "", f"{run.step} {cause}").encode()).hexdigest()[:12]
    return alerts.tell(home, kind, text, key=f"{kind} {run.last} {same}", night=run.last, run=run.id)


def lists_delivered(home: Home, waiting: Mapping[str, str], done: Collection[str]) -> None:
    """Tell of each list that a delivery without a night left behind, a sentence each, and once more when it was `done` again."""
    for name, sentence in waiting.items():
        alerts.tell(home, "list", sentence, key=f"{DELIVERY} {name}")
    over = {f"{DELIVERY} {name}" for name in done}
    alerts.mended(home, "Delivered again. Told before: {before}.", lambda key, _: key in over)


def look(home: Home, calendar: Calendar | None = None, *, asks_freshness: bool = True) -> list[str]:
    """Tell of runs that died without a word and of a night that is not there by its hour, and remind of what is still open.

    Returns what was found, in sentences, told already or not. Never raises: it must not keep a night from running.
    """
    found: list[str] = []
    with contextlib.suppress(OSError, UserOpsError):
        remembered = runs(home)
        for run in remembered:
            if is_lost(home, run) and is_made_good(run, remembered):
                _remember(home, run.model_copy(update={"outcome": "failed", "ended_at": run.started_at, "cause": KILLED}))
            elif is_lost(home, run):
                conclude(home, run.model_copy(update={"outcome": "failed", "ended_at": now(), "cause": KILLED, "step": "an unknown step"}))
                found.append(f"{run.nights} (run {run.id[:8]}): {KILLED}")
        sentence = stale(home, calendar or calendar_of(remembered)) if asks_freshness else None
        if sentence is not None:
            alerts.tell(home, "stale", sentence, key=STALE)
            found.append(sentence)
        elif asks_freshness and alerts.is_open(home, STALE):
            alerts.mended(home, "A new night is published. Told before: {before}.", lambda key, _: key == STALE)
        alerts.remind(home)
    return found


def is_lost(home: Home, run: Run) -> bool:
    """Whether a run died without saying how it ended."""
    return run.is_dead and now() - run.started_at > PATIENCE and not home.is_being_written()


def stale(home: Home, calendar: Calendar | None) -> str | None:
    """A sentence where the night that should be published by now is not; null where it is, or none is expected."""
    due = calendar.due(now()) if calendar else None
    if calendar is None or due is None:
        return None
    try:
        current = generations.current(home)
    except GenerationError as error:
        return str(error)
    if current is not None and current.as_of >= due:
        return None
    have = f"The newest night published is {current.as_of}" if current else "No night is published"
    return (
        f"{have}; {due} was due by {fresh_by():02}:00 ({calendar.zone}). `userops doctor` says what keeps it; "
        f"`userops nightly --date {due}` runs it."
    )


# -- how a run ended -----------------------------------------------------------------------------------------------


def of_exception(error: BaseException) -> str:
    """Why, in one sentence: our own as they are, others by class and place, without what may be a row's value."""
    if isinstance(error, UserOpsError):
        return str(error)
    if isinstance(error, Stopped | KeyboardInterrupt):
        return "It was asked to stop. Run the night again."
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(str(PACKAGE_DIR))]
    place = f" at {Path(ours[-1].filename).relative_to(PACKAGE_DIR.parent)}:{ours[-1].lineno}" if ours else ""
    return f"{type(error).__name__}{place}: {plain(str(error))}"


def _of_exception(error: BaseException) -> tuple[str, str]:
    return BEFORE, of_exception(error)


def _remember(home: Home, run: Run) -> None:
    """A disk that does not take the record must not keep the run from going on, nor from being told."""
    with contextlib.suppress(OSError):
        remember(home, run)


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return

    def stop(number: int, _: object) -> None:
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
