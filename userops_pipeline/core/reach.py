"""Reach: how far back the rows that arrived in a night change what was known, as the earliest business date they touch.

Here lives every way in which an arrival restates the past, read from the conformed files alone.
Add a way here when a model begins to draw a conclusion backwards; must not write: conform notes the date in the night's manifest.
"""

from __future__ import annotations

from datetime import date

import duckdb

from userops_pipeline.core import contract
from userops_pipeline.core.contract import Table
from userops_pipeline.core.home import Home
from userops_pipeline.core.lake import raw_scan
from userops_pipeline.core.reading import date_literal, quoted
from userops_pipeline.core.source import Source


def _business_date(value: str, source: Source) -> str:
    return f"cast(timezone({quoted(source.business_zone)}, timezone('UTC', {value})) as date)"


def reach(connection: duckdb.DuckDBPyConnection, home: Home, source: Source, nights: list[date]) -> dict[date, date]:
    """Earliest business date that each night's arrivals change, where earlier than the night itself.

    Four ways to reach back: a row dated earlier, a row whose older version was dated earlier, a dimension row whose history-bearing
    value is new or changed, which touches every fact that refers to it, and a device whose first user was not known before, which
    gives that user the device's earlier events (contract: `stitch`). What changes a link between device and user reaches as many days
    further.
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
            day = _business_date(table.at, source)
            note(
                connection.execute(
                    f"""
                    with tonight as (
                        select arrived_on, {key}, {day} as day from {raw_scan(home, table.name)} where arrived_on in (select night from nights)
                    ),
                    older as (
                        select arrived_on, {key}, {day} as day from {raw_scan(home, table.name)} semi join tonight using ({key})
                    )
                    select arrived_on, min(day) from tonight group by 1
                    union all
                    select t.arrived_on, min(o.day) - {table.stitch}
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
        for fact in tables.values():
            if fact.at is None:
                continue
            for column in fact.columns:
                if column.refers == f"{table.name}.{table.key[0]}":
                    note(
                        connection.execute(
                            f"""
                            select c.arrived_on, min({_business_date("f." + fact.at, source)})
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
                                    select user_id, min({_business_date(fact.at, source)}) as day from {raw_scan(home, fact.name)}
                                    where user_id is not null group by 1
                                    union all
                                    select user_id, min({_business_date("first_seen_at", source)}) from {raw_scan(home, "identities")} group by 1
                                )
                                select c.arrived_on, min(l.day) - {fact.stitch}
                                from changed as c join links as l on l.user_id = c.{table.key[0]}
                                where c.before is not null {said} group by 1
                                """
                            ).fetchall()
                        )
    for fact in tables.values():
        if fact.stitch and {fact.name, "identities"} & source.tables.keys():
            note(_stitched(connection, home, source, fact))
    return windows


def _stitched(connection: duckdb.DuckDBPyConnection, home: Home, source: Source, fact: Table) -> list[tuple[date, date | None]]:
    """(night, earliest date of a row without a user that a first link of the night gives one to) for every night with such a link.

    A declared link counts from at most `stitch` days before the night it arrived in, as int_device_user has it; the first night of a
    shop brings links of any age.
    """
    assert fact.at is not None
    day, seen = _business_date(fact.at, source), _business_date("first_seen_at", source)
    return connection.execute(
        f"""
        with links as (
            select arrived_on, device_id, {day} as day from {raw_scan(home, fact.name)} where device_id is not null and user_id is not null
            union all
            select arrived_on, device_id,
                case when arrived_on > {date_literal(source.first_night)} then greatest({seen}, arrived_on - {fact.stitch + 1}) else {seen} end
            from {raw_scan(home, "identities")}
        ),
        by_night as (
            select arrived_on, device_id, min(day) as day from links
            where device_id in (select device_id from links where arrived_on in (select night from nights))
            group by 1, 2
        ),
        first_links as (
            select * from (
                select arrived_on, device_id, day, min(day) over before as known from by_night
                window before as (partition by device_id order by arrived_on rows between unbounded preceding and 1 preceding)
            )
            where arrived_on in (select night from nights) and (known is null or day < known)
        )
        select l.arrived_on, min(f.day)
        from first_links as l
        join (
            select arrived_on, device_id, {day} as day from {raw_scan(home, fact.name)} where user_id is null and device_id is not null
                and arrived_on >= (select min(day) - {fact.stitch} from first_links)
        ) as f on f.device_id = l.device_id and f.day >= l.day - {fact.stitch} and f.arrived_on <= l.arrived_on
        group by 1
        """
    ).fetchall()
