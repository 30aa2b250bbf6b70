"""Erasure: one person taken out of everything a home holds, so that no byte of it names them and no late file brings them back.

Here lives who is meant by a request, what of theirs lies where, and how each place is cleaned; add here when the home gains a place where a
person can stand. Must not talk to a tool nor run a night (defs/erase does, in the right order), nor write down whom it erased.

Every step can be repeated: one that finds nothing changes nothing. The person is known in the clear only while their records are looked
up and the texts are cleaned; from the tombstones on, everything goes by keyed hashes, so a run that was killed is finished by the same command.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from userops_pipeline.ground import contract
from userops_pipeline.ground.faults import crash_point
from userops_pipeline.ground.home import Home, UserOpsError, write_atomically, write_json
from userops_pipeline.ground.lake import raw_scan
from userops_pipeline.ground.sql import identifier, quoted
from userops_pipeline.ground.tombstones import ADDRESS, DEVICE, USER, Tombstones, add, lift, stopped_kind
from userops_pipeline.intake.conform import conform
from userops_pipeline.intake.forget import digits_of, holds_addresses, names_users, owned_keys, spellings
from userops_pipeline.intake.lake_files import ensure_empty_tables
from userops_pipeline.intake.landing import ARCHIVE
from userops_pipeline.intake.nights import conformed_nights
from userops_pipeline.intake.source import Source
from userops_pipeline.publish import generations

SQLITE = b"SQLite format 3\0"
LINES = (".log", ".out", ".err", ".txt")  # of which lines are taken out; any other file that names the person goes as a whole


@dataclass(frozen=True)
class Request:
    """Whom to erase: ids of users and addresses, as they were given."""

    users: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()

    @classmethod
    def of(cls, users: Iterable[str], addresses: Iterable[str], file: Path | None) -> Request:
        """What is named, and what a CSV file with the columns user_id and address, or one of them, names.

        Raises:
            UserOpsError: nobody is named, or the file has neither column.
        """
        ids, points = {text.strip() for text in users}, {text.strip() for text in addresses}
        if file is not None:
            try:
                rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"), newline="")))
            except (OSError, UnicodeError) as error:
                raise UserOpsError(f"{file.name} cannot be read ({type(error).__name__}); it must be a CSV file in UTF-8.") from None
            if not rows or not {"user_id", "address"} & set(rows[0]):
                raise UserOpsError(f"{file.name} has no request: it must be a CSV file with the column user_id or address, or both.")
            ids |= {(row.get("user_id") or "").strip() for row in rows}
            points |= {(row.get("address") or "").strip() for row in rows}
        found = cls(frozenset(ids - {""}), frozenset(points - {""}))
        if not found.users and not found.addresses:
            raise UserOpsError("Nobody is named; say whom with --user, --address or --file.")
        return found


@dataclass(frozen=True)
class Person:
    """What names the people of a request, in the clear: held in memory only."""

    users: set[str]
    addresses: set[str]
    devices: set[str]
    owned: dict[str, set[str]]
    shared: set[str]  # addresses that are somebody else's too, and stay with them
    stopped: set[tuple[str, str, str]]  # (channel, purpose, address) of what they said of those; empty where every one is meant

    def __repr__(self) -> str:
        return f"Person({self.counts})"

    @property
    def counts(self) -> dict[str, int]:
        return {
            "users": len(self.users),
            "addresses": len(self.addresses),
            "devices": len(self.devices),
            "shared_addresses": len(self.shared),
        }

    def stones(self, prefixes: Collection[str | None]) -> dict[str, set[str]]:
        """What to remember, by kind: every form in which the person is compared."""
        forms = {form for address in self.addresses for prefix in prefixes for form in spellings(address, prefix)}
        found = {USER: set(self.users), ADDRESS: forms, DEVICE: set(self.devices), **self.owned}
        for channel, purpose, address in self.stopped:
            found.setdefault(stopped_kind(channel, purpose), set()).add(address)
        for digits in {run for form in forms for prefix in prefixes for run in digits_of(form, prefix)}:
            found.setdefault(f"digits:{len(digits)}", set()).add(digits)
        return found

    def words(self) -> list[str]:
        """What to look for in texts, longest first; what is too short to name anybody is left out."""
        found = self.users.union(self.addresses, self.devices, *self.owned.values())
        return sorted({word for word in found if len(word) > (5 if word.isdigit() else 2)}, key=lambda word: (-len(word), word))


@dataclass
class Report:
    """What was done, in numbers."""

    counts: dict[str, int] = field(default_factory=dict)
    left: list[tuple[str, date, int, Decimal | None]] = field(default_factory=list)  # table, night, rows, amount
    places: dict[str, int] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)  # sentences: what could not be done


# -- who is meant --------------------------------------------------------------------------------------------------


def resolve(home: Home, sources: Sequence[Source], request: Request) -> Person:
    """Everybody a request means and what names them: all versions of their account, what was merged with it, its addresses and devices.

    A user named by id is one person; an address means everybody who ever had it. Of the addresses of a user, those that somebody else has
    too stay, because they name that one as well; devices likewise.
    """
    ensure_empty_tables(home)
    prefixes = {source.phone_prefix for source in sources} or {None}
    wanted = {form for address in request.addresses for prefix in prefixes for form in spellings(address, prefix)}
    with duckdb.connect(config=home.spill()) as connection:
        connection.execute("create temp table pairs (user_id varchar, address varchar)")
        connection.execute("create temp table merges (user_id varchar, merged_into varchar)")
        connection.execute(
            f"insert into merges select distinct user_id, merged_into from {raw_scan(home, 'users')} where merged_into is not null"
        )
        for table in contract.tables().values():
            addresses = holds_addresses(table)
            if not addresses:
                continue
            user = "user_id" if any(column.name == "user_id" for column in table.columns) else "null"
            for column in addresses:
                name = identifier(column.name)
                connection.execute(
                    f"insert into pairs select distinct {user}, {name} from {raw_scan(home, table.name)} where {name} is not null"
                )
            names = [column.name for column in addresses]
            for row in _set_aside(connection, home, table.name, ["user_id", *names]):
                forms = {form for text in row[1:] if text for prefix in prefixes for form in spellings(text, prefix)}
                if forms:
                    connection.executemany("insert into pairs values (?, ?)", [(row[0], form) for form in forms])
        users = set(request.users)
        users |= _column(connection, "select user_id from pairs where address in (select unnest($0)) and user_id is not null", wanted)
        while True:
            more = _column(connection, "select merged_into from merges where user_id in (select unnest($0))", users)
            more |= _column(connection, "select user_id from merges where merged_into in (select unnest($0))", users)
            if more <= users:
                break
            users |= more
        of_users = "select distinct address from pairs where user_id in (select unnest($0))"
        theirs = _column(connection, of_users, users)
        others = _column(
            connection, f"select address from pairs where user_id not in (select unnest($0)) and address in ({of_users})", users
        )
        links = " union ".join(
            f"select device_id, user_id from {raw_scan(home, name)} where device_id is not null and user_id is not null"
            for name in ("identities", "events")
        )
        own = f"select device_id from ({links}) where user_id in (select unnest($0))"
        devices = _column(
            connection,
            f"select device_id from ({links}) where device_id in ({own}) group by 1 having bool_and(user_id in (select unnest($0)))",
            users,
        )
        owned = {}
        for key in owned_keys():
            owner, column = key.split(".")
            who = " or ".join(f"{identifier(c.name)} in (select unnest($0))" for c in names_users(contract.tables()[owner]))
            owned[key] = _column(connection, f"select distinct {identifier(column)} from {raw_scan(home, owner)} where {who}", users)
            owned[key] |= {row[1] for row in _set_aside(connection, home, owner, ["user_id", column]) if row[0] in users and row[1]}
        stopped = _stopped(connection, home, users, others)
    given = set(request.addresses) | wanted
    return Person(users, (theirs - others) | given, devices, owned, others - given, {word for word in stopped if word[2] not in given})


def _stopped(connection: duckdb.DuckDBPyConnection, home: Home, users: set[str], addresses: set[str]) -> set[tuple[str, str, str]]:
    """(channel, purpose, address) of every word of these users that stops an address which stays: it is honoured though nobody said it."""
    rows = connection.execute(
        f"""
        select distinct coalesce(channel, ''), coalesce(purpose, ''), contact_point
        from (
            select user_id, channel, purpose, contact_point
            from {raw_scan(home, "consents")}
            group by all
            having max(changed_at) filter (state <> 'subscribed') >= coalesce(max(changed_at) filter (state = 'subscribed'), timestamp '-infinity')
            union all
            select user_id, channel, purpose, contact_point from {raw_scan(home, "suppressions")}
        )
        where user_id in (select unnest($users)) and contact_point in (select unnest($addresses))
        """,
        {"users": sorted(users), "addresses": sorted(addresses)},
    ).fetchall()
    return {(channel, purpose, address) for channel, purpose, address in rows}


def _column(connection: duckdb.DuckDBPyConnection, sql: str, values: Iterable[str]) -> set[str]:
    return {value for (value,) in connection.execute(sql.replace("$0", "$values"), {"values": sorted(values)}).fetchall()}


def _set_aside(connection: duckdb.DuckDBPyConnection, home: Home, table: str, names: list[str]) -> list[tuple[str | None, ...]]:
    """Distinct values of some columns among the records of a table that wait in quarantine."""
    if not any((home.quarantine / table).glob("*/*.parquet")):
        return []
    scan = f"read_parquet({quoted(str(home.quarantine / table / '*' / '*.parquet'))}, hive_partitioning = false)"
    listed = ", ".join(f"json_extract_string(record, {quoted(f'$.{name}')})" for name in names)
    return connection.execute(f"select distinct {listed} from {scan}").fetchall()


# -- the lake ------------------------------------------------------------------------------------------------------


def refuse_unknown(home: Home, sources: Sequence[Source]) -> None:
    """Refuse to begin where landing holds files that nobody here can read.

    Raises:
        UserOpsError: which files, and what to do.
    """
    known = {source.name: source for source in sources}
    for root in (home.landing, home.refused):
        for folder in sorted(root.glob("*/*")):
            source = known.get(folder.parent.name)
            if source is None:
                raise UserOpsError(
                    f"The lake holds files of the source {folder.parent.name}, which was not named; name all sources with --source, "
                    "separated by commas. Nothing was erased."
                )
            if folder.name not in source.files:
                raise UserOpsError(
                    f"lake/{root.name}/{source.name}/{folder.name} is no kind of file in source.yml any more, so nobody can tell who is in "
                    "it; remove that folder, then erase again. Nothing was erased."
                )


def nights_of(home: Home, source: Source) -> list[date]:
    """Every night of which landing or the lake holds something of a source; of an archive alone that nobody has conformed yet, its first."""
    folders = [place.name for name in source.files for place in (home.landing / source.name / name).glob("*")]
    nights = {date.fromisoformat(name) for name in folders if name != ARCHIVE}
    nights |= {night.night for night in conformed_nights(home, source.name)}
    return sorted(nights or ({source.first_night} if folders else set()))


def clean_lake(home: Home, sources: Sequence[Source], progress: Callable[[str], None]) -> list[tuple[str, date, int, Decimal | None]]:
    """Take the erased out of landing, refused files, raw and quarantine; returns what left raw, per table and night: rows and amount."""
    before = _totals(home)
    for leftover in [*home.landing.rglob(".*.part*"), *home.refused.rglob(".*.part*"), *home.landing.parent.glob(".conform-*")]:
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    for path in [path for path in home.refused.rglob("*") if path.is_file() and not path.name.endswith(".reason.json")]:
        path.unlink()  # nobody can tell who stands in a file that cannot be read; its reason stays, and the file lies with its sender
    crash_point("erase:before_conform")
    for source in sources:
        if nights := nights_of(home, source):
            conform(home, source, nights, progress=progress)
    after = _totals(home)
    left = []
    for (table, night), (rows, amount) in sorted(before.items()):
        rows_now, amount_now = after.get((table, night), (0, Decimal(0)))
        if (rows_now, amount_now) != (rows, amount):
            left.append((table, night, rows - rows_now, None if amount is None else amount - (amount_now or Decimal(0))))
    return left


def _totals(home: Home) -> dict[tuple[str, date], tuple[int, Decimal | None]]:
    """Rows of raw per table and night, and the sum of its amounts."""
    ensure_empty_tables(home)
    found = {}
    with duckdb.connect(config=home.spill()) as connection:
        for table in contract.tables().values():
            amount = "sum(amount)" if any(column.name == "amount" for column in table.columns) else "null"
            for night, rows, total in connection.execute(
                f"select arrived_on, count(*), {amount} from {raw_scan(home, table.name)} group by 1"
            ).fetchall():
                found[table.name, night] = (rows, total)
    return found


# -- warehouse and generations -------------------------------------------------------------------------------------


def clean_warehouse(home: Home) -> None:
    """Delete what was built from the lake; what dbt remembers of the project's own text stays, for the next build to start from."""
    keep = {home.dbt_target / name for name in ("manifest.json", "manifest.stamp.json", "partial_parse.msgpack")}
    folder = home.warehouse.parent
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):
                path.rmdir()  # those that hold what is kept stay
        elif path not in keep:
            path.unlink()


def clean_generations(home: Home) -> int:
    """Delete every generation but the current one, which was built without the erased; returns how many."""
    return generations.remove_others(home)


# -- texts: logs, reports, Dagster's records -----------------------------------------------------------------------


def clean_texts(home: Home, words: Sequence[str]) -> dict[str, int]:
    """Take lines and files that hold one of these words out of everything that is no table: places by kind."""
    found = {"lines": 0, "files": 0, "records": 0}
    if not words:
        return found
    variants = sorted(
        {form for word in words for form in (word, json.dumps(word)[1:-1], json.dumps(word, ensure_ascii=False)[1:-1])}, key=len
    )
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(form)}(?!\w)" for form in reversed(variants)), re.IGNORECASE)
    for path in _texts(home):
        with open(path, "rb") as handle:
            is_database = handle.read(len(SQLITE)) == SQLITE
        if is_database:
            found["records"] += _clean_sqlite(path, pattern)
            continue
        text = path.read_bytes().decode("utf-8", errors="surrogateescape")
        if not pattern.search(text):
            continue
        if path.suffix in LINES or "compute_logs" in path.parts:
            lines = text.splitlines(keepends=True)
            kept = [line for line in lines if not pattern.search(line)]
            found["lines"] += len(lines) - len(kept)
            write_atomically(path, "".join(kept).encode("utf-8", errors="surrogateescape"), mode=0o600)
        else:
            path.unlink()
            found["files"] += 1
    return found


def _texts(home: Home) -> Iterator[Path]:
    """Every file that is no table of the pipeline's own: logs, pages, Dagster's databases."""
    tables = (home.landing.parent, home.published / "generations", home.exports, home.erasures)
    for path in sorted(home.root.rglob("*")):
        if not path.is_file() or path.is_symlink() or any(path.is_relative_to(folder) for folder in tables):
            continue
        if path.name.startswith("userops.duckdb") or path.name.endswith(("-wal", "-shm", "-journal")):
            continue
        yield path


def _clean_sqlite(path: Path, pattern: re.Pattern[str]) -> int:
    """Overwrite what the pattern finds in a database of Dagster's; returns in how many records.

    Raises:
        UserOpsError: somebody holds it open for writing.
    """

    def is_found(value: Any) -> bool:
        text = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value
        return isinstance(text, str) and pattern.search(text) is not None

    def cleaned(value: Any) -> Any:
        if isinstance(value, bytes):
            return pattern.sub("erased", value.decode("utf-8", errors="surrogateescape")).encode("utf-8", errors="surrogateescape")
        return pattern.sub("erased", value)

    changed = 0
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as con:
            con.create_function("is_found", 1, is_found, deterministic=True)
            con.create_function("cleaned", 1, cleaned, deterministic=True)
            con.execute("pragma secure_delete = on")
            tables = [name for (name,) in con.execute("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'")]
            for table in tables:
                for column in [row[1] for row in con.execute(f"pragma table_info({identifier(table)})")]:
                    name = identifier(column)
                    changed += con.execute(f"update {identifier(table)} set {name} = cleaned({name}) where is_found({name})").rowcount
            if changed:
                con.execute("pragma wal_checkpoint(truncate)")
                con.execute("vacuum")
                con.execute("pragma wal_checkpoint(truncate)")
    except sqlite3.Error as error:
        raise UserOpsError(
            f"{path.name} of Dagster could not be cleaned ({type(error).__name__}); stop the UI and its daemon, then erase again."
        ) from None
    return changed


# -- exports -------------------------------------------------------------------------------------------------------


def clean_exports(home: Home, sources: Sequence[Source]) -> int:
    """Take the lines of the erased out of every list that lies in exports as a file; returns how many lines."""
    is_erased, taken = recognised(home, sources), 0
    for leftover in home.exports.rglob(".*.part"):
        leftover.unlink()
    for path in sorted(home.exports.rglob("*.csv")):
        rows = list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
        kept = [row for row in rows if not any(is_erased(cell.removeprefix("'")) for cell in row)]
        if len(kept) < len(rows):
            taken += len(rows) - len(kept)
            text = io.StringIO(newline="")
            csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(kept)
            write_atomically(path, text.getvalue().encode("utf-8-sig"), mode=0o600)
    return taken


def recognised(home: Home, sources: Sequence[Source]) -> Callable[[str], bool]:
    """Tells of a value, whatever it is, whether it names an erased person."""
    stones = Tombstones.of(home)
    prefixes = {source.phone_prefix for source in sources} or {None}
    return lambda value: (
        bool(value)
        and (stones.has(USER, value) or any(stones.has(ADDRESS, form) for prefix in prefixes for form in spellings(value, prefix)))
    )


# -- journal -------------------------------------------------------------------------------------------------------


@dataclass
class Journal:
    """What is kept of one erasure: keyed hashes of what was asked, what was done, and counts; never the person."""

    path: Path
    document: dict[str, Any]

    @classmethod
    def of(cls, home: Home, request: Request) -> Journal:
        """The journal of this request: the one begun before, or a new one."""
        stones = add(home, {})
        asked = sorted(
            [stones.hash_of(USER, user) for user in request.users] + [stones.hash_of(ADDRESS, text) for text in request.addresses]
        )
        path = home.erasures / f"{stones.hash_of('request', ' '.join(asked))[:16]}.json"
        if path.is_file():
            return cls(path, json.loads(path.read_text(encoding="utf-8")))
        return cls(path, {"asked": asked, "begun_at": _now(), "finished_at": None, "steps": [], "counts": {}})

    @property
    def is_finished(self) -> bool:
        return self.document["finished_at"] is not None

    def note(self, step: str, **counts: Any) -> None:
        """A step is done."""
        self.document["steps"] = [*(name for name in self.document["steps"] if name != step), step]
        self.document["counts"] |= counts
        write_json(self.path, self.document)

    def begin(self, counts: Mapping[str, int]) -> None:
        """Begun, or begun again."""
        if self.is_finished:
            self.document |= {"finished_at": None, "begun_at": _now(), "steps": []}
        if any(counts.values()):
            self.document["counts"] |= counts
        write_json(self.path, self.document)

    def finish(self) -> None:
        self.document["finished_at"] = _now()
        write_json(self.path, self.document)


def unfinished(home: Home) -> list[str]:
    """A sentence per erasure that was begun and has not ended."""
    found = []
    for path in sorted(home.erasures.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if "finished_at" in document and document["finished_at"] is None:
            found.append(
                f"The erasure {path.stem} begun at {document['begun_at']} has not ended; give the same `userops erase` command again."
            )
    return found


def forgive(home: Home, sources: Sequence[Source], request: Request) -> int:
    """Lift the tombstones of exactly what is named, so that records of it that arrive from now on are kept; returns how many there were."""
    prefixes = {source.phone_prefix for source in sources} or {None}
    person = Person(set(request.users), set(request.addresses), set(), {}, set(), set())
    return lift(home, person.stones(prefixes))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
