"""The ledger: what every tool has acknowledged, batch by batch, in one SQLite file beside the exports.

Here live its tables and the transactions that keep it exact through a crash between any two of them.
Add a method here when the state of a delivery changes in a new way; must not decide what to send (audiences) or send it (destinations).

A batch is `planned`, `sending` (the call may have happened), `parked` (the call was tried, its outcome is not known), and ends
`acked` (the tool answered row by row), `refused` (the tool certainly took nothing) or `dropped` (not to be sent again). Its payload,
which is personal, is kept only until the end.

Losing the ledger is no first night: the tools would keep people whom nobody takes off any more. So every transaction leaves a digest of
each list's rows in the file, and its number in `delivered.json` outside the exports, which is written after it: a ledger that is missing,
damaged, another one or older than that says so and is not used.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from userops_pipeline.deliver.audiences import ACTIONS, UNKNOWN_FIELDS, UNKNOWN_POINT, Action, Batch, ListSpec, Member, Row
from userops_pipeline.ground.faults import crash_point
from userops_pipeline.ground.home import Home, UserOpsError, write_atomically

SCHEMA = """
create table ledger (id text not null, counter integer not null, generation text);
create table digests (list text primary key, members integer not null, digest integer not null) without rowid;
create table deliveries (
    id integer primary key, list text not null, tool text not null, match_key text not null, match_field text not null, mode text not null,
    channel text not null, purpose text not null, generation text not null, as_of text not null,
    outcome text, planned integer, added integer, updated integer, removed integer, sent integer, held integer, failed integer,
    started_at text not null, finished_at text
);
create index deliveries_by_list on deliveries (list);
create table batches (
    key text primary key, delivery integer not null references deliveries (id), list text not null, generation text not null,
    as_of text not null, action text not null, part integer not null, match_field text not null, row_count integer not null, payload text,
    state text not null check (state in ('planned', 'sending', 'parked', 'acked', 'refused', 'dropped')),
    attempts integer not null default 0, error_class text, planned_at text not null, sent_at text, ended_at text
);
create index batches_open on batches (list) where payload is not null;
create table members (
    list text not null, match_value text not null, checksum text, point text, batch text not null, primary key (list, match_value)
) without rowid;
create table dead_rows (
    list text not null, match_value text not null, action text not null, error_class text not null, attempts integer not null,
    last_at text not null, primary key (list, match_value)
) without rowid;
"""


SEALED = ("deliveries", "batches", "members", "dead_rows")
FILE = "ledger.sqlite"


@dataclass(frozen=True, slots=True)
class LastDelivery:
    """How and as of when a list was last delivered."""

    tool: str
    match_key: str
    match_field: str
    mode: str
    channel: str
    purpose: str
    as_of: date

    def is_for(self, spec: ListSpec) -> bool:
        """Whether what the ledger knows of the list's members still tells who is a member, and what they were asked.

        An enriching list has made nobody a member, so what it sent says nothing about membership.
        """
        enriches = self.mode == "enrich"
        return (self.tool, self.match_key, self.channel, self.purpose, enriches) == (
            *(spec.tool, spec.match_key, spec.channel, spec.purpose),
            spec.mode == "enrich",
        )


class Witness(BaseModel):
    """What stands outside the exports of the ledger: which one it is and how far it had come."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ledger: str
    counter: int
    generation: str | None
    lists: dict[str, int]  # members by list

    @staticmethod
    def file(home: Home) -> Path:
        return home.root / "delivered.json"

    @classmethod
    def read(cls, home: Home) -> Witness | None:
        """What was written last, null where nothing was.

        Raises:
            LedgerLost: the file cannot be read.
        """
        try:
            return cls.model_validate_json(cls.file(home).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, ValidationError):
            raise LedgerLost("delivered.json, by which it is told whether exports/ledger.sqlite is the newest, cannot be read") from None


class LedgerLost(UserOpsError):
    """The ledger does not tell what the tools hold; the sentence says why and names the way back."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}; so nobody knows whom the tools hold, and nothing is sent. Put the newest exports/ledger.sqlite back, "
            "or read the lists back from their files: userops ledger recover (with --fresh it states a fresh start: "
            "everybody is sent again, and whoever must not be contacted is removed)."
        )


@dataclass(frozen=True, slots=True)
class ListState:
    """What the ledger knows of one list, in numbers only."""

    list_name: str
    tool: str
    last_as_of: date
    members: int
    open_batches: int
    open_rows: int
    dead_rows: dict[str, int]  # by error class


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class Unsettled:
    """A list whose newest delivery did not end well; `outcome` is null where it was cut off."""

    list_name: str
    tool: str
    as_of: date
    outcome: str | None
    started_at: str


class Ledger:
    """The open ledger; every method that writes is one transaction."""

    def __init__(self, home: Home, con: sqlite3.Connection, changes: _Changes) -> None:
        self._home = home
        self._con = con
        self._changes = changes

    @classmethod
    @contextlib.contextmanager
    def open(cls, home: Home, *, read_only: bool = False) -> Iterator[Ledger]:
        """Open `exports/ledger.sqlite`, private to its owner; read-only, where nothing was ever delivered, as an empty one.

        Raises:
            LedgerLost: it is missing, damaged, another one or older than the deliveries that were made.
            UserOpsError: it cannot be read or written while it is open.
        """
        witness = Witness.read(home)
        with contextlib.ExitStack() as stack:
            try:
                con, changes = stack.enter_context(_connected(home.exports / FILE, read_only))
                if not con.execute("select 1 from sqlite_master").fetchone():
                    if (witness is not None and witness.counter > 0) or _delivered_lists(home):
                        raise LedgerLost("exports/ledger.sqlite is missing or empty, though lists have been delivered from this home")
                    con.executescript(_creation())
                ledger = cls(home, con, changes)
                ledger._prove_newest(witness)
                if witness is None and not read_only:
                    ledger.bear_witness()
            except (sqlite3.Error, UnicodeError) as error:
                raise LedgerLost(f"exports/ledger.sqlite is damaged or cannot be opened ({type(error).__name__})") from None
            try:
                yield ledger
            except (sqlite3.Error, OSError) as error:
                raise UserOpsError(
                    f"exports/ledger.sqlite could not be read or written ({type(error).__name__}), so nothing more is sent; free the disk, "
                    "then deliver again. `userops doctor` says whether the file itself is sound."
                ) from None

    def _prove_newest(self, witness: Witness | None) -> None:
        """Refuse a file that is torn, or not the one that was written last; it may be ahead of its witness, which is written after it."""
        if self._con.execute("pragma integrity_check").fetchone() != ("ok",):
            raise LedgerLost("exports/ledger.sqlite is damaged")
        found = self._con.execute("select id, counter, generation from ledger").fetchall()
        if len(found) != 1:
            raise LedgerLost("exports/ledger.sqlite is damaged")
        ledger, counter, generation = found[0]
        if witness is None:
            if counter > 0:
                raise LedgerLost("delivered.json, by which it is told whether exports/ledger.sqlite is the newest, is missing")
        elif ledger != witness.ledger:
            raise LedgerLost("exports/ledger.sqlite is not the one by which this home has delivered")
        elif counter < witness.counter:
            raise LedgerLost("exports/ledger.sqlite is older than the last delivery, as if it came from a backup")
        elif counter == witness.counter and generation != witness.generation:
            raise LedgerLost("exports/ledger.sqlite is damaged")

    def prove(self, list_names: Iterable[str]) -> None:
        """Refuse a ledger in which a row of these lists has been changed, added or lost but by its own transactions.

        Raises:
            LedgerLost: with the list.
        """
        for name in list_names:
            if not self._is_as_written(name):
                raise LedgerLost(f"exports/ledger.sqlite is damaged: the rows of {name} are not those that were written")

    def _is_as_written(self, name: str) -> bool:
        digest, members = 0, 0
        try:
            for table, columns in _columns().items():
                for row in self._con.execute(f"select {', '.join(columns)} from {table} where list = ?", [name]):
                    digest ^= _seal(table, *row)
                    members += table == "members"
            found = self._con.execute("select digest, members from digests where list = ?", [name]).fetchone()
        except (sqlite3.Error, UnicodeError):
            return False  # what is no text any more cannot even be read
        return (digest, members) == (found or (0, 0))

    def lists(self) -> list[str]:
        """Every list of which the ledger knows anything, by name."""
        names = " union ".join(f"select list from {table}" for table in ("digests", *SEALED))
        return [name for (name,) in self._con.execute(f"{names} order by 1")]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._con.execute("begin immediate")
        self._changes.by_list.clear()
        try:
            yield self._con
            for name, (digest, members) in self._changes.by_list.items():
                self._con.execute("insert into digests values (?, 0, 0) on conflict do nothing", [name])
                self._con.execute(
                    "update digests set digest = (digest | ?1) - (digest & ?1), members = members + ?2 where list = ?3",
                    [digest, members, name],
                )
            self._con.execute("update ledger set counter = counter + 1")
        except BaseException:
            self._con.execute("rollback")
            raise
        self._con.execute("commit")
        crash_point("ledger:after_commit")
        self.bear_witness()

    def bear_witness(self) -> None:
        """Write beside the exports how far this ledger has come."""
        ledger, counter, generation = self._con.execute("select id, counter, generation from ledger").fetchone()
        lists = dict(self._con.execute("select list, members from digests order by list"))
        witness = Witness(ledger=ledger, counter=counter, generation=generation, lists=lists)
        write_atomically(Witness.file(self._home), (witness.model_dump_json() + "\n").encode(), mode=0o600)

    def last_delivery(self, list_name: str) -> LastDelivery | None:
        """The newest delivery of a list that was not held.

        Raises:
            LedgerLost: what was delivered of this list was lost, and has not been recovered.
        """
        found = self._con.execute(
            "select tool, match_key, match_field, mode, channel, purpose, as_of from deliveries where list = ? and outcome is not 'held'"
            " order by as_of desc, id desc limit 1",
            [list_name],
        ).fetchone()
        if found and not found[0]:
            raise LedgerLost(f"what {list_name} has delivered was lost with an earlier ledger")
        if found is None:
            return None
        tool, match_key, match_field, mode, channel, purpose, as_of = found
        return LastDelivery(tool, match_key, match_field, mode, channel, purpose, date.fromisoformat(as_of))

    def members(self, list_name: str) -> dict[str, Member]:
        """Whom the tool has acknowledged, or may have, by match value."""
        found = self._con.execute("select match_value, checksum, point from members where list = ?", [list_name])
        return {value: Member(checksum, point) for value, checksum, point in found}

    def open_batches(self, list_name: str) -> list[Batch]:
        """Batches whose outcome at the tool is not known, in the order they were first sent."""
        found = self._con.execute(
            "select key, list, as_of, action, part, match_field, payload from batches"
            " where list = ? and state in ('sending', 'parked') order by sent_at, delivery, key",
            [list_name],
        )
        return [
            Batch(key, name, date.fromisoformat(as_of), action, part, match_field, tuple(Row(*row) for row in json.loads(payload)))
            for key, name, as_of, action, part, match_field, payload in found
        ]

    def plan(
        self, spec: ListSpec, generation: str, as_of: date, changes: Mapping[Action, list[Row]], *, max_batch: int
    ) -> tuple[int, list[Batch]]:
        """Write a delivery and its batches; what was planned before and never tried is forgotten, because the difference finds it again."""
        with self._transaction() as con:
            con.execute("delete from batches where list = ? and state = 'planned'", [spec.name])
            delivery, night = self._insert_delivery(spec, generation, as_of), as_of.isoformat()
            con.execute("update ledger set generation = ?", [generation])
            batches = []
            for action in ACTIONS:
                parts = con.execute(
                    "select coalesce(max(part), 0) from batches where list = ? and as_of = ? and action = ?",
                    [spec.name, night, action],
                ).fetchone()[0]
                rows = changes[action]
                for part, start in enumerate(range(0, len(rows), max_batch), parts + 1):
                    chunk = tuple(rows[start : start + max_batch])
                    payload = json.dumps(
                        [(row.match_value, row.fields, row.point) for row in chunk], ensure_ascii=False, separators=(",", ":")
                    )
                    named = f"{spec.name}\n{spec.tool}\n{night}\n{action}\n{part}\n{payload}"
                    key = hashlib.sha256(named.encode()).hexdigest()[:32]
                    con.execute(
                        "insert into batches"
                        " (key, delivery, list, generation, as_of, action, part, match_field, row_count, payload, state, planned_at)"
                        " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'planned', ?)",
                        [key, delivery, spec.name, generation, night, action, part, spec.match_field, len(chunk), payload, _now()],
                    )
                    batches.append(Batch(key, spec.name, as_of, action, part, spec.match_field, chunk))
        return delivery, batches

    def forget_dead(self, list_name: str, wanted: set[str]) -> None:
        """Forget the failed rows of people with whom nothing is to be done any more."""
        dead = {value for (value,) in self._con.execute("select match_value from dead_rows where list = ?", [list_name])}
        if dead - wanted:
            with self._transaction() as con:
                con.executemany("delete from dead_rows where list = ? and match_value = ?", [(list_name, value) for value in dead - wanted])

    def _insert_delivery(self, spec: ListSpec, generation: str, as_of: date) -> int:
        cursor = self._con.execute(
            "insert into deliveries (list, tool, match_key, match_field, mode, channel, purpose, generation, as_of, started_at)"
            " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                *(spec.name, spec.tool, spec.match_key, spec.match_field, spec.mode, spec.channel, spec.purpose),
                *(generation, as_of.isoformat(), _now()),
            ],
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def hold(self, spec: ListSpec, generation: str, as_of: date, counts: Mapping[str, int]) -> None:
        """Record that a list was stopped before anything but withdrawals was planned."""
        with self._transaction():
            self._finish(self._insert_delivery(spec, generation, as_of), "held", counts)

    def finish(self, delivery: int, outcome: str, counts: Mapping[str, int]) -> None:
        """Record how a delivery ended."""
        with self._transaction():
            self._finish(delivery, outcome, counts)

    def _finish(self, delivery: int, outcome: str, counts: Mapping[str, int]) -> None:
        names = ("planned", "added", "updated", "removed", "sent", "held", "failed")
        self._con.execute(
            f"update deliveries set outcome = ?, finished_at = ?, {', '.join(f'{name} = ?' for name in names)} where id = ?",
            [outcome, _now(), *(counts[name] for name in names), delivery],
        )

    def recover(self, spec: ListSpec, generation: str, as_of: date, members: Mapping[str, Member]) -> None:
        """Begin a list anew with these members, as told by its tool, its files or a stated fresh start."""
        with self._transaction() as con:
            for table in SEALED:
                con.execute(f"delete from {table} where list = ?", [spec.name])
            con.execute("delete from digests where list = ?", [spec.name])
            self._changes.by_list.pop(spec.name, None)
            delivery = self._insert_delivery(spec, generation, as_of)
            self._finish(delivery, "recovered", dict.fromkeys(("planned", "added", "updated", "removed", "sent", "held", "failed"), 0))
            con.executemany(
                "insert into members values (?, ?, ?, ?, 'recovered')",
                [(spec.name, value, member.checksum, member.point) for value, member in members.items()],
            )

    def give_up(self, list_name: str) -> None:
        """Forget all of a list that is delivered no more and whose members are lost."""
        with self._transaction() as con:
            for table in SEALED:
                con.execute(f"delete from {table} where list = ?", [list_name])
            con.execute("delete from digests where list = ?", [list_name])
            self._changes.by_list.pop(list_name, None)

    def lost(self) -> list[str]:
        """Lists whose members were lost with an earlier ledger and have not been recovered."""
        return [name for (name,) in self._con.execute("select list from deliveries where outcome = 'lost' order by list")]

    @classmethod
    def start_anew(cls, home: Home) -> None:
        """Put an empty ledger in the place of one that is lost; of the lists it had, nothing is delivered before each is recovered."""
        names = _delivered_lists(home)
        with contextlib.suppress(sqlite3.Error, UnicodeError), _connected(home.exports / FILE, read_only=True) as (con, _):
            names |= {name for (name,) in con.execute("select list from deliveries")}
        with contextlib.suppress(LedgerLost):
            names |= (Witness.read(home) or Witness(ledger="", counter=0, generation=None, lists={})).lists.keys()
        for file in home.exports.glob(f"{FILE}*"):
            file.unlink()
        with _connected(home.exports / FILE, read_only=False) as (con, changes):
            con.executescript(_creation())
            with cls(home, con, changes)._transaction():
                con.executemany(
                    "insert into deliveries"
                    " (list, tool, match_key, match_field, mode, channel, purpose, generation, as_of, outcome, started_at)"
                    " values (?, '', '', '', '', '', '', '', '9999-12-31', 'lost', ?)",
                    [(name, _now()) for name in sorted(names)],
                )

    def sending(self, batch: Batch) -> None:
        """Record that a call is about to be made; from here on the tool may have the rows."""
        with self._transaction() as con:
            con.execute(
                "update batches set state = 'sending', attempts = attempts + 1, sent_at = coalesce(sent_at, ?) where key = ?",
                [_now(), batch.key],
            )

    def acked(self, batch: Batch, failed: Mapping[str, str]) -> None:
        """Record the tool's answer: accepted rows become (or cease to be) members, failed rows stay as they were and are kept in sight."""
        accepted = [row for row in batch.rows if row.match_value not in failed]
        with self._transaction() as con:
            if batch.action == "remove":
                con.executemany(
                    "delete from members where list = ? and match_value = ?", [(batch.list_name, row.match_value) for row in accepted]
                )
            else:
                con.executemany(
                    "insert into members values (?, ?, ?, ?, ?) on conflict do update set"
                    " checksum = excluded.checksum, point = excluded.point, batch = excluded.batch",
                    [(batch.list_name, row.match_value, row.checksum, row.point, batch.key) for row in accepted],
                )
            con.executemany(
                "delete from dead_rows where list = ? and match_value = ?", [(batch.list_name, row.match_value) for row in accepted]
            )
            con.executemany(
                "insert into dead_rows values (?, ?, ?, ?, 1, ?) on conflict do update set"
                " action = excluded.action, error_class = excluded.error_class, attempts = attempts + 1, last_at = excluded.last_at",
                [(batch.list_name, value, batch.action, error_class, _now()) for value, error_class in failed.items()],
            )
            self._end(batch, "acked", None)

    def parked(self, batch: Batch, error_class: str) -> None:
        """Record that the outcome of a call is not known; the batch is sent again, unchanged, before anything new."""
        with self._transaction() as con:
            con.execute("update batches set state = 'parked', error_class = ? where key = ?", [error_class, batch.key])

    def refused(self, batch: Batch, error_class: str) -> None:
        """Record that the tool certainly took nothing of a batch; the next difference finds its rows again."""
        with self._transaction():
            self._end(batch, "refused", error_class)

    def dropped(self, batch: Batch) -> None:
        """Give up an unresolved batch because it is not what would be sent now.

        Nobody knows then whether the tool has its rows (null), or, for an update of members, with which fields; nor, where it carried
        another address than a member was sent with, with which of the two.
        """
        with self._transaction() as con:
            con.executemany(
                "insert into members values (?, ?, null, ?, ?) on conflict do update set"
                " checksum = case when checksum is not null and ? = 'update' then ? end, batch = excluded.batch,"
                " point = case when ? = 'remove' or point is excluded.point then point else ? end",
                [
                    (
                        *(batch.list_name, row.match_value, row.point, batch.key),
                        *(batch.action, UNKNOWN_FIELDS, batch.action, UNKNOWN_POINT),
                    )
                    for row in batch.rows
                ],
            )
            self._end(batch, "dropped", None)

    def _end(self, batch: Batch, state: str, error_class: str | None) -> None:
        self._con.execute(
            "update batches set state = ?, error_class = coalesce(?, error_class), ended_at = ?, payload = null where key = ?",
            [state, error_class, _now(), batch.key],
        )

    def forget(self, is_erased: Callable[[str], bool]) -> int:
        """Delete what names an erased person and nobody needs any more; returns how many rows.

        A member stays until the tool has acknowledged the removal, because only this row says whom to remove, and so do a batch whose outcome
        is open and what failed of it; what was planned and never tried goes. The file is then written anew, so that no page of it keeps what
        was deleted.
        """
        with self._transaction() as con:
            held = {(name, value) for name, value in con.execute("select list, match_value from members") if is_erased(value)}
            dead = [row for row in con.execute("select list, match_value from dead_rows") if is_erased(row[1]) and row not in held]
            con.executemany("delete from dead_rows where list = ? and match_value = ?", dead)
            planned = [
                (key,)
                for key, payload in con.execute("select key, payload from batches where state = 'planned' and payload is not null")
                if any(is_erased(value) for value, *_ in json.loads(payload))
            ]
            con.executemany("delete from batches where key = ?", planned)
        self._con.execute("vacuum")
        self._con.execute("pragma wal_checkpoint(truncate)")
        return len(dead) + len(planned)

    def states(self) -> list[ListState]:
        """One state per list ever delivered, by name."""
        found = self._con.execute(
            "select list, max(tool), max(as_of),"
            " (select count(*) from members m where m.list = d.list and m.checksum is not null),"
            " (select count(*) from batches b where b.list = d.list and b.state in ('sending', 'parked')),"
            " (select coalesce(sum(row_count), 0) from batches b where b.list = d.list and b.state in ('sending', 'parked'))"
            " from deliveries d where outcome is not 'held' and tool <> '' group by list order by list"
        ).fetchall()
        dead: dict[str, dict[str, int]] = {}
        for name, error_class, count in self._con.execute("select list, error_class, count(*) from dead_rows group by 1, 2 order by 1, 2"):
            dead.setdefault(name, {})[error_class] = count
        return [
            ListState(name, tool, date.fromisoformat(as_of), members, batches, rows, dead.get(name, {}))
            for name, tool, as_of, members, batches, rows in found
        ]

    def unsettled(self) -> list[Unsettled]:
        """The lists whose newest delivery was held, stopped, cut off or not taken whole, by name.

        A list held because a newer night was delivered already is as it should be.
        """
        found = self._con.execute(
            "select list, tool, as_of, outcome, started_at from deliveries d where id = (select max(id) from deliveries n where n.list = d.list)"
            " and coalesce(outcome, 'cut off') not in ('sent', 'nothing', 'lost')"
            " and not exists (select 1 from deliveries n where n.list = d.list and n.as_of > d.as_of and n.outcome in ('sent', 'nothing'))"
            " order by list"
        )
        return [Unsettled(name, tool, date.fromisoformat(as_of), outcome, started) for name, tool, as_of, outcome, started in found]


def _seal(*values: object) -> int:
    """A number for a row; equal for equal rows, another one when a bit of one is another."""
    return int.from_bytes(hashlib.blake2b(repr(values).encode("utf-8", "surrogatepass"), digest_size=8).digest()) >> 2


class _Changes:
    """What a transaction does to each list's digest, which is all seals of its rows, xored, and to its number of members."""

    def __init__(self) -> None:
        self.by_list: dict[str, tuple[int, int]] = {}

    def of(self, members: int, list_name: str, *row: object) -> None:
        digest, counted = self.by_list.get(list_name, (0, 0))
        self.by_list[list_name] = digest ^ _seal(*row), counted + members


@contextlib.contextmanager
def _connected(file: Path, read_only: bool) -> Iterator[tuple[sqlite3.Connection, _Changes]]:
    if not read_only:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    with contextlib.closing(sqlite3.connect(file if file.exists() else ":memory:", isolation_level=None)) as con:
        if not read_only:
            con.execute("pragma journal_mode = wal")
        con.execute("pragma synchronous = full")
        con.execute("pragma secure_delete = on")  # who has left a list leaves the file too
        changes = _Changes()
        con.create_function("changed", -1, changes.of)
        yield con, changes


@functools.cache
def _columns() -> dict[str, list[str]]:
    """The columns of every sealed table."""
    with contextlib.closing(sqlite3.connect(":memory:")) as con:
        con.executescript(SCHEMA)
        return {table: [row[1] for row in con.execute(f"pragma table_info({table})")] for table in SEALED}


def _creation() -> str:
    """All that makes an empty ledger, in one transaction."""
    triggers = "".join(_triggers(table, columns) for table, columns in _columns().items())
    return f"begin immediate;{SCHEMA}{triggers}insert into ledger values ('{uuid.uuid4().hex}', 0, null);commit;"


def _triggers(table: str, columns: list[str]) -> str:
    """Tell of every row of this table that comes, changes or goes."""

    def told(row: str, members: int) -> str:
        counted = members if table == "members" else 0
        return f"select changed({counted}, {row}.list, '{table}', {', '.join(f'{row}.{column}' for column in columns)});"

    comes, goes = told("new", 1), told("old", -1)
    return "".join(
        f"create trigger {table}_{event} after {event} on {table} begin {steps} end;"
        for event, steps in (("insert", comes), ("update", goes + comes), ("delete", goes))
    )


def _delivered_lists(home: Home) -> set[str]:
    """Lists whose files lie in the exports."""
    return {file.parent.parent.name for file in home.exports.glob("*/*/full.csv")}


def health(home: Home) -> list[str]:
    """What is wrong with the ledger, a sentence each; nothing is written, and nothing found where nothing was ever delivered."""
    try:
        with Ledger.open(home, read_only=True) as ledger:
            ledger.prove(ledger.lists())
    except UserOpsError as error:
        return [str(error)]
    return []


def lost_lists(home: Home) -> list[str]:
    """Lists whose members were lost with an earlier ledger; none where the ledger itself is."""
    try:
        with Ledger.open(home, read_only=True) as ledger:
            return ledger.lost()
    except UserOpsError:
        return []
