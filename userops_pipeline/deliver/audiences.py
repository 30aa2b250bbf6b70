"""Audiences: what a campaign list is, who is on it in a published generation, and what differs from what its tool has.

Here live the typed list, its reader, the table of what a mode permits, the difference and the guards that stop a list.
Add here when a rule holds for every list whatever its tool; must not hold a tool's manners (destinations) or what was sent (ledger).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import duckdb
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from userops_pipeline.ground.channels import ADDRESSES, foreign_addresses
from userops_pipeline.ground.home import UserOpsError

Mode = Literal["mirror", "additive", "enrich"]
Change = Literal["withdrawn", "new", "changed", "gone"]
Action = Literal["add", "update", "remove"]
MatchKey = Literal["user_id", "email", "phone", "contact_point"]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Text = Annotated[str, StringConstraints(min_length=1)]

# What a list may do at its tool about each kind of change. A change that is missing here is never sent. Whoever may not be contacted
# any more (withdrawn) leaves in every mode; the other changes are the rules' and wait where a guard holds them.
PERMITTED: dict[Mode, dict[Change, Action]] = {
    "mirror": {"withdrawn": "remove", "new": "add", "changed": "update", "gone": "remove"},  # the tool's list is this list
    "additive": {"withdrawn": "remove", "new": "add", "changed": "update"},  # people join and change, nobody else leaves
    "enrich": {"withdrawn": "remove", "new": "update", "changed": "update"},  # fields of people the tool has; no rule removes anybody
}

# The order in which actions are sent: whoever must not be contacted any more goes first.
ACTIONS: tuple[Action, ...] = ("remove", "update", "add")

# What in other texts is taken for an address: nobody has consented to be reached where a name or an id happens to say.
LOOKS_LIKE_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+|\+[1-9]\d{6,14}")

CANONICAL = json.JSONEncoder(sort_keys=True)

# The checksum of a member whose fields at the tool are not known; no row's checksum equals it.
UNKNOWN_FIELDS = ""
# The address of a member who was sent with one of several; no permission is for it.
UNKNOWN_POINT = ""


class ListStopped(UserOpsError):
    """One list must not be delivered, and why; the other lists go on."""


class ListSpec(BaseModel):
    """One campaign list of one tool, as its rule declares it."""

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
    max_age_days: int = Field(default=3, ge=0)

    @model_validator(mode="after")
    def _one_meaning_per_name(self) -> ListSpec:
        if self.fields.get(self.match_key, self.match_key) != self.match_key:
            raise ValueError(
                f"the tool field {self.match_key!r} must hold {self.match_key}, because the list is matched by it; rename the field"
            )
        for sentence in foreign_addresses(self.channel, self.match_key, self.fields):
            raise ValueError(sentence)
        return self

    @property
    def match_field(self) -> str:
        """The name under which the tool knows the match value: the field mapped to the match key, or the key itself."""
        return next((field for field, column in self.fields.items() if column == self.match_key), self.match_key)

    @property
    def carried_point(self) -> str | None:
        """The tool field that carries the address of people who are matched by user_id; null where none leaves."""
        carriers = [name for name, column in self.fields.items() if column == "contact_point" or column in ADDRESSES]
        return carriers[0] if carriers and self.match_key == "user_id" else None


@dataclass(frozen=True, slots=True)
class Row:
    """One person of a list as a tool sees them; a removal carries no fields."""

    match_value: str
    fields: dict[str, Any] | None
    point: str | None = None  # the address among the fields, where the match value is none

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


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody whom a tool has, or may have, as the ledger knows them."""

    checksum: str | None  # null: nobody knows whether the tool has them
    point: str | None = None  # the address they were sent with, where the match value is none


@dataclass(slots=True)
class Listed:
    """One list of a generation: rows by match value, whom each is, and who was set aside, by reason."""

    rows: dict[str, Row] = field(default_factory=dict)
    people: dict[str, tuple[str, str]] = field(default_factory=dict)  # user id and address, by match value
    aside: Counter[str] = field(default_factory=Counter)
    untouched: set[str] = field(default_factory=set)  # match values of those set aside: neither sent nor taken off

    def keep(self, permitted: Collection[str]) -> None:
        """Leave out everybody else: the newest word does not permit it."""
        self.aside["not permitted any more"] += len(self.rows) - len(permitted)
        self.rows = {value: row for value, row in self.rows.items() if value in permitted}


def read_list(generation_dir: Path, spec: ListSpec) -> Listed:
    """One list as a generation has it, by match value; fields are the mapped ones, in the mapping's order.

    People without a match value, and people who share one, are set aside: a tool could not tell them apart, and what one of them
    says must not be undone by another. A text that is an address is left out, and its person set aside where they are matched by it.

    Raises:
        ListStopped: the list cannot be read, or the generation was built with other fields.
    """
    file = generation_dir / "exports" / "audiences.parquet"
    try:
        with duckdb.connect() as con:
            found = con.execute(
                "select match_value::varchar, fields::varchar, user_id::varchar, contact_point::varchar from read_parquet(?)"
                " where audience = ? and tool = ? order by 1 nulls first, user_id",
                [str(file), spec.name, spec.tool],
            ).fetchall()
        records = [(value, json.loads(fields or "{}"), user, point) for value, fields, user, point in found]
    except (duckdb.Error, ValueError) as error:
        reason = type(error).__name__  # never the message: it may quote a row
        raise ListStopped(
            f"exports/audiences.parquet of generation {generation_dir.name} cannot be read ({reason}); publish a new generation."
        ) from None
    if any(not isinstance(fields, dict) or fields.keys() - spec.fields.keys() for _, fields, _, _ in records):
        raise ListStopped(f"generation {generation_dir.name} was built with other fields than the list maps now; publish a new generation.")

    listed = Listed()
    times = Counter(_compared(value) for value, _, _, _ in records if value is not None)
    for value, fields, user, point in records:
        if value is None or not value.strip():
            listed.aside[f"without {spec.match_key}"] += 1
        elif times[_compared(value)] > 1:
            listed.aside[f"who share a {spec.match_key}"] += 1
            listed.untouched.add(value)
        elif _is_foreign_address(value, point):
            listed.aside[f"whose {spec.match_key} is an address of another channel"] += 1
        else:
            kept = {name: fields.get(name) for name in spec.fields}
            for name, column in spec.fields.items():
                if column not in ("contact_point", *ADDRESSES) and _is_foreign_address(kept[name], point):
                    kept[name] = None
            listed.rows[value] = Row(value, kept, point if spec.carried_point else None)
            listed.people[value] = user, point
    return listed


def _compared(value: str) -> str:
    return value.strip().lower()


def _is_foreign_address(value: Any, point: str | None) -> bool:
    """Whether a text is an address, and not the one that the list's consent is for."""
    return isinstance(value, str) and bool(LOOKS_LIKE_ADDRESS.fullmatch(value.strip())) and _compared(value) != _compared(point or "")


def difference(
    spec: ListSpec, rows: Mapping[str, Row], members: Mapping[str, Member], waiting: Collection[str] = ()
) -> dict[Action, list[Row]]:
    """Rows to send per action, in sending order: the rows that may be sent against what the ledger says the tool has.

    Of a member with a null checksum nobody knows whether the tool has them, so they count as new when on the list and as gone when
    not. Match values `waiting` (in an unresolved batch, set aside) are left out.
    """
    free = {value: row for value, row in rows.items() if value not in waiting}
    known = {value: member.checksum for value, member in members.items()}
    changes: dict[Change, list[Row]] = {
        "new": [row for value, row in free.items() if known.get(value) is None],
        "changed": [row for value, row in free.items() if known.get(value) not in (None, row.checksum)],
        "gone": [Row(value, None) for value in sorted(members.keys() - rows.keys() - set(waiting))],
    }
    return permitted_actions(spec.mode, changes)


def permitted_actions(mode: Mode, changes: Mapping[Change, list[Row]]) -> dict[Action, list[Row]]:
    """What a list of this mode does about these changes, per action."""
    permitted = PERMITTED[mode]
    return {action: [row for change, rows in changes.items() if permitted.get(change) == action for row in rows] for action in ACTIONS}


def guard_removals(spec: ListSpec, *, rows: int, members: Mapping[str, Member], removed: Collection[str]) -> None:
    """Stop a list whose rules would take off everybody, or more than its share, which is a broken rule more often than a wish.

    Of whom nobody knows whether the tool has them, the share says nothing.

    Raises:
        ListStopped: with the command that allows it.
    """
    if not removed:
        return
    allow = f"if that is right: userops deliver --allow-removals {spec.name}"
    if not rows:
        raise ListStopped(f"it is empty, and an empty list removes nobody by itself ({len(members)} are at {spec.tool}); {allow}")
    known = {value for value, member in members.items() if member.checksum is not None}
    if len(known & set(removed)) > spec.max_removed_share * len(known):
        raise ListStopped(
            f"{len(known & set(removed))} of {len(known)} members would be removed by its rules, "
            f"more than the allowed share {spec.max_removed_share:g}; {allow}"
        )
