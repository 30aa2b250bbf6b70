"""Audiences: what a campaign list is, who is on it in a published generation, and what differs from what its tool has.

Here live the typed list, its reader, the table of what a mode permits, the difference and the guards that stop a list.
Add here when a rule holds for every list whatever its tool; must not hold a tool's manners (destinations) or what was sent (ledger).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import duckdb
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from userops_pipeline.core.home import UserOpsError

Mode = Literal["mirror", "additive", "enrich"]
Change = Literal["new", "changed", "gone"]
Action = Literal["add", "update", "remove"]
MatchKey = Literal["user_id", "email", "phone", "contact_point"]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Text = Annotated[str, StringConstraints(min_length=1)]

# What a list may do at its tool about each kind of change. A change that is missing here is never sent.
PERMITTED: dict[Mode, dict[Change, Action]] = {
    "mirror": {"new": "add", "changed": "update", "gone": "remove"},  # the tool's list is this list
    "additive": {"new": "add", "changed": "update"},  # people join and change, nobody leaves
    "enrich": {"new": "update", "changed": "update"},  # fields of people the tool has; membership is not touched
}

# The order in which actions are sent: whoever must not be contacted any more goes first.
ACTIONS: tuple[Action, ...] = ("remove", "update", "add")

CANONICAL = json.JSONEncoder(sort_keys=True)

# The checksum of a member whose fields at the tool are not known; no row's checksum equals it.
UNKNOWN_FIELDS = ""


class ListStopped(UserOpsError):
    """One list must not be delivered, and why; the other lists go on."""


class ListSpec(BaseModel):
    """One campaign list of one tool, as its exposure declares it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    tool: Name
    segment: Name
    mode: Mode
    match_key: MatchKey
    channel: Text
    purpose: Text
    fields: dict[Text, Name]
    max_removed_share: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _one_meaning_per_name(self) -> ListSpec:
        if self.fields.get(self.match_key, self.match_key) != self.match_key:
            raise ValueError(
                f"the tool field {self.match_key!r} must hold {self.match_key}, because the list is matched by it; rename the field"
            )
        return self

    @property
    def match_field(self) -> str:
        """The name under which the tool knows the match value: the field mapped to the match key, or the key itself."""
        return next((field for field, column in self.fields.items() if column == self.match_key), self.match_key)


@dataclass(frozen=True, slots=True)
class Row:
    """One person of a list as a tool sees them; a removal carries no fields."""

    match_value: str
    fields: dict[str, Any] | None

    @property
    def checksum(self) -> str:
        """Hash of the mapped fields, names included, so that a changed mapping counts as a change of every row."""
        return hashlib.sha256(CANONICAL.encode(self.fields).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that go to a tool in one call, under one idempotency key, whenever and however often they are sent."""

    key: str
    list_name: str
    as_of: date
    action: Action
    part: int  # 1, 2, … among the batches of this list, date and action
    match_field: str
    rows: tuple[Row, ...]


def read_list(generation_dir: Path, spec: ListSpec) -> dict[str, Row]:
    """Rows of one list in a generation, by match value and in its order; fields are the mapped ones, in the mapping's order.

    Raises:
        ListStopped: the list cannot be read, its key is null or not unique, or the generation was built with other fields.
    """
    file = generation_dir / "exports" / "audiences.parquet"
    try:
        with duckdb.connect() as con:
            found = con.execute(
                "select match_value::varchar, fields::varchar from read_parquet(?) where audience = ? and tool = ? order by 1 nulls first",
                [str(file), spec.name, spec.tool],
            ).fetchall()
        records = [(value, json.loads(fields or "{}")) for value, fields in found]
    except (duckdb.Error, ValueError) as error:
        reason = type(error).__name__  # never the message: it may quote a row
        raise ListStopped(
            f"{spec.name} stopped: exports/audiences.parquet of generation {generation_dir.name} cannot be read ({reason}); "
            "publish a new generation."
        ) from None

    nulls = sum(value is None or not value.strip() for value, _ in records)
    if nulls:
        raise ListStopped(
            f"{spec.name} stopped: {nulls} of its {len(records)} rows have no {spec.match_key}; leave them out in exports.audiences."
        )
    repeated = sum(times > 1 for times in Counter(value for value, _ in records).values())
    if repeated:
        raise ListStopped(
            f"{spec.name} stopped: {repeated} value(s) of {spec.match_key} occur more than once; "
            "a match key must name one person, so pick another."
        )
    if any(not isinstance(fields, dict) or fields.keys() - spec.fields.keys() for _, fields in records):
        raise ListStopped(
            f"{spec.name} stopped: generation {generation_dir.name} was built with other fields than the list maps now; "
            "publish a new generation."
        )
    return {value: Row(value, {field: fields.get(field) for field in spec.fields}) for value, fields in records}


def difference(
    spec: ListSpec, rows: Mapping[str, Row], members: Mapping[str, str | None], waiting: Iterable[str] = ()
) -> dict[Action, list[Row]]:
    """Rows to send per action, in sending order: this generation's rows against what the ledger says the tool has.

    `members` gives the checksum last acknowledged per match value; null means that nobody knows whether the tool has the person,
    so they count as new when on the list and as gone when not. Rows `waiting` in an unresolved batch are left out.
    """
    left_out = set(waiting)
    changes: dict[Change, list[Row]] = {
        "new": [row for value, row in rows.items() if value not in left_out and members.get(value) is None],
        "changed": [
            row
            for value, row in rows.items()
            if value not in left_out and members.get(value) is not None and members[value] != row.checksum
        ],
        "gone": [Row(value, None) for value in sorted(members.keys() - rows.keys() - left_out)],
    }
    permitted = PERMITTED[spec.mode]
    return {action: [row for change, rows_ in changes.items() if permitted.get(change) == action for row in rows_] for action in ACTIONS}


def guard_removals(spec: ListSpec, *, rows: int, members: int, removals: int) -> None:
    """Stop a list that would lose everybody or more than its share, which is a broken rule more often than a wish.

    Raises:
        ListStopped: with the command that allows it.
    """
    if not removals:
        return
    allow = f"if that is right: userops deliver --allow-removals {spec.name}"
    if not rows:
        raise ListStopped(
            f"{spec.name} stopped: it is empty, and an empty list removes nobody by itself ({members} are at {spec.tool}); {allow}"
        )
    if removals > spec.max_removed_share * members:
        raise ListStopped(
            f"{spec.name} stopped: {removals} of {members} members would be removed, "
            f"more than the allowed share {spec.max_removed_share:g}; {allow}"
        )
