"""The vocabulary of delivery: what a destination promises, what it answers, and the two ways in which a call can fail.

Here live the words that every tool's file and the delivery share; a new tool is one more file beside this one with one class.
Add here only what two tools need; must not hold a tool's own manners, nor the order in which things are sent (deliver).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol, runtime_checkable

from userops_pipeline.deliver.audiences import Batch, ListSpec, Member, Row


@dataclass(frozen=True, slots=True)
class BatchReceipt:
    """A tool's answer about every row of a batch: a row not named in `failed` was accepted."""

    failed: Mapping[str, str] = field(default_factory=dict)  # match value -> error class, a word of the tool's that names nobody


class OutcomeUnknown(Exception):
    """Nobody knows whether the tool took the batch; it will be sent again under the same key if it is still what would be sent."""

    def __init__(self, error_class: str) -> None:
        super().__init__(error_class)
        self.error_class = error_class


class Refused(Exception):
    """The tool certainly took nothing of the batch and would take no other one either; the list stops here tonight."""

    def __init__(self, error_class: str) -> None:
        super().__init__(error_class)
        self.error_class = error_class


class Destination(Protocol):
    """A campaign tool that takes rows in batches."""

    @property
    def name(self) -> str:
        """The tool's name in the lists."""
        ...

    @property
    def max_batch(self) -> int:
        """Most rows the tool takes in one call."""
        ...

    @property
    def live(self) -> bool:
        """Whether sending is switched on; if not, every delivery is a dry run."""
        ...

    def send(self, batch: Batch, go_on: Callable[[], bool] = lambda: True) -> BatchReceipt:
        """Make the tool hold these rows (add, update: both an upsert by match value) or not hold them (remove).

        Sending a batch again under its key must leave the tool as one sending does. `go_on` is asked before every further try: if it
        says no, somebody in the batch may have withdrawn since, and the outcome stays unknown.

        Raises:
            OutcomeUnknown: after the tool's own retries.
            Refused: the tool takes nothing from us.
        """
        ...


@runtime_checkable
class KeepsFullList(Protocol):
    """A destination that also shows the whole list as it stands."""

    def keep_full(self, spec: ListSpec, as_of: date, rows: Iterable[Row]) -> None:
        """Show these rows as the list of this date; showing the same rows again changes nothing."""
        ...

    def leave_out(self, spec: ListSpec, match_values: Collection[str]) -> None:
        """Take people who may not be contacted any more out of the list that is shown."""
        ...


@runtime_checkable
class ReadsBack(Protocol):
    """A destination that can tell whom it holds, for when the ledger is lost."""

    def read_back(self, spec: ListSpec) -> Mapping[str, Member]:
        """Everybody the tool holds, or may hold, of a list, by match value; empty where it knows nothing of the list."""
        ...
