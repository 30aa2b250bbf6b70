"""Binding: whether a mapping fits the files its source declares and the contract's table it fills, found out before a file is touched.

Here lives what a mapping is offered beside its files, and what it must give for each contract column; add here what can be told of a
source without its data. Must not read a file: mappings judges the text alone, conform runs it on what landed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import date

import duckdb

from userops_pipeline.ground import addresses, contract
from userops_pipeline.ground.contract import ColumnType, Table
from userops_pipeline.ground.home import UserOpsError
from userops_pipeline.ground.sealing import seal
from userops_pipeline.ground.sql import date_literal, identifier, quoted
from userops_pipeline.intake.fields import converted_macro, timestamp_sql
from userops_pipeline.intake.mappings import checked_sql, files_read, functions_called, line_of
from userops_pipeline.intake.source import Source

# Per table what its mapping gives: names in lower case, with DuckDB's types.
Given = dict[str, dict[str, str]]
VERSION = "_version"
_ANY = r"[^\[]*"
_WHOLE = r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?"
_MOMENT, _NUMBER = rf"DATE|TIMESTAMP{_ANY}", rf"{_WHOLE}|DECIMAL{_ANY}|FLOAT|DOUBLE"
# Types whose text may be a value of the contract's type, beside text and null: of any other every row would be set aside.
_GIVES: dict[ColumnType, str] = {
    "text": ".*",
    "integer": _NUMBER,
    "money": _NUMBER,
    "number": _NUMBER,
    "share": _NUMBER,
    "timestamp": _MOMENT,
    "date": _MOMENT,
    "boolean": rf"BOOLEAN|{_WHOLE}",
}
_LINEAGE = {"_file": "VARCHAR", "_row": rf"VARCHAR|{_WHOLE}", "_night": rf"VARCHAR|{_MOMENT}|\"?NULL\"?"}


def offer(connection: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Give a connection what mappings of a source may call: the business date of a UTC time, the UTC time of a local one, the night of a
    time of the files, contact points as users have them, and amounts in the source's currency."""
    connection.execute("set timezone = 'UTC'")
    zone = quoted(source.business_zone)
    connection.execute(f"create macro business_date(t) as cast(timezone({zone}, timezone('UTC', cast(t as timestamp))) as date)")
    # A time that the mapping had to read itself (22-04-2014 03:53) is on the files' clock like its text.
    connection.execute(f"create macro night(t) as business_date({timestamp_sql('cast(t as varchar)', source)})")
    connection.execute(f"create macro utc(t) as timezone('UTC', timezone({zone}, cast(t as timestamp)))")
    # What is no such address is handed on as it is, so that it is set aside under its own reason.
    addresses.register(connection)
    text = "cast(t as varchar)"
    connection.execute(f"create macro phone(t) as coalesce({addresses.phone_sql(text, source.phone_prefix)}, {text})")
    connection.execute(f"create macro email(t) as coalesce({addresses.email_sql(text)}, {text})")
    connection.execute("create temp table rates (currency varchar, from_on date, rate decimal(18, 8))")
    for rate in source.rates:
        connection.execute("insert into rates values (?, ?, ?)", [rate.currency, rate.from_on, rate.rate])
    connection.execute(f"create macro converted(amount, code, moment) as {converted_macro(source)}")


def empty_file(columns: Iterable[str]) -> str:
    """A query of no record of a file: every declared column as text, with the lineage a record has."""
    names = ", ".join(f"cast(null as varchar) as {identifier(column)}" for column in columns)
    return f"select {names}, cast(null as varchar) as _file, cast(null as bigint) as _row, cast(null as date) as _night where false"


def bind(source: Source) -> Given:
    """What the mappings of a source give, each bound to empty files.

    Raises:
        UserOpsError: a mapping cannot be run, reads other files than it must, or gives other columns or types than the contract's table has;
            the sentence names file and column.
    """
    for table in source.tables:  # none is run unless each may be
        checked_sql(source, table)
    with duckdb.connect() as connection:
        offer(connection, source)
        for name, file in source.files.items():
            connection.execute(f"create temp table {identifier(name)} as {empty_file(file.columns)}")
        seal(connection)
        return {name: _bound(connection, source, contract.tables()[name]) for name in source.tables}


def mapped_sql(source: Source, table: Table, given: dict[str, str]) -> str:
    """A mapping's rows as text in contract columns, each with its lineage, its version and whether that counts for good."""
    columns = ", ".join(
        f"nullif(cast({identifier(column.name)} as varchar), '') as {identifier(column.name)}"
        if column.name in given
        else f"cast(null as varchar) as {identifier(column.name)}"
        for column in table.columns
    )
    version = "cast(_version as varchar)" if VERSION in given else "cast(null as varchar)"
    # A number the mapping makes, such as `_row`, counts within its file's night; what the source states counts for good.
    lasting = str("INT" not in given.get(VERSION, "INT")).lower()
    # A daily file's record arrived in the night of its file, whatever the mapping makes of a date in it; a record of an archive in the
    # night the mapping says, or, where that cannot be read or never comes, in the first or last one: no record is in no night.
    first, last = date_literal(source.first_night), date_literal(source.last_night or date.max)
    stated = f"least(greatest(coalesce(try_cast(_night as date), {first}), {first}), {last})"
    night = f"case when _file like '____-__-__/%' then greatest(coalesce(try_cast(left(_file, 10) as date), {first}), {first}) else {stated} end"
    return (
        f"select {columns}, _file, cast(_row as bigint) as _row, {version} as _version, {lasting} as _lasting, {night} as _night "
        f"from ({checked_sql(source, table.name)}) as mapping"
    )


def _bound(connection: duckdb.DuckDBPyConnection, source: Source, table: Table) -> dict[str, str]:
    place, sql = f"{source.name}/{table.name}.sql", checked_sql(source, table.name)
    try:
        columns = [(str(row[0]), str(row[1])) for row in connection.execute(f"describe ({sql})").fetchall()]
    except duckdb.Error as error:
        raise UserOpsError(f"{place} cannot be run{line_of(error)}: {str(error).splitlines()[0]}") from None
    _check_columns(place, table, columns)
    each = source.tables[table.name].each
    if each is not None and each not in files_read(source, table.name):
        raise UserOpsError(
            f"{place} does not read {each}, every record of which source.yml says becomes one row (each); read it, or name another."
        )
    if source.currency is None and "converted" in functions_called(source, table.name):
        raise UserOpsError(
            f"{place} uses converted(), but {source.name}/source.yml states no currency to convert to; state currency and rates."
        )
    return {name.lower(): sql_type for name, sql_type in columns}


def _check_columns(place: str, table: Table, columns: list[tuple[str, str]]) -> None:
    """Refuse columns that the table has not, or that are missing, given twice, or of a type no value of theirs can come from."""
    known = {column.name for column in table.columns}
    # A name in SQL has no case, so `Order_ID` passed on from a file is `order_id`.
    times = Counter(name.lower() for name, _ in columns)
    unknown = [name for name, _ in columns if name.lower() not in known and name.lower() not in (*_LINEAGE, VERSION)]
    missing = [name for name in _LINEAGE if name not in times]
    missing += [column.name for column in table.columns if column.required and column.name not in times]
    doubled = [name for name in times if times[name] > 1]
    wrong = (
        f"gives {', '.join(unknown)}, which the contract's {table.name} has not" if unknown
        else f"does not give {', '.join(missing)}" if missing
        else f"gives {', '.join(doubled)} twice" if doubled
        else ""
    )  # fmt: skip
    if wrong:
        raise UserOpsError(
            f"{place} {wrong}; the columns are {', '.join(column.name for column in table.columns)} and _file, _row, _night, and if wanted _version."
        )
    accepted = {column.name: f'{_GIVES[column.type]}|VARCHAR|JSON|"?NULL"?' for column in table.columns} | _LINEAGE
    types = {column.name: column.type for column in table.columns}
    for name, sql_type in columns:
        if name.lower() in accepted and not re.fullmatch(accepted[name.lower()], sql_type):
            wanted = f"a {types[name.lower()]}" if name.lower() in types else "what its file says"
            raise UserOpsError(
                f"{place} gives {name.lower()} as {sql_type}, of which no value is {wanted}; let the mapping pass text through."
            )
