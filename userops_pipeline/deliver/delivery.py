"""The delivery: brings each list's tool from what the ledger says it has to what one published generation says it should have.

Here lives the algorithm, once for all tools: withdrawals first, then guards, unresolved batches, and the difference, batch by batch.
Add here when the order of these steps must change; must not hold a tool's manners, SQL of the ledger, or a rule about who is on a list.

Whoever may not be contacted by the newest word of the lake is taken off before anything can hold the list, and nobody else is sent
before it has been asked again. A crash is survived at any line: the plan is one transaction, a batch is marked before the call and
acknowledged, with the members, after it; between the two its outcome is unknown. The next run sends it again under the same key if it
is what would be sent now, and otherwise gives it up and plans anew. No sentence here names a person.
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

from userops_pipeline.deliver.audiences import (
    Action,
    Batch,
    Listed,
    ListSpec,
    ListStopped,
    Row,
    difference,
    guard_removals,
    permitted_actions,
    read_list,
)
from userops_pipeline.deliver.destinations.base import Destination, KeepsFullList, OutcomeUnknown, Refused
from userops_pipeline.deliver.ledger import LastDelivery, Ledger, LedgerLost
from userops_pipeline.deliver.permission import NewestWord, Person, forget_scratch
from userops_pipeline.ground.faults import crash_point
from userops_pipeline.ground.home import Home, UserOpsError

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
    withdrawn: int  # of the removed: people who may not be contacted any more; never held
    sent: int  # acknowledged by the tool
    held: int  # not tried
    failed: int  # tried, not acknowledged
    aside: dict[str, int]  # people of the generation's list who were not considered, by reason
    calls: int  # batches handed to the tool
    sentence: str

    @property
    def needs_attention(self) -> bool:
        """Whether somebody should look: rows failed, or the list was stopped."""
        return self.outcome in ("incomplete", "held", "stopped")


class _Interrupted(Exception):
    """The batch in hand is finished, and no other begun: a signal asked to stop, or there is a newer word than was asked."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


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
    untold: Sequence[str] = (),
    age_days: int = 0,
    declared: Collection[str] | None = None,
) -> list[DeliveryReport]:
    """Deliver each list from one published generation, which the caller has verified; one report per list, in their order.

    A list that must not be delivered is reported and the others go on. `untold` says, a sentence each, which words about contact may not
    be in the lake yet; they, and a generation of more than a list's days of age, hold everything but withdrawals. Of lists that are not
    `declared` any more, withdrawals are sent too; they are reported, after the others, where there is any. On SIGTERM or SIGINT the
    batch in hand is finished, then the signal does what it would have done.

    Raises:
        UserOpsError: another delivery is under way, the ledger is lost or cannot be written, or the home's lake cannot be asked who may
            be contacted; then nothing more is sent.
    """
    with contextlib.ExitStack() as stack:
        if not dry_run:
            stack.enter_context(only_delivery(home))
            forget_scratch(home)
        stop = stack.enter_context(_stop_after_batch())
        ledger = stack.enter_context(Ledger.open(home, read_only=dry_run))
        forgotten = [] if declared is None else [name for name in ledger.lists() if name not in {*declared, *ledger.lost()}]
        ledger.prove([*(spec.name for spec in lists), *forgotten])
        word = stack.enter_context(NewestWord.open(home))
        source = _Source(generation_dir, generation, as_of, age_days, tuple(untold))
        reports = [
            _ListDelivery(ledger, word, source, spec, destinations, stop, dry_run=dry_run).run(removals_allowed=spec.name in allow_removals)
            for spec in lists
        ]
        for name in forgotten:
            last = ledger.last_delivery(name)
            if last is not None:
                delivery = _ListDelivery(ledger, word, source, as_delivered(name, last), destinations, stop, dry_run=dry_run)
                reports += filter(None, [delivery.only_withdraw()])
        return reports


def as_delivered(name: str, last: LastDelivery) -> ListSpec:
    """A list as its tool knows it, whatever its rule says now."""
    return ListSpec.model_construct(
        name=name,
        tool=last.tool,
        segment=name,
        mode=last.mode,
        match_key=last.match_key,
        channel=last.channel,
        purpose=last.purpose,
        fields={last.match_field: last.match_key},
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """The generation that is delivered, and what is known of how far it can be trusted to be the latest."""

    folder: Path
    generation: str
    as_of: date
    age_days: int
    untold: tuple[str, ...]


class _ListDelivery:
    """One list's way through the delivery, and what it counts on the way."""

    def __init__(
        self,
        ledger: Ledger,
        word: NewestWord,
        source: _Source,
        spec: ListSpec,
        destinations: Mapping[str, Destination],
        stop: Callable[[], bool],
        *,
        dry_run: bool,
    ) -> None:
        self.ledger = ledger
        self.word = word
        self.source = source
        self.spec = spec
        self.destinations = destinations
        self.stop = stop
        self.dry_run = dry_run
        self.calls = 0
        self.rows: Counter[str] = Counter()
        self.aside: Counter[str] = Counter()
        self.withdrawn: set[str] = set()  # match values of members who may not be contacted any more
        self.waiting: set[str] = set()  # match values of which the tool's answer is still open: left alone for the rest of this run

    def run(self, *, removals_allowed: bool) -> DeliveryReport:
        """Deliver the list, or say why not."""
        if self.stop():
            return self._report("stopped", f"{self.spec.name} was not started: the run was asked to stop.")
        try:
            last = self.ledger.last_delivery(self.spec.name)
            self.word.renew()
            if last is not None:
                self._withdraw(as_delivered(self.spec.name, last), max(last.as_of, self.source.as_of))
            destination = self._destination(self.spec.tool)
            listed = self._may_be_sent()
            self._guard_history(last)
            self._give_up_outdated(listed)
            changes = self._difference(listed)
            self._guard(listed, changes, removals_allowed=removals_allowed)
            if self._is_dry(destination):
                self._plan(changes)
                why = "dry run" if self.dry_run else f"{self.spec.tool} is not live"
                return self._report("dry_run", f"{self.spec.name}: {self._told()} for {self.spec.tool}; nothing was sent ({why}).")
            return self._bring_up_to_date(destination, listed)
        except (ListStopped, LedgerLost) as stopped:
            return self._held(str(stopped))
        except (OutcomeUnknown, Refused, _Interrupted) as error:
            return self._cut_short(error)

    def only_withdraw(self) -> DeliveryReport | None:
        """Take whoever may not be contacted off a list that is declared no more; null where there is nobody."""
        try:
            self.word.renew()
            self._withdraw(self.spec, self.source.as_of)
        except ListStopped as stopped:
            return self._held(str(stopped))
        except (OutcomeUnknown, Refused, _Interrupted) as error:
            return self._cut_short(error)
        return self._completed() if self.rows["planned"] else None

    # -- first: whoever may not be contacted any more --------------------------------------------------------------

    def _withdraw(self, spec: ListSpec, as_of: date) -> None:
        """Take off, at the tool that has them, the members whom the newest word does not permit; no guard is asked.

        A batch of unknown outcome counts as taken: a removal of theirs alone is sent again under its key, anything else that holds one
        of them is given up.
        """
        batches = self.ledger.open_batches(spec.name)
        self.withdrawn = self._not_permitted(spec, batches)
        if not self.withdrawn:
            return
        destination = self._destination(spec.tool)
        dry = self._is_dry(destination)
        for batch in [] if dry else batches:
            values = {row.match_value for row in batch.rows}
            if batch.action == "remove" and values <= self.withdrawn:
                self._send_again(destination, batch)
            elif values & self.withdrawn:
                self.ledger.dropped(batch)
        members = self.ledger.members(spec.name)
        leaving = [Row(value, None) for value in sorted(self.withdrawn & members.keys() - self.waiting)]
        self.rows["withdrawn"] += len(leaving)
        changes = permitted_actions(spec.mode, {"withdrawn": leaving})
        self._plan(changes)
        if not leaving or dry:
            return
        delivery, planned = self.ledger.plan(spec, self.source.generation, as_of, changes, max_batch=destination.max_batch)
        crash_point("deliver:after_withdrawals_plan")
        try:
            for batch in planned:
                self._send(destination, batch)
            if isinstance(destination, KeepsFullList):
                destination.leave_out(spec, self.withdrawn)
        finally:
            counts = self._counts()
            self.ledger.finish(delivery, "sent" if counts["sent"] == counts["planned"] else "incomplete", counts)
        self.waiting |= self.withdrawn & self.ledger.members(spec.name).keys()  # the tool would not let them go; next time again

    def _not_permitted(self, spec: ListSpec, batches: Sequence[Batch]) -> set[str]:
        """Match values whom the tool has, or may have, and the newest word does not permit."""
        held = [(value, member.point) for value, member in self.ledger.members(spec.name).items()]
        held += [(row.match_value, row.point) for batch in batches for row in batch.rows]
        people: list[Person] = [(value, point) if spec.match_key == "user_id" else (None, value) for value, point in held]
        allowed = self.word.may_contact(spec.channel, spec.purpose, people)
        return {value for (value, _), may in zip(held, allowed, strict=True) if not may}

    # -- then: what the rules say, if nothing holds it -------------------------------------------------------------

    def _may_be_sent(self) -> Listed:
        """The generation's list without those whom the newest word does not permit."""
        listed = read_list(self.source.folder, self.spec)
        people = list(listed.people.items())
        allowed = self.word.may_contact(self.spec.channel, self.spec.purpose, [person for _, person in people])
        listed.keep({value for (value, _), may in zip(people, allowed, strict=True) if may})
        self.aside = +listed.aside
        return listed

    def _guard_history(self, last: LastDelivery | None) -> None:
        """Stop a list that would go back in time or change its identity."""
        spec, as_of = self.spec, self.source.as_of
        if last is None:
            return
        if as_of < last.as_of:
            raise ListStopped(
                f"it was delivered as of {last.as_of} already, and a list as of {as_of} may hold people who have "
                "withdrawn consent since; deliver a newer generation"
            )
        if not last.is_for(spec):
            raise ListStopped(
                f"so far it was delivered to {last.tool} by {last.match_key} for {last.purpose} by {last.channel} ({last.mode}), now it is for "
                f"{spec.tool} by {spec.match_key} for {spec.purpose} by {spec.channel} ({spec.mode}), where the ledger does not tell who is a "
                "member; give the list a new name"
            )

    def _difference(self, listed: Listed) -> dict[Action, list[Row]]:
        """What is to be sent beside the withdrawals and what waits for an answer."""
        members = self.ledger.members(self.spec.name)
        if self.dry_run:
            members = {value: member for value, member in members.items() if value not in self.withdrawn}
        return difference(self.spec, listed.rows, members, listed.untouched | self.waiting)

    def _give_up_outdated(self, listed: Listed) -> None:
        """Give up every unresolved batch that is not what would be sent now: it is rebuilt, not replayed.

        Sent again it must go as it was, under its key; so each of its rows must be one that the difference would send anyhow.
        """
        wanted = self._difference(listed)
        for batch in [] if self.dry_run else self._unresolved():
            current = {row.match_value: row for row in wanted[batch.action]}
            same_field = batch.match_field == self.spec.match_field
            if not (same_field and all(current.get(row.match_value) == row for row in batch.rows)):
                self.ledger.dropped(batch)

    def _guard(self, listed: Listed, changes: Mapping[Action, list[Row]], *, removals_allowed: bool) -> None:
        """Stop what the rules would change, where it may be wrong or not the latest; what people asked for has gone out before."""
        spec, source = self.spec, self.source
        reasons = list(source.untold)
        if for_anybody := self.word.meant_for_anybody(spec.channel, spec.purpose):
            reasons.append(
                f"{for_anybody} word(s) that stop contact by {spec.channel} for {spec.purpose} name neither user nor address, so they may be "
                "anybody's; userops quarantine list tells where they come from: mend them there and run the night again"
            )
        if source.age_days > spec.max_age_days:
            reasons.append(
                f"generation {source.generation} is {source.age_days} days behind, more than its max_age_days {spec.max_age_days}; "
                "run the latest night"
            )
        try:
            if reasons and any(changes.values()):
                raise ListStopped("; ".join(reasons))
            if not removals_allowed:
                removed = [row.match_value for row in changes["remove"]]
                guard_removals(spec, rows=len(listed.rows), members=self.ledger.members(spec.name), removed=removed)
        except ListStopped:
            self._plan(changes)
            raise

    def _bring_up_to_date(self, destination: Destination, listed: Listed) -> DeliveryReport:
        """Send what is unresolved again, then the rest of what the list is now to be."""
        name, source = self.spec.name, self.source
        for batch in self._unresolved():
            self._send_again(destination, batch)
        changes = self._difference(listed)
        self._plan(changes)
        self.ledger.forget_dead(name, self.waiting | {row.match_value for rows in changes.values() for row in rows})
        delivery, batches = self.ledger.plan(self.spec, source.generation, source.as_of, changes, max_batch=destination.max_batch)
        crash_point("deliver:after_plan")
        try:
            for batch in batches:
                self._send(destination, batch)
            if isinstance(destination, KeepsFullList):
                destination.keep_full(self.spec, source.as_of, listed.rows.values())
            report = self._completed()
        except (OutcomeUnknown, Refused, _Interrupted) as error:
            report = self._cut_short(error)
        self.ledger.finish(delivery, report.outcome, self._counts())
        return report

    # -- sending ---------------------------------------------------------------------------------------------------

    def _destination(self, tool: str) -> Destination:
        try:
            destination = self.destinations.get(tool)
        except UserOpsError as error:
            raise ListStopped(str(error)) from None
        if destination is None:
            raise ListStopped(f"no destination named {tool} is configured; add one or change the list's tool")
        return destination

    def _is_dry(self, destination: Destination) -> bool:
        return self.dry_run or not destination.live

    def _unresolved(self) -> list[Batch]:
        """Batches whose outcome is not known and that have not been tried in this run."""
        return [batch for batch in self.ledger.open_batches(self.spec.name) if not self.waiting & {row.match_value for row in batch.rows}]

    def _send_again(self, destination: Destination, batch: Batch) -> None:
        """Send a batch of unknown outcome again, unchanged; still unresolved, it holds back only its own rows."""
        self._plan_rows(batch.action, len(batch.rows))
        try:
            self._send(destination, batch)
        except OutcomeUnknown:
            self.waiting |= {row.match_value for row in batch.rows}

    def _send(self, destination: Destination, batch: Batch) -> None:
        """One call, between its two records in the ledger."""
        if self.stop():
            raise _Interrupted("it was asked to stop")
        if self.word.changed():
            raise _Interrupted("the lake holds newer words about contact than were asked")
        self.ledger.sending(batch)
        crash_point("deliver:before_send")
        self.calls += 1
        try:
            receipt = destination.send(batch, lambda: not self.word.changed())
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

    def _plan(self, changes: Mapping[Action, list[Row]]) -> None:
        for action, rows in changes.items():
            self._plan_rows(action, len(rows))

    def _plan_rows(self, action: Action, rows: int) -> None:
        self.rows["planned"] += rows
        self.rows[DONE[action]] += rows

    def _counts(self) -> dict[str, int]:
        held = self.rows["planned"] - self.rows["sent"] - self.rows["failed"]
        return {name: self.rows[name] for name in ("planned", "added", "updated", "removed", "sent", "failed")} | {"held": held}

    def _told(self) -> str:
        return f"{self.rows['added']} added, {self.rows['updated']} updated, {self.rows['removed']} removed"

    def _ended(self) -> str:
        counts = self._counts()
        return f"{counts['sent']} of {counts['planned']} rows acknowledged, {counts['failed']} failed, {counts['held']} not tried"

    def _set_aside(self) -> str:
        told = ", ".join(f"{people} {reason}" for reason, people in sorted(self.aside.items()))
        return f" Set aside: {told}." if told else ""

    def _completed(self) -> DeliveryReport:
        name, tool = self.spec.name, self.spec.tool
        if self.rows["failed"]:
            return self._report("incomplete", f"{name}: {self._ended()} at {tool}; failed rows are tried again at the next delivery.")
        if self.rows["planned"]:
            return self._report("sent", f"{name}: {self._told()} at {tool}.{self._set_aside()}")
        return self._report("nothing", f"{name}: {tool} is up to date, nothing to send.{self._set_aside()}")

    def _held(self, reason: str) -> DeliveryReport:
        """Stopped by a guard: what people asked for has gone out, what the rules say waits."""
        counts = self._counts()
        if not self.dry_run:
            self.ledger.hold(self.spec, self.source.generation, self.source.as_of, counts)
        gone = f"{self.rows['withdrawn']} removed who may not be contacted any more; " if self.rows["withdrawn"] else ""
        waits = f"{counts['held']} rows wait" if counts["held"] else "nothing else is sent"
        return self._report("held", f"{self.spec.name} stopped: {gone}{waits}, because {reason.rstrip('.')}.{self._set_aside()}")

    def _cut_short(self, error: OutcomeUnknown | Refused | _Interrupted) -> DeliveryReport:
        next_time = f"{self._ended()}; the next delivery goes on from here."
        if isinstance(error, _Interrupted):
            return self._report("stopped", f"{self.spec.name} stopped because {error.why}: {next_time}")
        return self._report("incomplete", f"{self.spec.name} stopped at {self.spec.tool} ({error.error_class}): {next_time}")

    def _report(self, outcome: Outcome, sentence: str) -> DeliveryReport:
        return DeliveryReport(
            list_name=self.spec.name,
            tool=self.spec.tool,
            generation=self.source.generation,
            as_of=self.source.as_of,
            outcome=outcome,
            withdrawn=self.rows["withdrawn"],
            aside=dict(self.aside),
            calls=self.calls,
            sentence=sentence,
            **self._counts(),
        )


@contextlib.contextmanager
def only_delivery(home: Home) -> Iterator[None]:
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
