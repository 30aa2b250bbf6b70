"""The summary: what a person wants to know of a night in one screen, read from the published tables.

Here lives which figures those are; add one when everybody asks for it first. Must not compute a business figure: marts do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from userops_pipeline.ground.home import Home, UserOpsError
from userops_pipeline.publish import generations

LARGEST_TAGS = 10


@dataclass(frozen=True)
class Group:
    name: str
    label: str
    users: int
    share: float


@dataclass(frozen=True)
class ListCount:
    name: str
    tool: str
    in_segment: int
    exported: int


@dataclass(frozen=True)
class Load:
    table: str
    rows_in: int
    kept: int
    quarantined: int
    duplicates: int


@dataclass(frozen=True)
class Summary:
    generation: str
    as_of: date
    sources: str
    users: int
    stages: list[Group]
    tags: list[Group]
    lists: list[ListCount]
    loads: list[Load]
    example_user: str | None
    without_file: dict[str, str]
    """By source and kind of file, the nights that are published without one that was expected."""
    review: Path | None
    """The page of the night, where it has been written."""


def summarise(home: Home) -> Summary:
    """The current generation's figures.

    Raises:
        UserOpsError: nothing is published yet.
    """
    database = home.published / "userops.duckdb"
    if not database.is_file():
        raise UserOpsError("Nothing is published yet; run every night with `userops run`, or one with `userops nightly --date D`.")
    current = generations.current(home)
    with duckdb.connect(str(database), read_only=True) as connection:

        def rows(sql: str) -> list[tuple]:
            return connection.execute(sql).fetchall()

        [(generation, as_of, sources)] = rows("select generation_id, as_of, sources from generation")
        [(users, example)] = rows(
            "select count(*), (select user_id from user_profile order by spend_amount desc, user_id limit 1) from user_profile"
        )
        return Summary(
            generation=generation,
            as_of=as_of,
            sources=sources,
            users=users,
            stages=[
                Group(*row)
                for row in rows(
                    "select stage, label, user_count, coalesce(user_share, 0)::double from lifecycle_kpi_daily "
                    "where night_on = (select max(night_on) from lifecycle_kpi_daily) order by position"
                )
            ],
            tags=[
                Group(*row)
                for row in rows(
                    f"select tag, label, user_count, coalesce(user_share, 0)::double from tag_sizes order by user_count desc, tag limit {LARGEST_TAGS}"
                )
            ],
            lists=[
                ListCount(*row)
                for row in rows("select audience, tool, in_segment, exported from audience_sizes order by exported desc, audience")
            ],
            loads=[
                Load(table, *(int(count) for count in counts))
                for table, *counts in rows(
                    "select table_name, sum(rows_in), sum(rows_kept), sum(rows_quarantined), sum(rows_duplicate) from load_accounting "
                    "group by table_name having sum(rows_in) > 0 order by sum(rows_in) desc, table_name"
                )
            ],
            example_user=example,
            without_file=current.manifest.extra.get(generations.WITHOUT_FILE, {}) if current else {},
            review=page if (page := home.review_of(as_of)).is_file() else None,
        )
