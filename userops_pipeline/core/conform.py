"""Conform: landed records through a source's mapping into the typed contract; every record is kept, set aside or counted.

Here lives the typing of values, the reasons a row is set aside, duplicates and conflicts, the identity
rows in = kept + quarantined + duplicates, and the earliest business date a night's arrivals change.
Add a check here when it holds for every source; a table's own bounds go into contract.yml, a source's shape into its mapping.
Must not decide whether a night is good enough to build on: the gate does.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from userops_pipeline.core import contract
from userops_pipeline.core.contract import Column, Table
from userops_pipeline.core.faults import crash_point
from userops_pipeline.core.home import Home, UserOpsError, write_json
from userops_pipeline.core.lake import raw_scan
from userops_pipeline.core.landing import Manifest, manifests
from userops_pipeline.core.reach import reach
from userops_pipeline.core.reading import Reading, date_literal, identifier, quoted
from userops_pipeline.core.source import Source

ISO_DATE = r"\d{4}-\d{2}-\d{2}"
ISO_TIMESTAMP = ISO_DATE + r"([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?"
ISO_OFFSET = r"(Z|[+-]\d{2}(:?\d{2})?)"
DECIMAL_TEXT = r"[+-]?\d+(\.\d+)?"
# Control characters and the marks that reorder text for its reader; tab and line breaks are text.
UNPRINTABLE = r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F\x{202A}-\x{202E}\x{2066}-\x{2069}]"
PLACEHOLDERS_BEFORE = "1990-01-01"
# Rows of one source that are conformed together: bounds memory and scratch; fewer would cost more statements.
ROWS_AT_ONCE = 4_000_000
TRUE_WORDS = "'true', 't', '1', 'yes', 'y'"
FALSE_WORDS = "'false', 'f', '0', 'no', 'n'"


@dataclass(frozen=True)
class Accounting:
    """Rows of one table in one night of one source."""

    source: str
    table: str
    night: date
    rows_in: int
    kept: int
    quarantined: int
    duplicates: int


@dataclass(frozen=True)
class Night:
    """What a conformed night holds: the hash of its rows and the earliest business date they change."""

    source: str
    night: date
    content_hash: str
    window_from: date
    config_hash: str


def conform(home: Home, source: Source, nights: list[date], *, progress: Callable[[str], None] = lambda _: None) -> list[Accounting]:
    """Rebuild these nights of the lake from landing; the same landing gives the same bytes.

    A run that died in here left a pending note, and its nights are rebuilt along with the ones asked for; so are later nights
    already conformed, where a table skips the keys that earlier nights brought.

    Returns:
        One entry per mapped table and night, in that order.

    Raises:
        UserOpsError: a mapping is wrong (the sentence names file and column), or the identity does not hold.
    """
    pending = home.nights / f"{source.name}.pending.json"
    if pending.is_file():
        nights = sorted({*nights, *(date.fromisoformat(night) for night in json.loads(pending.read_text(encoding="utf-8")))})
    if any(mapping.known_keys == "skip" for mapping in source.tables.values()):
        # What a night brings decides what is known on every later one.
        nights = sorted({*nights, *(known.night for known in conformed_nights(home, source.name) if known.night > min(nights))})
    write_json(pending, [night.isoformat() for night in nights])
    _ensure_empty_tables(home)
    accounts: list[Accounting] = []
    for group in _groups(home, source, nights):
        part = "" if group == nights else f" of {group[0]} to {group[-1]}"
        accounts += _conform_nights(home, source, group, lambda text, part=part: progress(text + part))
    pending.unlink()
    return sorted(accounts, key=lambda account: (account.table, account.night))


def _groups(home: Home, source: Source, nights: list[date]) -> Iterator[list[date]]:
    """The nights in order, cut so that a group brings about ROWS_AT_ONCE rows; an archive is read once, so its nights stay together."""
    if not all(file.daily for file in source.files.values()):
        yield nights
        return
    group: list[date] = []
    rows = 0
    for night in sorted(nights):
        arrived = sum(manifest.rows for name in source.files for _, manifest in manifests(home, source, name, night))
        if group and rows + arrived > ROWS_AT_ONCE:
            yield group
            group, rows = [], 0
        group.append(night)
        rows += arrived
    yield group


def _conform_nights(home: Home, source: Source, nights: list[date], progress: Callable[[str], None]) -> list[Accounting]:
    """Rebuild these nights together: their files are in place, then their manifests, when this returns."""
    with ExitStack() as stack:
        connection = stack.enter_context(duckdb.connect())
        (home.root / "lake").mkdir(parents=True, exist_ok=True)
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".conform-", dir=home.root / "lake")))
        connection.execute(f"set temp_directory = {quoted(str(scratch))}")
        connection.execute("set timezone = 'UTC'")
        connection.execute("set partitioned_write_max_open_files = 1000")
        # For mappings: the business date of a UTC time, the UTC time of a local one, and contact points as users have them.
        zone = quoted(source.business_zone)
        connection.execute(f"create macro business_date(t) as cast(timezone({zone}, timezone('UTC', cast(t as timestamp))) as date)")
        connection.execute(f"create macro utc(t) as timezone('UTC', timezone({zone}, cast(t as timestamp)))")
        connection.execute(f"create macro phone(t) as {_phone('cast(t as varchar)', source.phone_prefix)}")
        connection.execute(f"create macro email(t) as {_email('cast(t as varchar)')}")
        connection.execute("create temp table nights (night date)")
        connection.executemany("insert into nights values (?)", [(night,) for night in nights])
        _open_files(connection, home, source, nights, stack)
        connection.execute(
            "create temp table night_hash (table_name varchar, arrived_on date, kept bigint, content varchar);"
            "create temp table accounting (source_name varchar, table_name varchar, arrived_on date, rows_in bigint, rows_kept bigint,"
            " rows_quarantined bigint, rows_duplicate bigint)"
        )
        written: list[tuple[Path, Path]] = []
        for number, name in enumerate(source.tables, start=1):
            progress(f"conform {name} ({number} of {len(source.tables)})")
            written += _conform_table(connection, source, contract.tables()[name], home, scratch)
        written += _partitions(connection, "accounting", home.accounting, source.name, scratch / "accounting", "table_name")
        rows = connection.execute("select * from accounting").fetchall()
        _check_identity(rows)
        crash_point("conform:before_files")
        _move_into_place(home, source, nights, written)
        crash_point("conform:after_files")
        _write_night_manifests(connection, home, source, nights)
    return [Accounting(*row) for row in rows]


# -- files and mappings --------------------------------------------------------------------------------------------


def _open_files(connection: duckdb.DuckDBPyConnection, home: Home, source: Source, nights: list[date], stack: ExitStack) -> None:
    """A view per file kind of the source: its records as text with `_file`, `_row` and, for daily drops, `_night`."""
    for name, file in source.files.items():
        landed = [entry for night in (nights if file.daily else [None]) for entry in manifests(home, source, name, night)]
        empty = ", ".join(f"cast(null as varchar) as {identifier(column)}" for column in file.columns)
        parts = [f"select {empty}, cast(null as varchar) as _file, cast(null as bigint) as _row, cast(null as date) as _night where false"]
        if file.format == "parquet":
            for path, manifest in landed:
                select = stack.enter_context(_closing(Reading(path, file, _label(manifest), connection))).select
                parts.append(f"select *, {date_literal(manifest.night)} as _night from ({select})")
            connection.execute(f"create temp view {identifier(name)} as " + " union all ".join(parts))
            continue
        connection.execute(f"create temp table {identifier(name)} as {parts[0]}")
        for path, manifest in landed:
            with _closing(Reading(path, file, _label(manifest), connection)) as reading:
                connection.execute(
                    f"insert into {identifier(name)} select *, {date_literal(manifest.night)} as _night from ({reading.select})"
                )


class _closing:  # noqa: N801 - reads like contextlib.closing, which does not fit: Reading.close is all there is
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def __enter__(self) -> Reading:
        return self._reading

    def __exit__(self, *_: object) -> None:
        self._reading.close()


def _label(manifest: Manifest) -> str:
    """A landed file's name, with its night where every night may bring the same name."""
    return manifest.name if manifest.night is None else f"{manifest.night}/{manifest.name}"


def _map(connection: duckdb.DuckDBPyConnection, source: Source, table: Table) -> None:
    """`mapped`: the mapping's rows of these nights as text in contract columns, with `_version` where it says which record is newer."""
    place = f"{source.name}/{table.name}.sql"
    sql = source.mapping_sql(table.name)
    try:
        described = [row[0] for row in connection.execute(f"describe ({sql.rstrip().rstrip(';')})").fetchall()]
    except duckdb.Error as error:
        raise UserOpsError(f"{place} cannot be run: {str(error).splitlines()[0]}") from None
    known = {column.name for column in table.columns}
    unknown = [name for name in described if name not in known and name not in ("_file", "_row", "_night", "_version")]
    missing = [name for name in ("_file", "_row", "_night") if name not in described]
    missing += [column.name for column in table.columns if column.required and column.name not in described]
    if unknown or missing:
        wrong = (
            f"gives {', '.join(unknown)}, which the contract's {table.name} has not" if unknown else f"does not give {', '.join(missing)}"
        )
        raise UserOpsError(f"{place} {wrong}; the columns are {', '.join(known)} and _file, _row, _night, and if wanted _version.")
    columns = ", ".join(
        f"nullif(cast({identifier(column.name)} as varchar), '') as {identifier(column.name)}"
        if column.name in described
        else f"cast(null as varchar) as {identifier(column.name)}"
        for column in table.columns
    )
    version = "_version" if "_version" in described else "null"
    first = date_literal(source.first_night)
    connection.execute("drop table if exists mapped")
    try:
        connection.execute(
            f"create temp table mapped as select *, row_number() over () as _id from ("
            f"select {columns}, _file, cast(_row as bigint) as _row, {version} as _version, "
            f"greatest(coalesce(try_cast(_night as date), {first}), {first}) as _night from ({sql.rstrip().rstrip(';')}) as mapping"
            ") where _night in (select night from nights)"
        )
        (mapped,) = connection.execute(f"select count(*) from ({sql.rstrip().rstrip(';')}) as mapping").fetchone() or (0,)
    except duckdb.Error as error:
        raise UserOpsError(
            f"{place} failed on the data ({type(error).__name__}); let the mapping pass text through and leave typing to conform."
        ) from None
    each = source.tables[table.name].each
    if each is not None:
        (read,) = connection.execute(f"select count(*) from {identifier(each)}").fetchone() or (0,)
        if mapped != read:
            raise UserOpsError(
                f"{place} makes {mapped} rows of {read} records of {each}, but must make exactly one of each; look for a filter or a join."
            )


# -- one table -----------------------------------------------------------------------------------------------------


def _typed(column: Column, source: Source) -> str:
    """SQL of a column's typed value, from its text in `t`; null where the text is no such value."""
    text = f"t.{identifier(column.name)}"
    match column.type:
        case "text" if column.format == "email":
            return _email(text)
        case "text" if column.format == "phone":
            return _phone(text, source.phone_prefix)
        case "text":
            return text
        case "integer":
            return f"try_cast({text} as bigint)"
        case "money" | "number" | "share":
            return f"try_cast(try_cast({text} as decimal(38, 10)) as {column.sql_type})"
        case "timestamp":
            local = f"try_cast({text} as timestamp)"
            if source.zone != "UTC":
                local = f"timezone('UTC', timezone({quoted(source.zone)}, {local}))"
            return f"case when regexp_matches({text}, {quoted(ISO_OFFSET + '$')}) then timezone('UTC', try_cast({text} as timestamptz)) else {local} end"
        case "date":
            return f"try_cast(left({text}, 10) as date)"
        case "boolean":
            return f"case when lower({text}) in ({TRUE_WORDS}) then true when {text} is not null then false end"


def _faults(column: Column) -> list[tuple[str, str]]:
    """(condition, reason) pairs under which a value is refused, in order; over the typed value and its text beside it."""
    value, text = identifier(column.name), identifier(_text_name(column))
    faults: list[tuple[str, str]] = []
    if column.required:
        faults.append((f"{text} is null", "required, but missing"))

    def unless(pattern: str, reason: str) -> None:
        faults.append((f"not regexp_full_match({text}, {quoted(pattern)})", reason))

    match column.type:
        case "text" if column.format == "email":
            faults.append((f"not regexp_full_match({value}, '[^@\\s]+@[^@\\s]+\\.[^@\\s]+')", "not an e-mail address"))
        case "text" if column.format == "phone":
            faults.append((f"not regexp_full_match({value}, '\\+[1-9][0-9]{{6,14}}')", "not a phone number with country (E.164)"))
        case "integer":
            unless(r"[+-]?\d{1,18}", "not a whole number")
        case "money" | "number" | "share":
            unless(DECIMAL_TEXT, "not a plain decimal number (1234.50)")
            faults.append((f"{text} is not null and {value} is null", "too large"))
        case "timestamp":
            unless(f"{ISO_TIMESTAMP}{ISO_OFFSET}?", "not an ISO 8601 time (2026-01-31 13:45:00)")
            faults.append((f"{text} is not null and {value} is null", "no such time"))
            faults.append((f"{value} < timestamp '{PLACEHOLDERS_BEFORE}'", f"a time before {PLACEHOLDERS_BEFORE} is a placeholder"))
            faults.append((f"{value} >= _night_ends_at", "lies after the night it arrived in"))
        case "date":
            unless(ISO_DATE + r"( 00:00:00)?", "not an ISO 8601 date (2026-01-31)")
            faults.append((f"{text} is not null and {value} is null", "no such date"))
            faults.append(
                (f"{value} not between date '1900-01-02' and date '2199-12-31'", "a date outside 1900-01-02..2199-12-31 is a placeholder")
            )
        case "boolean":
            faults.append((f"lower({text}) not in ({TRUE_WORDS}, {FALSE_WORDS})", "not true or false"))
    if column.min is not None:
        faults.append((f"{value} < {_bound(column, column.min)}", f"below {column.min}"))
    if column.max is not None:
        faults.append((f"{value} > {_bound(column, column.max)}", f"above {column.max}"))
    return faults


def _text_name(column: Column) -> str:
    """The name of a column's text while it is judged."""
    return f"{column.name}:text"


def _unprintable(table: Table) -> str:
    """A `when` for text that hides something: one look at all text columns together, a second only where it finds something."""
    columns = [column for column in table.columns if column.type == "text"]
    together = ", ".join(identifier(_text_name(column)) for column in columns)
    which = " ".join(
        f"when regexp_matches({identifier(_text_name(column))}, {quoted(UNPRINTABLE)}) "
        f"then {quoted(column.name + '|holds control or text-reordering characters')}"
        for column in columns
    )
    return f"when regexp_matches(concat_ws('', {together}), {quoted(UNPRINTABLE)}) then case {which} end"


def _bound(column: Column, bound: str | int | float) -> str:
    return f"date {quoted(str(bound))}" if column.type == "date" else str(bound)


def _email(text: str) -> str:
    """An e-mail address as it is compared: composed characters, lower case, no space around."""
    return f"nfc_normalize(lower(trim({text})))"


def _phone(text: str, prefix: str | None) -> str:
    """A phone number with its full-width digits, spaces and brackets removed, `00` read as `+`, the shop's country added where none is."""
    plain = f"regexp_replace(translate({text}, '０１２３４５６７８９＋', '0123456789+'), '[\\s().\\-]', '', 'g')"
    international = f"regexp_replace({plain}, '^00', '+')"
    if prefix is None:
        return international
    return (
        f"case when {international} like '+%' then {international} else {quoted(prefix)} || regexp_replace({international}, '^0', '') end"
    )


def _conform_table(
    connection: duckdb.DuckDBPyConnection, source: Source, table: Table, home: Home, scratch: Path
) -> list[tuple[Path, Path]]:
    """Type, judge, count and write one table; returns (written partition file, its place in the lake)."""
    _map(connection, source, table)
    names = [column.name for column in table.columns]
    values = ", ".join(f"{_typed(column, source)} as {identifier(column.name)}" for column in table.columns)
    texts = ", ".join(f"t.{identifier(column.name)} as {identifier(_text_name(column))}" for column in table.columns)
    record = ", ".join(f"{quoted(column.name)}, {identifier(_text_name(column))}" for column in table.columns)
    faults = " ".join(
        f"when {condition} then {quoted(column.name + '|' + reason)}" for column in table.columns for condition, reason in _faults(column)
    )
    listed = ", ".join(identifier(name) for name in names)
    key = ", ".join(identifier(name) for name in table.key)
    # The first night brings whatever history the shop has, so nothing is late on it.
    late = f"_night > {date_literal(source.first_night)} and {identifier(table.at)} < _late_before" if table.at else "false"
    late_reason = f"{table.at}|late: arrived more than {table.lateness} nights after its date"
    row_faults = " ".join(f"when not coalesce({check.sql}, false) then {quoted('|' + check.reason)}" for check in table.check)
    keep_copies = source.tables[table.name].exact_duplicates == "keep"
    copy_key = f"case when copy > 1 then {identifier(table.key[0])} || '~' || copy else {identifier(table.key[0])} end"
    kept_columns = ", ".join(
        f"{copy_key} as {identifier(name)}" if keep_copies and name == table.key[0] else identifier(name) for name in names
    )
    connection.execute("drop table if exists judged; drop table if exists repeated; drop table if exists kept; drop table if exists aside")
    # One scan types and judges; only keys that stand twice are looked at again. The night's bounds are compared in UTC, so that no
    # time zone is computed per row.
    connection.execute(
        f"""
        create temp table judged as
        select {listed}, _file, _row, _version, _night, _id, fault, case when fault is not null then json_object({record}) end as _record
        from (
            select v.*, case {faults} {_unprintable(table)} {row_faults} when {late} then {quoted(late_reason)} end as fault
            from (
                select t._file, t._row, t._version, t._night, t._id, n.ends_at as _night_ends_at, n.late_before as _late_before, {values}, {texts}
                from mapped as t
                join (select night, utc(night + 1) as ends_at, utc(night - {table.lateness}) as late_before from nights) as n
                    on t._night = n.night
            ) as v
        )
        """
    )
    connection.execute("create temp table known (_id bigint)")
    new = "judged"
    if source.tables[table.name].known_keys == "skip":
        new = "(select * from judged anti join known using (_id))"
        connection.execute(
            f"""
            insert into known
            with first_sightings as (
                select {key}, min(night) as night
                from (
                    select {key}, _night as night from judged where fault is null
                    union all
                    select {key}, arrived_on from {raw_scan(home, table.name)}
                    where source_name = {quoted(source.name)} and arrived_on not in (select night from nights)
                )
                group by all
            )
            select j._id
            from judged as j
            join first_sightings as s on {" and ".join(f"j.{identifier(name)} = s.{identifier(name)}" for name in table.key)}
            where j.fault is null and s.night < j._night
            """
        )
    connection.execute(
        f"""
        create temp table repeated as
        with again as (
            select _night, {key} from {new} where fault is null group by all having count(*) > 1
        )
        select j._id,
            row_number() over (partition by j._night, {", ".join("j." + identifier(name) for name in names)} order by j._file, j._row, j._id) as copy,
            row_number() over (partition by j._night, {", ".join("j." + identifier(name) for name in table.key)} order by j._version desc nulls last, {", ".join(f"j.{identifier(name)} desc nulls last" for name in names)}) as newer
        from {new} as j
        join again as a on {" and ".join(f"j.{identifier(name)} = a.{identifier(name)}" for name in ("_night", *table.key))}
        where j.fault is null
        """
    )
    # Of one key the newest version wins, and where the mapping states none, the greatest content: never the place in a file, so that a
    # delivery means the same in any order and any number of files. Equal content is one row.
    connection.execute(
        f"""
        create temp table winner as
        select j._night, {", ".join("j." + identifier(name) for name in table.key)}, hash({", ".join("j." + identifier(name) for name in names)}) as content
        from judged as j join repeated as r using (_id) where r.newer = 1
        """
    )
    winner_join = " and ".join(f"j.{identifier(name)} = w.{identifier(name)}" for name in ("_night", *table.key))
    content = f"hash({', '.join('j.' + identifier(name) for name in names)})"
    connection.execute(
        f"""
        create temp table verdicts as
        select r._id, r.copy,
            case when {content} is distinct from w.content then 'conflict'
                when r.copy > 1 and not {str(keep_copies).lower()} then 'duplicate'
                else 'kept' end as verdict
        from repeated as r
        join judged as j using (_id)
        join winner as w on {winner_join}
        union all
        select _id, 1, 'duplicate' from known
        """
    )
    lineage = f"_night as arrived_on, {quoted(source.name)} as source_name, _file as source_file, _row as source_row"
    connection.execute(
        f"""
        create temp table kept as
        select {lineage}, {kept_columns}
        from (
            select j.*, coalesce(v.copy, 1) as copy
            from judged as j left join verdicts as v using (_id)
            where j.fault is null and coalesce(v.verdict, 'kept') = 'kept'
        );
        create temp table aside as
        select {lineage}, {quoted(table.name)} as table_name,
            nullif(split_part(fault, '|', 1), '') as column_name, split_part(fault, '|', 2) as reason,
            coalesce(_record, cast(json_object({", ".join(f"{quoted(name)}, {identifier(name)}" for name in names)}) as varchar)) as record
        from (
            select * exclude (fault), fault from judged where fault is not null
            union all
            select j.* exclude (fault), {quoted("|conflict: a newer record of this delivery has the same key and other content")} as fault
            from judged as j join verdicts as v using (_id) where v.verdict = 'conflict'
        )
        """
    )
    connection.execute(
        f"""
        insert into accounting
        select {quoted(source.name)}, {quoted(table.name)}, n.night,
            coalesce(i.c, 0), coalesce(k.c, 0), coalesce(q.c, 0), coalesce(d.c, 0)
        from nights as n
        left join (select _night as night, count(*) as c from mapped group by 1) as i using (night)
        left join (select arrived_on as night, count(*) as c from kept group by 1) as k using (night)
        left join (select arrived_on as night, count(*) as c from aside group by 1) as q using (night)
        left join (
            select j._night as night, count(*) as c
            from judged as j join verdicts as v using (_id) where v.verdict = 'duplicate' group by 1
        ) as d using (night)
        """
    )
    connection.execute(
        f"insert into night_hash select {quoted(table.name)}, arrived_on, count(*), "
        f"cast(bit_xor(hash({listed}, source_file, source_row)) as varchar) from kept group by arrived_on"
    )
    order = f"{key}, source_file, source_row"
    written = _partitions(connection, "kept", home.raw / table.name, source.name, scratch / f"{table.name}.kept", order)
    written += _partitions(
        connection, "aside", home.quarantine / table.name, source.name, scratch / f"{table.name}.aside", "source_file, source_row"
    )
    connection.execute(
        "drop table mapped; drop table judged; drop table known; drop table repeated; drop table winner; drop table verdicts; drop table kept; drop table aside"
    )
    return written


# -- writing -------------------------------------------------------------------------------------------------------


def _partitions(
    connection: duckdb.DuckDBPyConnection, name: str, target: Path, source: str, scratch: Path, order: str
) -> list[tuple[Path, Path]]:
    """Write a table as one Parquet file per night, in a fixed order, under scratch."""
    (rows,) = connection.execute(f"select count(*) from {name}").fetchone() or (0,)
    if rows == 0:
        return []
    threads = connection.execute("select current_setting('threads')").fetchone()
    connection.execute("set threads = 1")  # one writer: one file per night, rows in order, equal bytes on every machine
    connection.execute(
        f"copy (select * from {name} order by arrived_on, {order}) to {quoted(str(scratch))} "
        "(format parquet, compression zstd, partition_by (arrived_on), write_partition_columns true)"
    )
    connection.execute(f"set threads = {threads[0] if threads else 1}")
    written = []
    for folder in sorted(scratch.iterdir()):
        parts = sorted(folder.glob("*.parquet"))
        for number, part in enumerate(parts):
            suffix = "" if number == 0 else f".{number}"
            written.append((part, target / folder.name / f"{source}{suffix}.parquet"))
    return written


def _move_into_place(home: Home, source: Source, nights: list[date], written: list[tuple[Path, Path]]) -> None:
    """Rename every new file into the lake and remove what these nights no longer hold."""
    places = {place for _, place in written}
    for part, place in written:
        place.parent.mkdir(parents=True, exist_ok=True)
        os.chmod(part, 0o600)
        os.replace(part, place)
    for night in nights:
        for root in (home.raw, home.quarantine):
            for old in root.glob(f"*/arrived_on={night.isoformat()}/{source.name}*.parquet"):
                if old not in places:
                    old.unlink()
                    if not any(old.parent.iterdir()):
                        shutil.rmtree(old.parent)


def _ensure_empty_tables(home: Home) -> None:
    """Every contract table exists, empty where no source fills it, so that everything built on it builds."""
    with duckdb.connect() as connection:
        for table in contract.tables().values():
            place = home.raw / table.name / "arrived_on=1970-01-01" / "empty.parquet"
            place.parent.mkdir(parents=True, exist_ok=True)
            part = place.with_name(f".empty.{os.getpid()}.part")
            connection.execute(f"copy ({contract.empty_select(table)}) to {quoted(str(part))} (format parquet)")
            os.replace(part, place)


def _check_identity(rows: list[tuple]) -> None:
    for source, table, night, rows_in, kept, quarantined, duplicates in rows:
        if rows_in != kept + quarantined + duplicates:
            raise UserOpsError(
                f"{source}, {table}, {night}: {rows_in} rows came in, but {kept} kept + {quarantined} quarantined + {duplicates} duplicates "
                "do not add up; nothing was written. This is a fault of ours: please report it."
            )


# -- what a night leaves behind -----------------------------------------------------------------------------------


def _write_night_manifests(connection: duckdb.DuckDBPyConnection, home: Home, source: Source, nights: list[date]) -> None:
    """One JSON per night: the commit mark of its conform, written last."""
    hashes: dict[date, list[str]] = {}
    for table, night, kept, content in connection.execute("select * from night_hash order by table_name, arrived_on").fetchall():
        hashes.setdefault(night, []).append(f"{table}:{kept}:{content}")
    windows = reach(connection, home, source, nights)
    config = config_hash(home, source)
    for night in nights:
        place = home.nights / night.isoformat() / f"{source.name}.json"
        content = " ".join(hashes.get(night, []))
        window = windows.get(night, night)
        if place.is_file():
            before = json.loads(place.read_text(encoding="utf-8"))
            if before["content_hash"] != content:
                # What the old content touched is gone from the lake, so all of it is recomputed.
                window = min(window, *(known.window_from for known in conformed_nights(home)))
        write_json(place, {"source": source.name, "night": night, "content_hash": content, "window_from": window, "config_hash": config})


def config_hash(home: Home, source: Source) -> str:
    """Changes when what every night is conformed from changes: the source's own files, the contract, or an archive, which holds all nights."""
    archives = [
        manifest.sha256 for name, file in source.files.items() if not file.daily for _, manifest in manifests(home, source, name, None)
    ]
    return hashlib.sha256(source.config_hash().encode() + contract.CONTRACT_FILE.read_bytes() + " ".join(archives).encode()).hexdigest()[
        :16
    ]


def conformed_nights(home: Home, source: str | None = None) -> list[Night]:
    """Every night the lake holds, by date and source."""
    found = []
    for path in sorted(home.nights.glob(f"*/{source or '*'}.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        found.append(
            Night(
                document["source"],
                date.fromisoformat(document["night"]),
                document["content_hash"],
                date.fromisoformat(document["window_from"]),
                document["config_hash"],
            )
        )
    return found
