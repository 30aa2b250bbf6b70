"""The ledger: what every tool has acknowledged, batch by batch, in one SQLite file beside the exports.

Here live its tables and the transactions that keep it exact through a crash between any two of them.
Add a method here when the state of a delivery changes in a new way; must not decide what to send (audiences) or send it (destinations).

A batch is `planned`, `sending` (the call may have happened), `parked` (the call was tried, its outcome is not known), and ends
`acked` (the tool answered row by row), `refused` (the tool certainly took nothing) or `dropped` (not to be sent again). Its payload,
which is personal, is kept only until the end.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from userops_pipeline.core.audiences import ACTIONS, UNKNOWN_FIELDS, Action, Batch, ListSpec, Row
from userops_pipeline.core.home import Home, UserOpsError

SCHEMA = """
create table if not exists deliveries (
    id integer primary key, list text not null, tool text not null, match_key text not null, mode text not null,
    generation text not null, as_of text not null,
    outcome text, planned integer, added integer, updated integer, removed integer, sent integer, held integer, failed integer,
    started_at text not null, finished_at text
);
create table if not exists batches (
    key text primary key, delivery integer not null references deliveries (id), list text not null, generation text not null,
    as_of text not null, action text not null, part integer not null, match_field text not null, row_count integer not null, payload text,
    state text not null check (state in ('planned', 'sending', 'parked', 'acked', 'refused', 'dropped')),
    attempts integer not null default 0, error_class text, planned_at text not null, sent_at text, ended_at text
);
create index if not exists batches_open on batches (list) where payload is not null;
create table if not exists members (
    list text not null, match_value text not null, checksum text, batch text not null, primary key (list, match_value)
) without rowid;
create table if not exists dead_rows (
    list text not null, match_value text not null, action text not null, error_class text not null, attempts integer not null,
    last_at text not null, primary key (list, match_value)
) without rowid;
"""


@dataclass(frozen=True, slots=True)
class LastDelivery:
    """How and as of when a list was last delivered."""

    tool: str
    match_key: str
    mode: str
    as_of: date


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

    def __init__(self, con: sqlite3.Connection) -> None:
        self._con = con

    @classmethod
    @contextlib.contextmanager
    def open(cls, home: Home, *, read_only: bool = False) -> Iterator[Ledger]:
        """Open `exports/ledger.sqlite`, private to its owner; read-only, a missing ledger reads as an empty one.

        Raises:
            UserOpsError: the ledger cannot be read or written, now or while it is open.
        """
        try:
            with cls._opened(home.exports / "ledger.sqlite", read_only) as ledger:
                yield ledger
        except sqlite3.Error as error:
            raise UserOpsError(
                f"exports/ledger.sqlite could not be read or written ({type(error).__name__}), so nothing more is sent; free the disk "
                "or restore the file from a backup, then deliver again. "
                "Moved away, it is started anew from a baseline: every list whole, nobody removed."
            ) from None

    @classmethod
    @contextlib.contextmanager
    def _opened(cls, file: Path, read_only: bool) -> Iterator[Ledger]:
        if not read_only:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        with contextlib.closing(sqlite3.connect(file if file.exists() else ":memory:", isolation_level=None)) as con:
            if not read_only:
                con.execute("pragma journal_mode = wal")
            con.execute("pragma synchronous = full")
            con.execute("pragma secure_delete = on")  # who has left a list leaves the file too
            if not read_only or not file.exists():
                con.executescript(SCHEMA)
            yield cls(con)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._con.execute("begin immediate")
        try:
            yield self._con
        except BaseException:
            self._con.execute("rollback")
            raise
        self._con.execute("commit")

    def last_delivery(self, list_name: str) -> LastDelivery | None:
        """The newest delivery of a list that was not held."""
        found = self._con.execute(
            "select tool, match_key, mode, as_of from deliveries where list = ? and outcome is not 'held'"
            " order by as_of desc, id desc limit 1",
            [list_name],
        ).fetchone()
        return found and LastDelivery(found[0], found[1], found[2], date.fromisoformat(found[3]))

    def members(self, list_name: str) -> dict[str, str | None]:
        """Checksum per match value of the rows the tool has acknowledged; null where nobody knows whether it has them."""
        return dict(self._con.execute("select match_value, checksum from members where list = ?", [list_name]))

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
        self, spec: ListSpec, generation: str, as_of: date, changes: Mapping[Action, list[Row]], *, max_batch: int, waiting: set[str]
    ) -> tuple[int, list[Batch]]:
        """Write a delivery and its batches; what was planned before and never tried is forgotten, because the difference finds it again."""
        with self._transaction() as con:
            con.execute("delete from batches where list = ? and state = 'planned'", [spec.name])
            dead = {value for (value,) in con.execute("select match_value from dead_rows where list = ?", [spec.name])}
            wanted = {row.match_value for rows in changes.values() for row in rows} | waiting
            con.executemany("delete from dead_rows where list = ? and match_value = ?", [(spec.name, value) for value in dead - wanted])
            delivery, night = self._insert_delivery(spec, generation, as_of), as_of.isoformat()
            batches = []
            for action in ACTIONS:
                parts = con.execute(
                    "select coalesce(max(part), 0) from batches where list = ? and as_of = ? and action = ?",
                    [spec.name, night, action],
                ).fetchone()[0]
                rows = changes[action]
                for part, start in enumerate(range(0, len(rows), max_batch), parts + 1):
                    chunk = tuple(rows[start : start + max_batch])
                    payload = json.dumps([(row.match_value, row.fields) for row in chunk], ensure_ascii=False, separators=(",", ":"))
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

    def _insert_delivery(self, spec: ListSpec, generation: str, as_of: date) -> int:
        cursor = self._con.execute(
            "insert into deliveries (list, tool, match_key, mode, generation, as_of, started_at) values (?, ?, ?, ?, ?, ?, ?)",
            [spec.name, spec.tool, spec.match_key, spec.mode, generation, as_of.isoformat(), _now()],
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def hold(self, spec: ListSpec, generation: str, as_of: date, counts: Mapping[str, int]) -> None:
        """Record that a list was stopped before anything was planned."""
        with self._transaction():
            self.finish(self._insert_delivery(spec, generation, as_of), "held", counts)

    def finish(self, delivery: int, outcome: str, counts: Mapping[str, int]) -> None:
        """Record how a delivery ended."""
        names = ("planned", "added", "updated", "removed", "sent", "held", "failed")
        self._con.execute(
            f"update deliveries set outcome = ?, finished_at = ?, {', '.join(f'{name} = ?' for name in names)} where id = ?",
            [outcome, _now(), *(counts[name] for name in names), delivery],
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
                    "insert or replace into members values (?, ?, ?, ?)",
                    [(batch.list_name, row.match_value, row.checksum, batch.key) for row in accepted],
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
        """Give up an unresolved batch because somebody in it may not be sent any more.

        Nobody knows then whether the tool has its rows (null), or, for an update of members, with which fields.
        """
        with self._transaction() as con:
            con.executemany(
                "insert into members values (?, ?, null, ?) on conflict do update set"
                " checksum = case when checksum is not null and ? = 'update' then ? end, batch = excluded.batch",
                [(batch.list_name, row.match_value, batch.key, batch.action, UNKNOWN_FIELDS) for row in batch.rows],
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
            " from deliveries d where outcome is not 'held' group by list order by list"
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
            " and coalesce(outcome, 'cut off') not in ('sent', 'nothing')"
            " and not exists (select 1 from deliveries n where n.list = d.list and n.as_of > d.as_of and n.outcome in ('sent', 'nothing'))"
            " order by list"
        )
        return [Unsettled(name, tool, date.fromisoformat(as_of), outcome, started) for name, tool, as_of, outcome, started in found]
