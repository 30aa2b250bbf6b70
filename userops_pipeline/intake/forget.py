"""Forgetting: the records of erased people are taken out of the landed files before anything is made of them.

Here lives how such a record is found, by what its mapping makes of it and by what stands in its text, and how its file is written anew
without it; add here when a record can name a person in a new way. Must not hold a person: it knows them by their tombstones only.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO

import duckdb
import pyarrow.parquet as parquet

from userops_pipeline.ground import contract
from userops_pipeline.ground.addresses import email, phone, plain_text
from userops_pipeline.ground.contract import Column, Table
from userops_pipeline.ground.faults import crash_point
from userops_pipeline.ground.home import Home, UserOpsError, sha256_of, write_json
from userops_pipeline.ground.sql import identifier, quoted
from userops_pipeline.ground.tombstones import ADDRESS, DEVICE, USER, Tombstones, add
from userops_pipeline.intake.binding import Given
from userops_pipeline.intake.landing import Manifest, manifest_path, manifests
from userops_pipeline.intake.mappings import checked_sql, columns_behind, files_read
from userops_pipeline.intake.reading import Reading
from userops_pipeline.intake.source import File, Source

# What may be an e-mail address in a text, and what may be a phone number: digits with what people write between them.
MAIL = r"[^\s<>\"'(),;:|\\/=\[\]{}@＠]+[@＠][^\s<>\"'(),;:|\\/=\[\]{}@＠]+"
PHONES = (r"[0-9][0-9 ().\-]{5,}[0-9]", r"[0-9]{7,}")


@dataclass(frozen=True)
class _Landed:
    """A landed file and the name its records bear."""

    kind: str
    path: Path
    manifest: Manifest
    label: str


# -- who is meant --------------------------------------------------------------------------------------------------


def names_users(table: Table) -> list[Column]:
    """The columns of a table that hold a user."""
    return [c for c in table.columns if c.refers == "users.user_id" or c.name in ("user_id", "invitee_id")]


def holds_addresses(table: Table) -> list[Column]:
    """The columns of a table that hold an address."""
    return [c for c in table.columns if c.format in ("email", "phone") or c.name == "contact_point"]


def owned_keys() -> dict[str, list[tuple[Table, Column]]]:
    """By key of a table whose rows are a user's and that others refer to (`orders.order_id`): where it stands."""
    found: dict[str, list[tuple[Table, Column]]] = {}
    for owner in contract.tables().values():
        if owner.name == "users" or len(owner.key) != 1 or not names_users(owner):
            continue
        key = f"{owner.name}.{owner.key[0]}"
        if any(column.refers == key for table in contract.tables().values() for column in table.columns):
            found[key] = [
                (table, column)
                for table in contract.tables().values()
                for column in table.columns
                if column.refers == key or column.name == owner.key[0]
            ]
    return found


def spellings(text: str, prefix: str | None) -> set[str]:
    """The forms in which an address is compared, whatever its channel: one of them is that of every way to write it."""
    return {form for form in (email(text), phone(text, prefix), plain_text(text)) if form}


def digits_of(number: str, prefix: str | None) -> set[str]:
    """The runs of digits under which a phone number in E.164 may stand in a text."""
    if not re.fullmatch(r"\+[1-9]\d{6,14}", number):
        return set()
    found = {number[1:], "00" + number[1:]}
    if prefix and number.startswith(prefix):
        found |= {number.removeprefix(prefix), "0" + number.removeprefix(prefix)}
    return {digits for digits in found if len(digits) > 6}


# -- finding -------------------------------------------------------------------------------------------------------


def forget(
    connection: duckdb.DuckDBPyConnection, home: Home, source: Source, nights: list[date], given: Given, *, again: bool = False
) -> int:
    """Take the records of erased people out of the landed files of these nights; returns how many, for which the caller reads them anew.

    The connection has a view per kind of file and what mappings may call. Files compared with the same tombstones before are not looked
    at again. A crash between two files leaves each whole, with or without its records.

    Raises:
        UserOpsError: a mapping fails, or a file cannot be written without its records; it is as it was then.
    """
    stones = Tombstones.of(home)
    landed = [
        _Landed(name, path, manifest, manifest.name if manifest.night is None else f"{manifest.night}/{manifest.name}")
        for name, file in source.files.items()
        for night in (nights if file.daily else [None])
        for path, manifest in manifests(home, source, name, night)
    ]
    if not stones or all(file.manifest.compared_with == stones.digest for file in landed):
        return 0
    search = _Search(connection, home, source, given, stones, landed)
    search.by_mapping()
    for name in source.files:
        search.by_column(name)
        search.by_text(name)
    found = search.found()
    if found and again:
        raise UserOpsError(
            f"Source {source.name}: records of erased people are still in landing after they were taken out; nothing was conformed. "
            "This is a fault of ours: please report it."
        )
    with (
        home.scratch("forget") as scratch,
        duckdb.connect(config={"temp_directory": str(scratch)}) as own,
    ):  # that of the mappings may not read a working copy
        for file in landed:
            rows = found.get((file.kind, file.label), set())
            if rows:
                _write_without(own, source.files[file.kind], file, rows, scratch)
            elif not found and file.manifest.compared_with != stones.digest:
                compared = file.manifest.model_copy(update={"compared_with": stones.digest})
                write_json(manifest_path(file.path), compared.model_dump(mode="json"))
    return sum(len(rows) for rows in found.values())


class _Search:
    """The records of one source that name an erased person, gathered in `erased_records`."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, home: Home, source: Source, given: Given, stones: Tombstones, landed: Iterable[_Landed]
    ) -> None:
        self._connection, self._home, self._source, self._stones = connection, home, source, stones
        self._given = given
        self._kinds: dict[str, set[str]] = defaultdict(set)
        for file in landed:
            self._kinds[file.label].add(file.kind)
        connection.execute(
            "create or replace temp table erased_records (kind varchar, file varchar, row_number bigint);"
            "create or replace temp table erased_values (kind varchar, value varchar)"
        )

    def found(self) -> dict[tuple[str, str], set[int]]:
        rows = self._connection.execute("select distinct kind, file, row_number from erased_records").fetchall()
        records: dict[tuple[str, str], set[int]] = defaultdict(set)
        for kind, file, row in rows:
            records[kind, file].add(row)
        return records

    def by_mapping(self) -> None:
        """Records of which a mapping makes a row about an erased person: their id, their address, their device alone, or what is theirs."""
        owned = owned_keys()
        owners = {key.split(".")[0] for key in owned}
        for name in sorted(self._source.tables, key=lambda name: name not in owners):
            table = contract.tables()[name]
            keys = [(key, column) for key, places in owned.items() for at, column in places if at.name == name]
            users, addresses = names_users(table), holds_addresses(table)
            devices = [column for column in table.columns if column.name == "device_id"]
            if users or addresses or keys:
                self._map(table, {column.name for column in [*users, *addresses, *devices, *(column for _, column in keys)]})
                for column in users:
                    self._match(USER, column.name)
                for column in addresses:
                    self._match_addresses(column.name)
                for column in devices:
                    self._match(DEVICE, column.name, "user_id is null")
                for key, column in keys:
                    if key == f"{name}.{column.name}":
                        self._own(key, column.name)
                    self._match(key, column.name)
                self._connection.execute("drop table named")

    def _map(self, table: Table, columns: set[str]) -> None:
        """`named`: what a mapping makes of every record in the columns that matter, each with the record it came from."""
        place, sql = f"{self._source.name}/{table.name}.sql", checked_sql(self._source, table.name)
        reads = files_read(self._source, table.name)
        each = self._source.tables[table.name].each
        kinds = []
        for label, found in self._kinds.items():
            of = found & reads if each is None or each not in found else {each}
            if len(of) > 1:
                raise UserOpsError(
                    f"{place}: the file {label} was delivered as {' and as '.join(sorted(of))}, so its records cannot be told apart; "
                    "say in source.yml which `each` it is."
                )
            kinds += [(kind, label) for kind in of]
        try:
            listed = ", ".join(
                f"nullif(cast({identifier(name)} as varchar), '') as {identifier(name)}"
                if name in self._given[table.name]
                else f"cast(null as varchar) as {identifier(name)}"
                for name in sorted(columns | {"user_id"})
            )
            self._connection.execute("create or replace temp table kinds (kind varchar, label varchar)")
            if kinds:
                self._connection.executemany("insert into kinds values (?, ?)", kinds)
            self._connection.execute(
                f"create or replace temp table named as select k.kind, m.* from (select {listed}, _file, cast(_row as bigint) as _row from ({sql}) "
                "as mapping) as m join kinds as k on k.label = m._file"
            )
        except duckdb.Error as error:
            raise UserOpsError(
                f"{place} failed on the data ({type(error).__name__}); let the mapping pass text through and leave typing to conform."
            ) from None

    def _match(self, kind: str, column: str, only: str = "true") -> None:
        """The records whose column holds an erased value of a kind."""
        if kind not in self._stones.hashes:
            return
        name = identifier(column)
        self._connection.execute(
            f"insert into erased_records select kind, _file, _row from named where {only} and {name} in ("
            f"select value from (select distinct {name} as value from named where {name} is not null) "
            f"where {self._stones.sql(kind, 'trim(value)')} in (select unnest($hashes)))",
            {"hashes": sorted(self._stones.hashes[kind])},
        )

    def _match_addresses(self, column: str) -> None:
        name = identifier(column)
        values = [text for (text,) in self._connection.execute(f"select distinct {name} from named where {name} is not null").fetchall()]
        self._insert(self._erased(values), f"select kind, _file, _row from named where {name} in (select unnest($values))")

    def _own(self, key: str, column: str) -> None:
        """What an erased person's records own is known again by its key, where records that do not name the person refer to it."""
        rows = self._connection.execute(
            f"select distinct {identifier(column)} from named as n join erased_records as e "
            f"on e.kind = n.kind and e.file = n._file and e.row_number = n._row where {identifier(column)} is not null"
        ).fetchall()
        if rows:
            self._stones = add(self._home, {key: [value.strip() for (value,) in rows]})

    def by_column(self, kind: str) -> None:
        """Records of a file, mapped or not, in whose column of users stands an erased one."""
        if USER not in self._stones.hashes:
            return
        behind: set[str] = set()
        for name in self._source.tables:
            names = frozenset(column.name for column in names_users(contract.tables()[name]))
            behind |= columns_behind(self._source, name, names) if names else set()
        for column in self._source.files[kind].columns:
            if column.lower() in behind:
                name = identifier(column)
                self._connection.execute(
                    f"insert into erased_records select {quoted(kind)}, _file, _row from {identifier(kind)} where {name} in ("
                    f"select value from (select distinct {name} as value from {identifier(kind)} where {name} is not null) "
                    f"where {self._stones.sql(USER, 'trim(value)')} in (select unnest($hashes)))",
                    {"hashes": sorted(self._stones.hashes[USER])},
                )

    def by_text(self, kind: str) -> None:
        """Records of a file in any text of which an erased address stands."""
        columns = ", ".join(identifier(column) for column in self._source.files[kind].columns)
        texts = f"(select _file, _row, concat_ws(chr(10), {columns}) as text from {identifier(kind)})"
        mails = f"regexp_extract_all(text, {quoted(MAIL)})"
        has_mail = "(contains(text, '@') or contains(text, '＠'))"
        values = [text for (text,) in self._connection.execute(f"select distinct unnest({mails}) from {texts} where {has_mail}").fetchall()]
        self._insert(
            self._erased(values),
            f"select {quoted(kind)}, _file, _row from {texts} where {has_mail} and list_has_any({mails}, $values)",
        )
        lengths = sorted(int(name.removeprefix("digits:")) for name in self._stones.hashes if name.startswith("digits:"))
        if not lengths:
            return
        runs = " || ".join(f"regexp_extract_all(text, {quoted(pattern)})" for pattern in PHONES)
        tokens = f"(select _file, _row, regexp_replace(unnest({runs}), '[^0-9]', '', 'g') as digits from {texts})"
        for length in lengths:
            name = f"digits:{length}"
            found = self._connection.execute(
                f"select digits from (select distinct digits from {tokens} where length(digits) = {length}) "
                f"where {self._stones.sql(name, 'digits')} in (select unnest($hashes))",
                {"hashes": sorted(self._stones.hashes[name])},
            ).fetchall()
            self._insert(
                [digits for (digits,) in found],
                f"select {quoted(kind)}, _file, _row from {tokens} where digits in (select unnest($values))",
            )

    def _erased(self, values: Iterable[str]) -> list[str]:
        if ADDRESS not in self._stones.hashes:
            return []
        return [text for text in values if any(self._stones.has(ADDRESS, form) for form in spellings(text, self._source.phone_prefix))]

    def _insert(self, values: list[str], select: str) -> None:
        if values:
            self._connection.execute(f"insert into erased_records {select}", {"values": values})


# -- a file without some of its records ----------------------------------------------------------------------------


def _write_without(connection: duckdb.DuckDBPyConnection, file: File, landed: _Landed, rows: Collection[int], scratch: Path) -> None:
    """Write a landed file anew without these records, every other byte as it was where the format allows it.

    Raises:
        UserOpsError: the new file does not hold exactly the other records; the old one stays.
    """
    path = landed.path
    part = path.with_name(f".{path.stem if path.suffix != '.gz' else path.name.removesuffix('.gz')}.{os.getpid()}.part{path.suffix}")
    try:
        if file.format == "parquet":
            _parquet_without(path, part, rows)
        else:
            with _opened(path, "rb") as old, _opened(part, "wb") as new:
                for piece in _csv_without(old, file, rows) if file.format == "csv" else _lines_without(old, file, rows):
                    new.write(piece)
        part.chmod(0o600)
        with (
            closing(Reading(path, file, "", connection, scratch)) as before,
            closing(Reading(part, file, "", connection, scratch)) as after,
        ):
            names = ", ".join(identifier(name) for name in file.columns)
            kept = f"(select {names} from ({before.select}) where _row not in (select unnest($rows)))"
            (lost,) = connection.execute(
                f"select count(*) from (select * from {kept} except all select {names} from ({after.select}))", {"rows": list(rows)}
            ).fetchone() or (1,)
            whole = lost == 0 and after.rows == before.rows - len(rows)
        if not whole:
            raise UserOpsError(
                f"{path.name} could not be written without the records of an erased person; it is as it was. "
                "This is a fault of ours: please report it."
            )
        changes = {
            "delivered_sha256": landed.manifest.delivered,
            "sha256": sha256_of(part),
            "bytes": part.stat().st_size,
            "rows": after.rows,
        }
        changed = landed.manifest.model_copy(update={**changes, "erased": landed.manifest.erased + len(rows), "compared_with": ""})
        write_json(_next(path), changed.model_dump(mode="json"))
        with open(part, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(part, path)
        crash_point("forget:after_file")
        os.replace(_next(path), manifest_path(path))
    finally:
        part.unlink(missing_ok=True)


def settle(home: Home, source: Source, nights: list[date]) -> None:
    """Finish what a killed run began: a file that was written anew gets the manifest that was waiting for it."""
    for name, file in source.files.items():
        for night in nights if file.daily else [None]:
            for path, _ in manifests(home, source, name, night):
                if _next(path).is_file():
                    waiting = Manifest.model_validate_json(_next(path).read_text(encoding="utf-8"))
                    if sha256_of(path) == waiting.sha256:
                        os.replace(_next(path), manifest_path(path))
                    else:
                        _next(path).unlink()


def _next(path: Path) -> Path:
    """The manifest of a file that is about to be written anew."""
    return path.with_name(f"{path.name}.manifest.next")


def _opened(path: Path, mode: str) -> IO[bytes]:
    if path.suffix == ".gz":
        return gzip.GzipFile(path, mode, mtime=0) if mode == "wb" else gzip.open(path, mode)  # type: ignore[return-value]
    return open(path, mode)


def _csv_without(handle: IO[bytes], file: File, rows: Collection[int]) -> Iterator[bytes]:
    """The file's own bytes, record by record; the csv module tells where a record ends."""
    consumed: list[str] = []

    def lines() -> Iterator[str]:
        for line in _text_lines(handle, file):
            consumed.append(line)
            yield line

    csv.field_size_limit(1 << 30)
    number = -1 if file.header else 0  # the header is no record
    encode, wrote = _encoder(file), False
    for record in csv.reader(lines(), delimiter=file.delimiter, strict=True):
        text = "".join(consumed)
        consumed.clear()
        number += bool(record)
        if not record or number not in rows:
            wrote = True
            yield encode(text)
    yield encode("".join(consumed) if wrote else "\n")  # a file of 0 bytes is one that was cut


def _lines_without(handle: IO[bytes], file: File, rows: Collection[int]) -> Iterator[bytes]:
    """The file's own lines; those without a word are no records."""
    number, encode, wrote = 0, _encoder(file), False
    for line in _text_lines(handle, file):
        number += bool(line.strip())
        if not line.strip() or number not in rows:
            wrote = True
            yield encode(line)
    if not wrote:
        yield encode("\n")  # a file of 0 bytes is one that was cut


def _parquet_without(path: Path, part: Path, rows: Collection[int]) -> None:
    """The same columns, types and row groups."""
    with parquet.ParquetFile(path) as old:
        compression = old.metadata.row_group(0).column(0).compression if old.num_row_groups else "zstd"
        with parquet.ParquetWriter(part, old.schema_arrow, compression=compression.lower()) as new:
            first = 1
            for number in range(old.num_row_groups):
                group = old.read_row_group(number)
                new.write_table(group.take([at for at in range(group.num_rows) if first + at not in rows]))
                first += group.num_rows


def _text_lines(handle: IO[bytes], file: File) -> Iterator[str]:
    """Lines with their own ends, whatever they are."""
    yield from io.TextIOWrapper(handle, encoding=file.encoding, newline="")


def _encoder(file: File) -> Callable[[str], bytes]:
    return codecs.getincrementalencoder(file.encoding)().encode
