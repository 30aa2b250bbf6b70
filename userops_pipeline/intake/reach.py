"""Reach: how far back the rows that arrived in a night change what was known, as the earliest business date of a fact they touch.

Here lives every way in which an arrival restates the past, read from the conformed files alone.
Add a way here when a model begins to draw a conclusion backwards; must not write: conform notes the date in the night's mark (nights).
"""

from __future__ import annotations

from datetime import date, timedelta

import duckdb

from userops_pipeline.ground import contract
from userops_pipeline.ground.contract import Column, Table
from userops_pipeline.ground.home import Home
from userops_pipeline.ground.lake import raw_scan
from userops_pipeline.ground.sql import date_literal, quoted
from userops_pipeline.intake.source import Source

# The order of a key's versions, as staging has it: the last one counts.
VERSIONS = "arrived_on, source_row, source_name, source_file"


def _business_date(value: str, source: Source) -> str:
    return f"cast(timezone({quoted(source.business_zone)}, timezone('UTC', {value})) as date)"


def _earliest(value: str, source: Source) -> str:
    """SQL aggregate: the least business date of many times, converting one of them instead of all.

    Dates follow times, but for the hour that is lived twice when a clock is set back over midnight, so an hour later is looked at too.
    """
    return f"least({_business_date(f'min({value})', source)}, {_business_date(f'min({value}) + interval 1 hour', source)})"


def reach(connection: duckdb.DuckDBPyConnection, home: Home, source: Source, nights: list[date]) -> dict[date, tuple[date, date]]:
    """The earliest date of a fact and of a row that each night's arrivals change, where one is before the night itself; and so for nights
    after them that are conformed already, whose rows follow other versions now. `nights` is a table of the connection, too.

    Four ways to reach back: a row of something that happened earlier, a row of which the version before told something else (`_versions`),
    a dimension row whose history-bearing value is new or changed, which touches every fact that refers to it and every night it was told on
    (contract: `versions`), and a device whose first user was not known before, which gives that user the device's earlier events (contract:
    `stitch`). What changes a link between device and user reaches as many days further.
    """
    reaches: dict[date, tuple[date, date]] = {}

    def note(rows: list[tuple]) -> None:
        for night, day, *stands in rows:
            fact, row = reaches.get(night, (night, night))
            reached = min(day or night, fact), min([row, *filter(None, stands)])
            if reached != (night, night):
                reaches[night] = reached

    tables = contract.tables()
    for name in source.tables:
        table = tables[name]
        key = ", ".join(table.key)
        if table.at is not None:
            note(_versions(connection, home, source, table))
            continue
        bearing = [column for column in table.columns if column.restates]
        if not bearing:
            continue
        values = "struct_pack(" + ", ".join(f"{column.name} := {column.name}" for column in bearing) + ")"
        connection.execute(
            f"""
            create or replace temp table changed as
            with tonight as (
                select distinct {key} from {raw_scan(home, table.name)} where arrived_on in (select night from nights)
            ),
            versions as (
                select arrived_on, {key}, {values} as content, lag({values}) over versions as before, lag(arrived_on) over versions as before_on
                from {raw_scan(home, table.name)} semi join tonight using ({key})
                window versions as (partition by {key} order by {VERSIONS})
            )
            select * exclude (before_on) from versions
            where before is distinct from content
                and (arrived_on in (select night from nights) or before_on in (select night from nights))
            """
        )
        for column in bearing:
            if column.refers == f"{table.name}.{table.key[0]}":
                # Whoever was merged into a changed account, over whatever chain, counts for somebody else now.
                connection.execute(
                    f"""
                    insert into changed
                    with recursive merged as (
                        select distinct {key}, {column.name} as target from {raw_scan(home, table.name)}
                        where {column.name} is not null and {column.name} <> {key}
                    ),
                    reached as (
                        select arrived_on, {key}, content, before from changed
                        union
                        select r.arrived_on, m.{key}, r.content, r.before from reached as r join merged as m on m.target = r.{key}
                    )
                    select distinct arrived_on, {key}, content, before from reached
                    except select arrived_on, {key}, content, before from changed
                    """
                )
        for column in bearing:
            if column.type == "timestamp":
                day = _business_date(f"content.{column.name}", source)
                old = _business_date(f"before.{column.name}", source)
                note(
                    connection.execute(
                        f"select arrived_on, min(least({day}, {old})) from changed where before is not null group by 1"
                    ).fetchall()
                )
        for told in tables.values():
            for column in told.columns if told.versions else ():
                if column.refers == f"{table.name}.{table.key[0]}":
                    note(
                        connection.execute(
                            f"select c.arrived_on, min(f.arrived_on) from changed as c join {raw_scan(home, told.name)} as f "
                            f"on f.{column.name} = c.{table.key[0]} where f.arrived_on <= c.arrived_on group by 1"
                        ).fetchall()
                    )
        for fact in tables.values():
            if fact.at is None:
                continue
            for column in fact.columns:
                if column.refers == f"{table.name}.{table.key[0]}":
                    note(
                        connection.execute(
                            f"""
                            select c.arrived_on, {_earliest("f." + fact.at, source)}
                            from changed as c join {raw_scan(home, fact.name)} as f on f.{column.name} = c.{table.key[0]}
                            where f.arrived_on <= c.arrived_on group by 1
                            """
                        ).fetchall()
                    )
                    if fact.stitch and column.name == "user_id":
                        said = " ".join(f"or c.content.{bears.name} is not null" for bears in bearing if bears.type == "text")
                        # Events without a user may belong to one whose links are declared, or lie before the first event that names them.
                        note(
                            connection.execute(
                                f"""
                                with links as (
                                    select user_id, min({fact.at}) as happened_at from {raw_scan(home, fact.name)}
                                    where user_id in (select {table.key[0]} from changed) group by 1
                                    union all
                                    select user_id, min(first_seen_at) from {raw_scan(home, "identities")} group by 1
                                )
                                select c.arrived_on, {_earliest("l.happened_at", source)} - {fact.stitch}
                                from changed as c join links as l on l.user_id = c.{table.key[0]}
                                where c.before is not null {said} group by 1
                                """
                            ).fetchall()
                        )
    for fact in tables.values():
        if fact.stitch and {fact.name, "identities"} & source.tables.keys():
            note(_stitched(connection, home, source, nights, fact))
    return reaches


def _versions(
    connection: duckdb.DuckDBPyConnection, home: Home, source: Source, table: Table
) -> list[tuple[date, date | None, date | None]]:
    """(night, earliest date of a fact that its rows bring, take away or change, earliest date that these rows or their versions have).

    A row tells of what happened at `at` and at later moments (contract: `moment`); each has its own columns, and a fact is another one
    where its time or one of these differs from the version before. A row that came once is new in all of them, and begins at `at`.
    """
    assert table.at is not None
    key, raw = ", ".join(table.key), raw_scan(home, table.name)
    is_tonight = "arrived_on in (select night from nights)"
    connection.execute(
        f"""
        create or replace temp table again as
        select {key} from {raw} semi join (select {key} from {raw} where {is_tonight}) as tonight using ({key}) group by all having count(*) > 1
        """
    )
    rows = connection.execute(
        f"select arrived_on, {_earliest(table.at, source)} as day, day from {raw} anti join again using ({key}) where {is_tonight} group by 1"
    ).fetchall()
    facts = []
    for number, (moment, columns) in enumerate(table.moments.items()):
        happened_at = table.at if moment == table.at else f"case when {moment} is not null then greatest({moment}, {table.at}) end"
        values = ", ".join(f"{name} := {_told(table.column(name))}" for name in columns)
        told = f"struct_pack(happened_at := {happened_at}" + (f", {values})" if values else ")")
        facts.append(f"{told if moment == table.at else f'case when {moment} is not null then {told} end'} as fact_{number}")
    names = [f"fact_{number}" for number in range(len(facts))]
    befores = ", ".join(f"lag({name}) over versions as before_{name}" for name in names)
    changed = ", ".join(
        f"case when {name} is distinct from before_{name} then least({name}.happened_at, before_{name}.happened_at) end" for name in names
    )
    # Whom a changed event belonged to may have been linked to its device.
    day = f"least({_earliest('changed_at', source)}, {_earliest('unlinked_at', source)} - {table.stitch})"
    return (
        rows
        + connection.execute(
            f"""
        with told as (
            select arrived_on, source_row, source_name, source_file, {key}, {table.at} as stands_at, {", ".join(facts)}
            from {raw} semi join again using ({key})
        ),
        steps as (
            select arrived_on, lag(arrived_on) over versions as before_on, {", ".join(names)}, {befores},
                min(stands_at) over (partition by {key}) as stands_at
            from told
            window versions as (partition by {key} order by {VERSIONS})
        ),
        changes as (
            select arrived_on, stands_at, least({changed}) as changed_at,
                case when fact_0 is distinct from before_fact_0 then before_fact_0.happened_at end as unlinked_at
            from steps
            where {is_tonight} or before_on in (select night from nights)
        )
        select arrived_on, {day}, {_earliest("stands_at", source)} from changes group by 1
        """
        ).fetchall()
    )


def _told(column: Column) -> str:
    """SQL of a value as past nights see it: words that are alike are one."""
    if not column.alike:
        return column.name
    return f"case when {column.name} in ({', '.join(map(quoted, column.alike))}) then {quoted(column.alike[0])} else {column.name} end"


def _stitched(
    connection: duckdb.DuckDBPyConnection, home: Home, source: Source, nights: list[date], fact: Table
) -> list[tuple[date, date | None]]:
    """(night, earliest date of a row without a user that a first link of the night gives one to) for every night with such a link.

    A declared link counts from at most `stitch` days before the night it arrived in, as int_device_user has it; the first night of a
    shop brings links of any age.
    """
    assert fact.at is not None
    seen, night_before = _business_date("first_seen_at", source), date_literal(min(nights) - timedelta(days=1))
    tonight = "arrived_on in (select night from nights)"
    return connection.execute(
        f"""
        with devices as (
            select device_id from {raw_scan(home, fact.name)} where {tonight} and device_id is not null and user_id is not null
            union
            select device_id from {raw_scan(home, "identities")} where {tonight}
        ),
        -- All nights before these are one: what they knew of a device.
        links as (
            select greatest(arrived_on, {night_before}) as arrived_on, device_id, {_earliest(fact.at, source)} as day
            from {raw_scan(home, fact.name)}
            where user_id is not null and device_id in (select device_id from devices)
            group by 1, 2
            union all
            select greatest(arrived_on, {night_before}), device_id,
                min(case when arrived_on > {date_literal(source.first_night)} then greatest({seen}, arrived_on - {fact.stitch + 1}) else {seen} end)
            from {raw_scan(home, "identities")}
            where device_id in (select device_id from devices)
            group by 1, 2
        ),
        by_night as (select arrived_on, device_id, min(day) as day from links group by 1, 2),
        first_links as (
            select * from (
                select arrived_on, device_id, day, min(day) over before as known from by_night
                window before as (partition by device_id order by arrived_on rows between unbounded preceding and 1 preceding)
            )
            where {tonight} and (known is null or day < known)
        )
        select l.arrived_on, min({_business_date("f." + fact.at, source)}) as day
        from first_links as l
        join {raw_scan(home, fact.name)} as f on f.device_id = l.device_id and f.arrived_on <= l.arrived_on
        where f.user_id is null and f.arrived_on >= (select min(day) - {fact.stitch} from first_links)
            and {_business_date("f." + fact.at, source)} >= l.day - {fact.stitch}
        group by 1
        """
    ).fetchall()
