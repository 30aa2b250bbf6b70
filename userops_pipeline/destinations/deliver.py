"""The delivery: brings each list's tool from what the ledger says it has to what one published generation says it should have.

Here lives the algorithm, once for all tools: unresolved batches first, then the difference, planned, sent and acknowledged batch by batch.
Add here when the order of these steps must change; must not hold a tool's manners, SQL of the ledger, or a rule about who is on a list.

A crash is survived at any line: the plan is one transaction, a batch is marked before the call and acknowledged, with the members,
after it; between the two its outcome is unknown, and the next run sends it again under the same key. No sentence here names a person.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from userops_pipeline.core.audiences import PERMITTED, Action, Batch, ListSpec, ListStopped, Row, difference, guard_removals, read_list
from userops_pipeline.core.faults import crash_point
from userops_pipeline.core.home import Home, UserOpsError
from userops_pipeline.core.ledger import Ledger
from userops_pipeline.destinations.base import Destination, KeepsFullList, OutcomeUnknown, Refused

Outcome = Literal["sent", "nothing", "incomplete", "held", "stopped", "dry_run"]
DONE: dict[Action, str] = {"add": "added", "update": "updated", "remove": "removed"}


class DeliveryReport(BaseModel):
    """What became of one list. planned = added + updated + removed = sent + held + failed, in rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    list_name: str
    tool: str
    generation: str
    as_of: date
    outcome: Outcome
    planned: int  # rows that had to go: the difference and what earlier nights left unresolved
    added: int
    updated: int
    removed: int
    sent: int  # acknowledged by the tool
    held: int  # not tried
    failed: int  # tried, not acknowledged
    calls: int  # batches handed to the tool
    sentence: str

    @property
    def needs_attention(self) -> bool:
        """Whether somebody should look: rows failed, or the list was stopped."""
        return self.outcome in ("incomplete", "held", "stopped")


class _Interrupted(Exception):
    """A signal asked to stop; the batch in hand is finished."""


def deliver(
    home: Home,
    generation_dir: Path,
    generation: str,
    as_of: date,
    lists: Sequence[ListSpec],
    destinations: Mapping[str, Destination],
    *,
    dry_run: bool = False,
    allow_removals: Collection[str] = (),
) -> list[DeliveryReport]:
    """Deliver each list from one published generation, which the caller has verified; one report per list, in their order.

    A list that must not be delivered is reported and the others go on. On SIGTERM or SIGINT the batch in hand is finished, then the
    signal does what it would have done.

    Raises:
        UserOpsError: another delivery is under way, or the ledger cannot be read or written; then nothing more is sent.
    """
    with contextlib.ExitStack() as stack:
        if not dry_run:
            stack.enter_context(_only_delivery(home))
        stop = stack.enter_context(_stop_after_batch())
        ledger = stack.enter_context(Ledger.open(home, read_only=dry_run))
        source = _Source(generation_dir, generation, as_of)
        return [
            _ListDelivery(ledger, source, spec, stop).run(
                destinations.get(spec.tool), dry_run=dry_run, removals_allowed=spec.name in allow_removals
            )
            for spec in lists
        ]


@dataclass(frozen=True, slots=True)
class _Source:
    """The generation that is delivered."""

    folder: Path
    generation: str
    as_of: date


class _ListDelivery:
    """One list's way through the delivery, and what it counts on the way."""

    def __init__(self, ledger: Ledger, source: _Source, spec: ListSpec, stop: Callable[[], bool]) -> None:
        self.ledger = ledger
        self.source = source
        self.spec = spec
        self.stop = stop
        self.calls = 0
        self.rows: Counter[str] = Counter()

    def run(self, destination: Destination | None, *, dry_run: bool, removals_allowed: bool) -> DeliveryReport:
        """Deliver the list, or say why not."""
        name, tool = self.spec.name, self.spec.tool
        if self.stop():
            return self._report("stopped", f"{name} was not started: the run was asked to stop.")
        try:
            if destination is None:
                raise ListStopped(f"{name} stopped: no destination named {tool} is configured; add one or change the list's tool.")
            rows = read_list(self.source.folder, self.spec)
            self._guard_history()
            unresolved = self.ledger.open_batches(name)
            dry = dry_run or not destination.live
            if dry:
                self._plan_again(unresolved)
            else:
                unresolved = self._resolve(destination, unresolved, rows)
            waiting = {row.match_value for batch in unresolved for row in batch.rows}
            members = self.ledger.members(name)
            changes = difference(self.spec, rows, members, waiting)
            for action, changed in changes.items():
                self._plan(action, len(changed))
            if not removals_allowed:
                guard_removals(self.spec, rows=len(rows), members=len(members), removals=len(changes["remove"]))
        except ListStopped as stopped:
            if not dry_run:
                self.ledger.hold(self.spec, self.source.generation, self.source.as_of, self._counts())
            return self._report("held", str(stopped))
        except (Refused, _Interrupted) as error:
            return self._cut_short(error)
        if dry:
            why = "dry run" if dry_run else f"{tool} is not live"
            return self._report("dry_run", f"{name}: {self._told()} for {tool}; nothing was sent ({why}).")

        delivery, batches = self.ledger.plan(
            self.spec, self.source.generation, self.source.as_of, changes, max_batch=destination.max_batch, waiting=waiting
        )
        crash_point("deliver:after_plan")
        try:
            for batch in batches:
                self._send(destination, batch)
            if isinstance(destination, KeepsFullList):
                destination.keep_full(self.spec, self.source.as_of, rows.values())
            report = self._completed()
        except (OutcomeUnknown, Refused, _Interrupted) as error:
            report = self._cut_short(error)
        self.ledger.finish(delivery, report.outcome, self._counts())
        return report

    def _guard_history(self) -> None:
        """Stop a list that would go back in time or change its identity."""
        spec, as_of, last = self.spec, self.source.as_of, self.ledger.last_delivery(self.spec.name)
        if last is None:
            return
        if as_of < last.as_of:
            raise ListStopped(
                f"{spec.name} stopped: it was delivered as of {last.as_of} already, and a list as of {as_of} may hold people who have "
                "withdrawn consent since; deliver a newer generation."
            )
        # An enriching list has made nobody a member, so what it sent says nothing about membership.
        if (last.tool, last.match_key, last.mode == "enrich") != (spec.tool, spec.match_key, spec.mode == "enrich"):
            raise ListStopped(
                f"{spec.name} stopped: so far it was delivered to {last.tool} by {last.match_key} ({last.mode}), now it is for {spec.tool} "
                f"by {spec.match_key} ({spec.mode}), where the ledger does not tell who is a member; give the list a new name."
            )

    def _resolve(self, destination: Destination, batches: Sequence[Batch], rows: Mapping[str, Row]) -> list[Batch]:
        """Send the batches of unknown outcome again, unchanged; those still unresolved are returned, and hold back only their own rows.

        A batch with somebody who is not on the list any more is never sent again: consent goes before certainty.
        """
        unresolved = []
        for batch in batches:
            permitted = batch.action in PERMITTED[self.spec.mode].values()
            everybody_stays = batch.action == "remove" or all(row.match_value in rows for row in batch.rows)
            if not (permitted and everybody_stays):
                self.ledger.dropped(batch)
                continue
            self._plan_again([batch])
            try:
                self._send(destination, batch)
            except OutcomeUnknown:
                unresolved.append(batch)
        return unresolved

    def _send(self, destination: Destination, batch: Batch) -> None:
        """One call, between its two records in the ledger."""
        if self.stop():
            raise _Interrupted
        self.ledger.sending(batch)
        crash_point("deliver:before_send")
        self.calls += 1
        try:
            receipt = destination.send(batch)
        except OutcomeUnknown as error:
            self.ledger.parked(batch, error.error_class)
            self.rows["failed"] += len(batch.rows)
            raise
        except Refused as error:
            self.ledger.refused(batch, error.error_class)
            self.rows["failed"] += len(batch.rows)
            raise
        crash_point("deliver:after_send")
        self.ledger.acked(batch, receipt.failed)
        self.rows["failed"] += len(receipt.failed)
        self.rows["sent"] += len(batch.rows) - len(receipt.failed)
        crash_point("deliver:after_ack")

    def _plan(self, action: Action, rows: int) -> None:
        self.rows["planned"] += rows
        self.rows[DONE[action]] += rows

    def _plan_again(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self._plan(batch.action, len(batch.rows))

    def _counts(self) -> dict[str, int]:
        held = self.rows["planned"] - self.rows["sent"] - self.rows["failed"]
        return {name: self.rows[name] for name in ("planned", "added", "updated", "removed", "sent", "failed")} | {"held": held}

    def _told(self) -> str:
        return f"{self.rows['added']} added, {self.rows['updated']} updated, {self.rows['removed']} removed"

    def _ended(self) -> str:
        counts = self._counts()
        return f"{counts['sent']} of {counts['planned']} rows acknowledged, {counts['failed']} failed, {counts['held']} not tried"

    def _completed(self) -> DeliveryReport:
        name, tool = self.spec.name, self.spec.tool
        if self.rows["failed"]:
            return self._report("incomplete", f"{name}: {self._ended()} at {tool}; failed rows are tried again at the next delivery.")
        if self.rows["planned"]:
            return self._report("sent", f"{name}: {self._told()} at {tool}.")
        return self._report("nothing", f"{name}: {tool} is up to date, nothing to send.")

    def _cut_short(self, error: OutcomeUnknown | Refused | _Interrupted) -> DeliveryReport:
        next_time = f"{self._ended()}; the next delivery goes on from here."
        if isinstance(error, _Interrupted):
            return self._report("stopped", f"{self.spec.name} was asked to stop: {next_time}")
        return self._report("incomplete", f"{self.spec.name} stopped at {self.spec.tool} ({error.error_class}): {next_time}")

    def _report(self, outcome: Outcome, sentence: str) -> DeliveryReport:
        return DeliveryReport(
            list_name=self.spec.name,
            tool=self.spec.tool,
            generation=self.source.generation,
            as_of=self.source.as_of,
            outcome=outcome,
            calls=self.calls,
            sentence=sentence,
            **self._counts(),
        )


@contextlib.contextmanager
def _only_delivery(home: Home) -> Iterator[None]:
    """Let one delivery at a time touch the tools and the ledger; the kernel frees the place when the process ends, however it ends."""
    home.exports.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(os.open(home.exports / ".lock", os.O_RDWR | os.O_CREAT, 0o600), "r+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserOpsError("Another delivery from this home is under way; nothing was sent. Try again when it has ended.") from None
        yield


@contextlib.contextmanager
def _stop_after_batch() -> Iterator[Callable[[], bool]]:
    """Put off SIGTERM and SIGINT to the end of the batch in hand; on leaving they do what they would have done."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # only the main thread may handle signals
        return
    before = {number: signal.signal(number, lambda got, _frame: caught.append(got)) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if caught:
            signal.raise_signal(caught[0])
