"""Reach: how far back the rows that arrived in a night change what was known, as the earliest business date they touch.

Here lives every way in which an arrival restates the past, read from the conformed files alone.
Add a way here when a model begins to draw a conclusion backwards; must not write: conform notes the date in the night's mark (nights).
"""

from __future__ import annotations

from datetime import date, timedelta

import duckdb

from userops_pipeline.core import contract
from userops_pipeline.core.contract import Table
from userops_pipeline.core.home import Home
from userops_pipeline.core.lake import raw_scan
from userops_pipeline.core.reading import date_literal, quoted
from userops_pipeline.core.source import Source


def _business_date(value: str, source: Source) -> str:
    return f"cast(timezone({quoted(source.business_zone)}, timezone('UTC', {value})) as date)"


def _earliest(value: str, source: Source) -> str:
    """SQL aggregate: the least business date of many times, converting one of them instead of all.

    Dates follow times, but for the hour that is lived twice when a clock is set back over midnight, so an hour later is looked at too.
    """
    return f"least({_business_date(f'min({value})', source)}, {_business_date(f'min({value}) + interval 1 hour', source)})"


def reach(connection: duckdb.DuckDBPyConnection, home: Home, source: Source, nights: list[date]) -> dict[date, date]:
    """Earliest business date that each night's arrivals change, where earlier than the night itself.

    Four ways to reach back: a row dated earlier, a row whose older version was dated earlier, a dimension row whose history-bearing
    value is new or changed, which touches every fact that refers to it and every night it was told on (contract: `versions`), and a
    device whose first user was not known before, which gives that user the device's earlier events (contract: `stitch`). What changes
    a link between device and user reaches as many days further.
    """
    windows: dict[date, date] = {}

    def note(rows: list[tuple[date, date | None]]) -> None:
        for night, day in rows:
            if day is not None and day < windows.get(night, night):
                windows[night] = day

    tables = contract.tables()
    for name in source.tables:
        table = tables[name]
        key = ", ".join(table.key)
        if table.at is not None:
            note(
                connection.execute(
                    f"""
                    with tonight as (
                        select arrived_on, {key}, {table.at} as happened_at from {raw_scan(home, table.name)} where arrived_on in (select night from nights)
                    ),
                    older as (
                        select arrived_on, {key}, {table.at} as happened_at from {raw_scan(home, table.name)} semi join tonight using ({key})
                    )
                    select arrived_on, {_earliest("happened_at", source)} from tonight group by 1
                    union all
                    select t.arrived_on, {_earliest("o.happened_at", source)} - {table.stitch}
                    from tonight as t join older as o using ({key})
                    where o.arrived_on < t.arrived_on group by 1
                    """
                ).fetchall()
            )
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
                select arrived_on, {key}, {values} as content,
                    lag({values}) over (partition by {key} order by arrived_on, source_name, source_file, source_row) as before
                from {raw_scan(home, table.name)} semi join tonight using ({key})
            )
            select * from versions where before is distinct from content and arrived_on in (select night from nights)
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
    return windows


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
