"""Conform: landed records through a source's mapping into the typed contract; every record is kept, set aside or counted.

Here lives what becomes of a row among the rows of its table and night (refused, duplicate, in conflict, kept) and the identity
rows in = kept + quarantined + duplicates. Add here when that changes for every source; a type, a format or a reason over one row goes into
fields, a table's own bounds into contract.yml, a source's shape into its mapping.
Must not write a file of the lake (lake_files does), nor decide whether a night is good enough to build on: the gate does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from userops_pipeline.ground import addresses, contract
from userops_pipeline.ground.contract import Table
from userops_pipeline.ground.faults import crash_point
from userops_pipeline.ground.home import Home, UserOpsError, write_json
from userops_pipeline.ground.lake import raw_scan
from userops_pipeline.ground.sealing import seal
from userops_pipeline.ground.sql import date_literal, identifier, quoted
from userops_pipeline.ground.tombstones import Tombstones
from userops_pipeline.intake import stops, usual
from userops_pipeline.intake.binding import Given, bind, empty_file, mapped_sql, offer
from userops_pipeline.intake.fields import faults_of, text_name, typed, unprintable, version_key
from userops_pipeline.intake.forget import forget, settle
from userops_pipeline.intake.lake_files import ensure_empty_tables, move_into_place, write_partitions
from userops_pipeline.intake.lake_proof import refuse_other_landing
from userops_pipeline.intake.landing import Manifest, manifests
from userops_pipeline.intake.mappings import checked_sql
from userops_pipeline.intake.nights import Reach, conformed_nights, mark_nights
from userops_pipeline.intake.reach import reach
from userops_pipeline.intake.reading import Reading
from userops_pipeline.intake.source import Mapping, Source

# Rows of one source that are conformed together: bounds memory and scratch; fewer would cost more statements.
ROWS_AT_ONCE = 4_000_000


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


def conform(home: Home, source: Source, nights: list[date], *, progress: Callable[[str], None] = lambda _: None) -> list[Accounting]:
    """Rebuild these nights of the lake from landing; the same landing gives the same bytes.

    A run that died in here left a pending note, and its nights are rebuilt along with the ones asked for; so are later nights
    already conformed, where what a table keeps depends on earlier nights (known keys, first values, versions).

    Returns:
        One entry per mapped table and night, in that order, and per night of `suppressions` where the source has a table that may stop contact.

    Raises:
        UserOpsError: a mapping is wrong (the sentence names file and column), what a night was made of is gone, or the identity does not hold.
    """
    given = bind(source)
    pending = home.nights / f"{source.name}.pending.json"
    if pending.is_file():
        nights = sorted({*nights, *(date.fromisoformat(night) for night in json.loads(pending.read_text(encoding="utf-8")))})
    if any(
        mapping.known_keys == "skip" or mapping.keeps_first or "_version" in source.mapping_sql(name)
        for name, mapping in source.tables.items()
    ):
        # What a night brings decides what is known, and which version is the newest, on every later one.
        nights = sorted({*nights, *(known.night for known in conformed_nights(home, source.name) if known.night > min(nights))})
    settle(home, source, nights)
    before = {known.night: known.landed for known in conformed_nights(home, source.name)}
    refuse_other_landing(home, source, nights, before)
    write_json(pending, [night.isoformat() for night in nights])
    ensure_empty_tables(home)
    accounts: list[Accounting] = []
    for group in _groups(home, source, nights):
        part = "" if group == nights else f" of {group[0]} to {group[-1]}"
        accounts += _conform_nights(home, source, group, given, lambda text, part=part: progress(text + part))
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


def _conform_nights(
    home: Home, source: Source, nights: list[date], given: Given, progress: Callable[[str], None], *, again: bool = False
) -> list[Accounting]:
    """Rebuild these nights together: their files are in place, then their manifests, when this returns."""
    with ExitStack() as stack:
        connection = stack.enter_context(duckdb.connect())
        scratch = stack.enter_context(home.scratch("conform"))
        connection.execute(f"set temp_directory = {quoted(str(scratch))}")
        connection.execute("set partitioned_write_max_open_files = 1000")
        offer(connection, source)
        connection.execute("create temp table nights (night date)")
        connection.executemany("insert into nights values (?)", [(night,) for night in nights])
        _open_files(connection, home, source, nights, scratch)
        # From here on it runs mappings. Files are written by one thread, so threads stay to be set.
        seal(connection, home.landing / source.name, home.raw, scratch, changeable=("threads",))
        if erased := forget(connection, home, source, nights, given, again=again):
            progress(f"{erased} records of erased people were taken out of landing")
            connection.close()
            return _conform_nights(home, source, nights, given, progress, again=True)
        connection.execute(
            "create temp table night_hash (table_name varchar, arrived_on date, kept bigint, content varchar);"
            "create temp table accounting (source_name varchar, table_name varchar, arrived_on date, rows_in bigint, rows_kept bigint,"
            " rows_quarantined bigint, rows_duplicate bigint)"
        )
        usual.begin(connection)
        written: list[tuple[Path, Path]] = []
        stops.begin(connection)
        names = [name for name in source.tables if name != stops.STOPS]
        if set(stops.SPEAKING) & source.tables.keys():
            names.append(stops.STOPS)
        for number, name in enumerate(names, start=1):
            progress(f"conform {name} ({number} of {len(names)})")
            written += _conform_table(connection, source, contract.tables()[name], given, home, scratch)
        written += write_partitions(connection, "accounting", home.accounting, source.name, scratch / "accounting", "table_name")
        written += write_partitions(connection, "profiles", home.profiles, source.name, scratch / "profiles", "table_name, column_name")
        rows = connection.execute("select * from accounting").fetchall()
        _check_identity(rows)
        crash_point("conform:before_files")
        move_into_place(home, source, nights, written)
        crash_point("conform:after_files")
        reaches = {night: Reach(*dates) for night, dates in reach(connection, home, source, nights).items()}
        mark_nights(home, source, nights, _contents(connection), reaches)
    return [Accounting(*row) for row in rows]


# -- files and mappings --------------------------------------------------------------------------------------------


def _open_files(connection: duckdb.DuckDBPyConnection, home: Home, source: Source, nights: list[date], scratch: Path) -> None:
    """A view per file kind of the source: its records as text with `_file`, `_row` and, for daily drops, `_night`."""
    for name, file in source.files.items():
        landed = [entry for night in (nights if file.daily else [None]) for entry in manifests(home, source, name, night)]
        parts = [empty_file(file.columns)]
        if file.format == "parquet":
            for path, manifest in landed:
                select = Reading(path, file, _label(manifest), connection, scratch, known=manifest.rows).select
                parts.append(f"select *, {date_literal(manifest.night)} as _night from ({select})")
            connection.execute(f"create temp view {identifier(name)} as " + " union all ".join(parts))
            continue
        connection.execute(f"create temp table {identifier(name)} as {parts[0]}")
        for path, manifest in landed:
            with closing(Reading(path, file, _label(manifest), connection, scratch, known=manifest.rows)) as reading:
                query = f"insert into {identifier(name)} select *, {date_literal(manifest.night)} as _night from ({reading.select})"
                try:
                    (rows,) = connection.execute(query).fetchone() or (0,)
                except (duckdb.InvalidInputException, duckdb.ConversionException):
                    rows = -1
            if rows != manifest.rows:
                raise UserOpsError(
                    f"{manifest.name} of {source.name} is no longer what was landed ({manifest.rows} records); restore lake/landing from a "
                    "backup, or remove it with its manifest there and run the night again."
                )


def _label(manifest: Manifest) -> str:
    """A landed file's name, with its night where every night may bring the same name."""
    return manifest.name if manifest.night is None else f"{manifest.night}/{manifest.name}"


def _map(connection: duckdb.DuckDBPyConnection, source: Source, table: Table, given: Given) -> None:
    """`mapped`: the mapping's rows of these nights as text in contract columns, with `_version` where it says which record is newer."""
    if table.name not in source.tables:
        columns = ", ".join(f"cast(null as varchar) as {identifier(column.name)}" for column in table.columns)
        connection.execute(
            f"create temp table mapped as select {columns}, cast(null as varchar) as _file, cast(null as bigint) as _row, cast(null as varchar) as _version, false as _lasting, "
            "cast(null as date) as _night, cast(null as bigint) as _id where false"
        )
        return
    place, sql = f"{source.name}/{table.name}.sql", checked_sql(source, table.name)
    try:
        connection.execute(
            f"create temp table mapped as select *, row_number() over () as _id from ({mapped_sql(source, table, given[table.name])}) "
            "where _night in (select night from nights)"
        )
        (mapped,) = connection.execute(f"select count(*) from ({sql}) as mapping").fetchone() or (0,)
    except (duckdb.OutOfMemoryException, duckdb.IOException):
        raise  # of the machine, not of the mapping
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


def _conform_table(
    connection: duckdb.DuckDBPyConnection, source: Source, table: Table, given: Given, home: Home, scratch: Path
) -> list[tuple[Path, Path]]:
    """Type, judge, count and write one table; returns (written partition file, its place in the lake)."""
    _map(connection, source, table, given)
    _judge(connection, source, table)
    _keep_first(connection, home, source, table)
    _know_again(connection, home, source, table)
    _tell_copies_apart(connection, source, table)
    _divide(connection, source, table)
    if table.name in stops.SPEAKING:
        stops.listen(connection, table.name, Tombstones.of(home))
    if table.name == stops.STOPS:
        stops.write_down(connection, source)
    if table.name in source.tables:
        on = f"business_date({identifier(table.at)})" if table.at else "cast(null as date)"
        usual.note(connection, table, source.name, f"(select *, {on} as _on from kept)")
    _count(connection, source, table)
    order = f"{_listed(table.key)}, source_file, source_row"
    written = write_partitions(connection, "kept", home.raw / table.name, source.name, scratch / f"{table.name}.kept", order)
    aside = home.quarantine / table.name, source.name, scratch / f"{table.name}.aside"
    written += write_partitions(connection, "aside", *aside, "source_file, source_row")
    for name in ("mapped", "judged", "known", "repeated", "winner", "verdicts", "kept", "aside", "found"):
        connection.execute(f"drop table if exists {name}")
    return written


def _judge(connection: duckdb.DuckDBPyConnection, source: Source, table: Table) -> None:
    """`judged`: every mapped row with its typed values and, where it is refused, its `fault` (column|reason) and its record as it came.

    One scan does both. A night's bounds are compared in UTC, so that no time zone is computed per row.
    """
    values = ", ".join(f"{typed(column, source)} as {identifier(column.name)}" for column in table.columns)
    texts = ", ".join(f"t.{identifier(column.name)} as {identifier(text_name(column))}" for column in table.columns)
    record = ", ".join(f"{quoted(column.name)}, {identifier(text_name(column))}" for column in table.columns)
    faults = " ".join(
        f"when {condition} then {quoted(column.name + '|' + reason)}" for column in table.columns for condition, reason in faults_of(column)
    )
    row_faults = " ".join(f"when not coalesce({check.sql}, false) then {quoted('|' + check.reason)}" for check in table.check)
    # An address whose channel cannot be told may be one of a channel where it stands as it is written.
    point = next((identifier(text_name(column)) for column in table.columns if column.format == "contact_point"), None)
    as_text = addresses.text_sql(point) if point else ""
    other_reading = f", case when channel is null then nullif({as_text}, contact_point) end as _other_reading" if point else ""
    # The first night brings whatever history the shop has, so nothing is late on it.
    late = f"_night > {date_literal(source.first_night)} and {identifier(table.at)} < _late_before" if table.at else "false"
    late_reason = f"{table.at}|late: arrived more than {table.lateness} nights after its date"
    too_late = (
        f"{table.at}|late: its _night is more than {table.lateness} nights after its date; in the mapping, leave out times that are later"
    )
    connection.execute(
        f"""
        create temp table judged as
        select {_listed(_names(table))}, _file, _row, _version, case when _lasting then _version end as _stated, _night, _id, fault,
            case when fault is not null then json_object({record}) end as _record{other_reading}
        from (
            select v.*, case {faults} {unprintable(table)} {row_faults}
                when {late} and _of_archive then {quoted(too_late)} when {late} then {quoted(late_reason)} end as fault
            from (
                select t._file, t._row, {version_key(source)} as _version, t._lasting, t._night, t._id, t._file not like '____-__-__/%' as _of_archive, n.ends_at as _night_ends_at, n.late_before as _late_before, {values}, {texts}
                from mapped as t
                join (select night, utc(night + 1) as ends_at, utc(night - {table.lateness}) as late_before from nights) as n
                    on t._night = n.night
            ) as v
        )
        """
    )


def _keep_first(connection: duckdb.DuckDBPyConnection, home: Home, source: Source, table: Table) -> None:
    """In `judged`, the columns that the source says stay as first seen take the value of the key's first night; the others follow the newest."""
    kept = _rules(source, table).keeps_first
    if not kept:
        return
    key = _listed(table.key)
    firsts = ", ".join(f"min_by({identifier(name)}, (night, _file, _row)) as {identifier(name)}" for name in kept)
    connection.execute(
        f"""
        update judged set {", ".join(f"{identifier(name)} = f.{identifier(name)}" for name in kept)}
        from (
            select {key}, min(night) as night, {firsts}
            from (
                select {key}, {_listed(kept)}, _night as night, _file, _row from judged where fault is null
                union all
                select {key}, {_listed(kept)}, arrived_on, source_file, source_row from {raw_scan(home, table.name)}
                where source_name = {quoted(source.name)} and arrived_on not in (select night from nights)
            )
            group by all
        ) as f
        where judged.fault is null and {_same(table.key, "judged", "f")} and f.night < judged._night
        """
    )


def _know_again(connection: duckdb.DuckDBPyConnection, home: Home, source: Source, table: Table) -> None:
    """`known`: the rows that an earlier night has settled, with their `verdict`.

    A duplicate is one whose key an earlier night brought, where the source says that such rows are to be skipped; outdated is one of which
    an earlier night brought a newer version. What somebody said (of words of which the strictest counts, and stops) is never outdated.
    """
    connection.execute("create temp table known (_id bigint, verdict varchar)")
    key = _listed(table.key)
    before = f"source_name = {quoted(source.name)} and arrived_on not in (select night from nights)"
    if _rules(source, table).known_keys == "skip":
        connection.execute(
            f"""
            insert into known
            with first_sightings as (
                select {key}, min(night) as night
                from (
                    select {key}, _night as night from judged where fault is null
                    union all
                    select {key}, arrived_on from {raw_scan(home, table.name)} where {before}
                )
                group by all
            )
            select j._id, 'duplicate'
            from judged as j
            join first_sightings as s on {_same(table.key, "j", "s")}
            where j.fault is null and s.night < j._night
            """
        )
    elif _has_versions(connection) and not any(column.strictest for column in table.columns) and table.name != stops.STOPS:
        connection.execute(
            f"""
            insert into known
            with versions as (
                select {key}, _night as night, _stated as version from judged where fault is null and _stated is not null
                union all
                select {key}, arrived_on, version from {raw_scan(home, table.name)} where version is not null and {before}
            ),
            newest as (
                select {key}, night, max(version) as version from versions group by all
            )
            select j._id, 'outdated'
            from judged as j
            join newest as n on {_same(table.key, "j", "n")}
            where j.fault is null and n.night < j._night and n.version > j._stated
            group by j._id
            """
        )


def _has_versions(connection: duckdb.DuckDBPyConnection) -> bool:
    return connection.execute("select 1 from judged where _stated is not null limit 1").fetchone() is not None


def _tell_copies_apart(connection: duckdb.DuckDBPyConnection, source: Source, table: Table) -> None:
    """`verdicts`: of every row whose key stands twice in a night, whether it is kept, a duplicate or in conflict; and what is known.

    Of one key the strictest word wins, then the newest version, and where the mapping states none, the greatest content: never the place in a file, so that a
    delivery means the same in any order and any number of files. Equal content is one row. What has no verdict is kept.
    """
    names, keys = _names(table), ("_night", *table.key)
    rules = _rules(source, table)
    strictest = "".join(
        f"list_position([{', '.join(map(quoted, column.only))}], j.{identifier(column.name)}), "
        for column in table.columns
        if column.strictest
    )
    (settled,) = connection.execute("select count(*) from known").fetchone() or (0,)
    new = "(select * from judged anti join known using (_id))" if settled else "judged"
    connection.execute(
        f"""
        create temp table repeated as
        with again as (
            select {_listed(keys)} from {new} where fault is null group by all having count(*) > 1
        )
        select j._id,
            row_number() over (partition by j._night, {_listed(names, "j")} order by j._file, j._row, j._id) as copy,
            row_number() over (
                partition by {_listed(keys, "j")}
                order by {strictest}j._version desc nulls last, {", ".join(f"j.{identifier(name)} desc nulls last" for name in names)}
            ) as newer
        from {new} as j
        join again as a on {_same(keys, "j", "a")}
        where j.fault is null
        """
    )
    connection.execute(
        f"""
        create temp table winner as
        select {_listed(keys, "j")}, hash({_listed(names, "j")}) as content
        from judged as j join repeated as r using (_id) where r.newer = 1
        """
    )
    connection.execute(
        f"""
        create temp table verdicts as
        select r._id, r.copy,
            case when hash({_listed(names, "j")}) is distinct from w.content then 'conflict'
                when r.copy > 1 and {str(rules.exact_duplicates != "keep").lower()} then 'duplicate'
                else 'kept' end as verdict
        from repeated as r
        join judged as j using (_id)
        join winner as w on {_same(keys, "j", "w")}
        union all
        select _id, 1, verdict from known
        """
    )


def _divide(connection: duckdb.DuckDBPyConnection, source: Source, table: Table) -> None:
    """`kept` and `aside`: the rows of raw and those of quarantine, each with the file and record it came from."""
    names = _names(table)
    lineage = f"_night as arrived_on, {quoted(source.name)} as source_name, _file as source_file, _row as source_row"
    kept_columns = [identifier(name) for name in names]
    if _rules(source, table).exact_duplicates == "keep":
        first = identifier(table.key[0])
        kept_columns[names.index(table.key[0])] = f"case when copy > 1 then {first} || '~' || copy else {first} end as {first}"
    record = ", ".join(f"{quoted(name)}, {identifier(name)}" for name in names)
    connection.execute(
        f"""
        create temp table kept as
        select {lineage}, _stated as version, {", ".join(kept_columns)}
        from (
            select j.*, coalesce(v.copy, 1) as copy
            from judged as j left join verdicts as v using (_id)
            where j.fault is null and coalesce(v.verdict, 'kept') = 'kept'
        );
        create temp table aside as
        select {lineage}, {quoted(table.name)} as table_name,
            nullif(split_part(fault, '|', 1), '') as column_name, split_part(fault, '|', 2) as reason,
            coalesce(_record, cast(json_object({record}) as varchar)) as record
        from (
            select * exclude (fault), fault from judged where fault is not null
            union all
            select j.* exclude (fault), {quoted("|conflict: a newer or stricter record of this delivery has the same key and other content")} as fault
            from judged as j join verdicts as v using (_id) where v.verdict = 'conflict'
        )
        """
    )


def _count(connection: duckdb.DuckDBPyConnection, source: Source, table: Table) -> None:
    """Into `accounting` the rows that came in and what became of them, into `night_hash` the content of those kept; a row per night."""
    arrived = "select _night as night from mapped" + (" union all select arrived_on from found" if table.name == stops.STOPS else "")
    connection.execute(
        f"""
        insert into accounting
        select {quoted(source.name)}, {quoted(table.name)}, n.night,
            coalesce(i.c, 0), coalesce(k.c, 0), coalesce(q.c, 0), coalesce(d.c, 0)
        from nights as n
        left join (select night, count(*) as c from ({arrived}) group by 1) as i using (night)
        left join (select arrived_on as night, count(*) as c from kept group by 1) as k using (night)
        left join (select arrived_on as night, count(*) as c from aside group by 1) as q using (night)
        left join (
            select j._night as night, count(*) as c
            from judged as j join verdicts as v using (_id) where v.verdict in ('duplicate', 'outdated') group by 1
        ) as d using (night)
        """
    )
    connection.execute(
        f"insert into night_hash select {quoted(table.name)}, arrived_on, count(*), "
        f"cast(bit_xor(hash({_listed(_names(table))}, source_file, source_row)) as varchar) from kept group by arrived_on"
    )


def _rules(source: Source, table: Table) -> Mapping:
    """How the source fills a table; one that only conform adds rows to is filled like any other."""
    return source.tables.get(table.name, Mapping())


def _names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def _listed(names: Iterable[str], of: str = "") -> str:
    """SQL of some columns, `of` a relation where it is named."""
    return ", ".join(f"{of}.{identifier(name)}" if of else identifier(name) for name in names)


def _same(names: Iterable[str], left: str, right: str) -> str:
    """SQL that two relations agree in some columns."""
    return " and ".join(f"{left}.{identifier(name)} = {right}.{identifier(name)}" for name in names)


# -- a night as a whole --------------------------------------------------------------------------------------------


def _check_identity(rows: list[tuple]) -> None:
    for source, table, night, rows_in, kept, quarantined, duplicates in rows:
        if rows_in != kept + quarantined + duplicates:
            raise UserOpsError(
                f"{source}, {table}, {night}: {rows_in} rows came in, but {kept} kept + {quarantined} quarantined + {duplicates} duplicates "
                "do not add up; nothing was written. This is a fault of ours: please report it."
            )


def _contents(connection: duckdb.DuckDBPyConnection) -> dict[date, str]:
    """Per night, every table that kept a row: its name, rows and hash."""
    contents: dict[date, list[str]] = {}
    for table, night, kept, content in connection.execute("select * from night_hash order by table_name, arrived_on").fetchall():
        contents.setdefault(night, []).append(f"{table}:{kept}:{content}")
    return {night: " ".join(tables) for night, tables in contents.items()}
