"""Stops: the rows of `suppressions` that a night brings beside those a source states, found in its other tables while they are conformed.

Here lives which rows say "do not contact me" without being a readable consent: a consent set aside, a message's opt-out, complaint or bounce.
Add a place where a person can say so here. Must not judge a row (conform does) nor decide who may be contacted: the dbt models do.
"""

from __future__ import annotations

import duckdb

from userops_pipeline.ground import contract
from userops_pipeline.ground.sql import identifier, quoted
from userops_pipeline.ground.tombstones import Tombstones
from userops_pipeline.intake.fields import faults_of, text_name
from userops_pipeline.intake.source import Source

STOPS = "suppressions"
IS_FOUND = "starts_with(t.suppression_id, t.source_name || ':')"  # of a row `t`: conform found it, no mapping brought it
# Tables whose rows may stop contact; the table of stops itself comes last, when everything else was looked at.
SPEAKING = ("consents", "touches", STOPS)
# What a message was answered with, and the reason it is a stop for.
ANSWERS = {"unsubscribed_at": "unsubscribed", "complained_at": "complained", "bounced_at": "bounced"}


def begin(connection: duckdb.DuckDBPyConnection) -> None:
    """`stops`: every word found so far, one row per reading of it."""
    connection.execute(
        "create temp table stops (night date, table_name varchar, _file varchar, _row bigint, user_id varchar, contact_point varchar,"
        " other_reading varchar, channel varchar, purpose varchar, said_at timestamp, reason varchar)"
    )


def listen(connection: duckdb.DuckDBPyConnection, table: str, erased: Tombstones) -> None:
    """Add what the judged rows of a table say; `judged` and `verdicts` are there.

    What can be read of a row that was set aside stops as widely as the rest leaves open: no channel is every channel, no address every
    address of the user, neither user nor address everybody. A copy of a row says nothing more, and a record in conflict lost to one at
    least as strict, but for a table of stops, where each entry counts.
    """
    if table == "consents":
        connection.execute(
            f"insert into stops select {_place(table)}, user_id, contact_point, _other_reading, channel, purpose, null, 'unreadable' "
            "from judged where fault is not null and state is distinct from 'subscribed'"
        )
        # What an erased person said of an address that is somebody else's too stands: nobody is left who could take it back.
        for channel, purpose, kind in erased.stopped():
            connection.execute(
                f"""
                insert into stops
                select _night, {quoted(table)}, _file, _row, null, contact_point, null, $channel, $purpose, null, 'suppressed'
                from (
                    select *, row_number() over (partition by _night, contact_point order by _file, _row, _id) as number
                    from judged
                    where contact_point in (
                        select contact_point from (select distinct contact_point from judged where contact_point is not null)
                        where {erased.sql(kind, "contact_point")} in (select unnest($hashes))
                    )
                )
                where number = 1
                """,
                {"channel": channel, "purpose": purpose, "hashes": sorted(erased.hashes[kind])},
            )
    if table == "touches":
        for name, reason in ANSWERS.items():
            column = contract.tables()[table].column(name)
            unreadable = " or ".join(f"({condition})" for condition, _ in faults_of(column))
            connection.execute(
                f"""
                insert into stops
                select {_place(table)}, user_id, contact_point, _other_reading, channel, null,
                    case when {unreadable} then null else {name} end, {quoted(reason)}
                from (
                    select j.* exclude ({name}), j.{name}, utc(j._night + 1) as _night_ends_at, false as _of_archive,
                        coalesce(json_extract_string(j._record, {quoted("$." + name)}), cast(j.{name} as varchar)) as {identifier(text_name(column))}
                    from judged as j left join verdicts as v using (_id)
                    where v.verdict is distinct from 'duplicate'
                )
                where {identifier(text_name(column))} is not null
                """
            )
    if table == STOPS:
        connection.execute(
            f"""
            insert into stops
            select {_place(table)}, user_id, contact_point, _other_reading, channel, purpose, null, 'unreadable'
            from judged left join verdicts as v using (_id) where fault is not null or v.verdict = 'conflict'
            union all
            -- Of an entry that stands as it is, the readings it has beside its own.
            select {_place(table)}, user_id, _other_reading, null, channel, purpose, said_at, reason
            from judged left join verdicts as v using (_id)
            where fault is null and v.verdict is distinct from 'conflict' and v.verdict is distinct from 'duplicate'
                and _other_reading is not null and channel is null
            """
        )


def write_down(connection: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Into `kept`, which holds the entries the source states, every word found, and their number per night into `found`.

    A word has several readings where its channel cannot be told: the address as it is, as a number of this country, and the user as a whole.
    """
    names = ", ".join(column.name for column in contract.tables()[STOPS].columns)
    connection.execute(
        f"""
        create temp table found as
        with readings as (
            select * exclude (other_reading) from stops
            union
            select * exclude (other_reading) replace (other_reading as contact_point) from stops where channel is null and other_reading is not null
            union
            select * exclude (other_reading) replace (null as contact_point) from stops
            where channel is null and user_id is not null and (table_name <> {quoted(STOPS)} or reason = 'unreadable')
        ),
        numbered as (
            select *, row_number() over (
                partition by table_name, _file, _row, reason
                order by user_id, contact_point nulls first, channel nulls first, purpose nulls first, said_at nulls first
            ) as reading
            from readings
        )
        select night as arrived_on, {quoted(source.name)} as source_name, _file as source_file, _row as source_row,
            concat_ws(':', {quoted(source.name)}, table_name, _file, _row, reason)
                || case when reading > 1 then '~' || reading else '' end as suppression_id,
            user_id, contact_point, channel, purpose, said_at, reason
        from numbered
        """
    )
    connection.execute(
        f"insert into kept (arrived_on, source_name, source_file, source_row, {names}) "
        f"select arrived_on, source_name, source_file, source_row, {names} from found"
    )


def _place(table: str) -> str:
    return f"_night, {quoted(table)}, _file, _row"
