"""Contribution and opinion leaders against the simulated shop that knows who invites accounts of their own, and who agreed to be asked.

Add a comparison when the simulation knows something more of the community; it has no true influence of one user on another, so none is scored.
Must not read a threshold of the rules: what is counted is counted again from the files, what is true is in the truth tables.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import duckdb
import pytest

from tests.dbt_runs import run_dbt
from userops_pipeline.build.warehouse import EVERYTHING, Clock, write_clock
from userops_pipeline.ground import contract
from userops_pipeline.simulate import Settings, simulate

pytestmark = pytest.mark.soak  # a community simulated and built: dear
NIGHTS = 40  # less than any window, so that everything counts
FIRST_ON = date(2026, 1, 1)
COLUMNS = {
    "users": "user_id, registered_at",
    "identities": "device_id, user_id, first_seen_at",
    "events": "event_id, user_id, device_id, event_at, event_name, content_id",
    "orders": "order_id, user_id, ordered_at, status, amount, discount_amount, currency",
    "content": "content_id, user_id, kind, topic, parent_id, created_at",
    "referrals": "referral_id, inviter_id, invitee_id, step, step_at, generation",
    "consents": "user_id, contact_point, channel, purpose, state, basis, changed_at",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    """The tables of the community, built from a simulated shop without dirt; what is true of its users is the view `truth`."""
    folder = tmp_path_factory.mktemp("shop")
    out, path = folder / "files", folder / "userops.duckdb"
    simulate(Settings(2500, NIGHTS, seed=4, out=out, start=FIRST_ON, events_per_user=80, orders_per_user=4))
    with duckdb.connect(str(path)) as con:
        con.execute("create schema raw")
        for table in contract.tables().values():
            con.execute(f"create table raw.{table.name} as {contract.empty_select(table)}")
        con.execute("create table raw.load_accounting (source_name varchar, table_name varchar, arrived_on date, rows_in bigint, rows_kept bigint, rows_quarantined bigint, rows_duplicate bigint)")  # fmt: skip
        as_of = FIRST_ON + timedelta(days=NIGHTS - 1)
        write_clock(con, Clock(as_of, EVERYTHING, EVERYTHING, as_of, "Asia/Shanghai", full=True))
        for name, columns in COLUMNS.items():
            kind = "csv" if name == "referrals" else "parquet"
            con.execute(
                f"insert into raw.{name} ({columns}, arrived_on, source_name, source_file, source_row) "
                f"select {columns}, cast(split_part(filename, '/', -2) as date), 'demo_shop', 'f', row_number() over () "
                f"from read_{kind}('{out}/drops/*/{name}.{kind}', filename = true)"
            )
    chosen = ["+user_contribution", "+kol", "+expert_directory", "assert_contributions_add_up", "+contribution_concentration"]
    run_dbt(
        path, "build", "--select", *chosen, "--exclude", "resource_type:unit_test", "--indirect-selection", "cautious", target=folder / "t"
    )
    con = duckdb.connect(str(path))
    con.execute(
        f"create temp view truth as select cast(user_id as varchar) as user_id, cast(inviter_id as varchar) as inviter_id, is_inviting_fraud, "
        f"is_invited_fraud from '{out}/truth/people.parquet' where user_id is not null"
    )
    return con


def rows(shop: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return shop.execute(sql).fetchall()


def test_the_screens_hold_back_every_false_account_and_no_other(shop: duckdb.DuckDBPyConnection) -> None:
    found = rows(
        shop,
        "select t.is_invited_fraud, r.screen is not null, count(*) from intermediate.int_referral r join truth t on t.user_id = r.invitee_id "
        "group by all order by all",
    )
    assert [row[:2] for row in found] == [(False, False), (True, True)]
    assert min(row[2] for row in found) >= 20


def test_who_invites_accounts_of_their_own_gets_nothing_of_it(shop: duckdb.DuckDBPyConnection) -> None:
    """By invitations alone the first place would be a fraud's; by what counts none of them has a point, and none is an opinion leader."""
    standings = rows(
        shop,
        "select t.is_inviting_fraud, c.invitee_count, c.activated_invitee_count + c.paid_invitee_count, c.share_from_referrals, p.kol_tier "
        "from marts.user_contribution c join truth t using (user_id) join marts.user_profile p using (user_id)",
    )
    gangs = [row for row in standings if row[0] and row[1] > 0]
    honest = [row for row in standings if not row[0]]
    assert len(gangs) >= 3
    assert max(row[1] for row in gangs) > max(row[1] for row in honest)
    assert {row[2:] for row in gangs} == {(0, 0, None)}
    assert max(row[3] for row in honest) > 0
    assert {row[4] for row in honest} > {None}


def test_the_audience_is_what_the_files_say(shop: duckdb.DuckDBPyConnection) -> None:
    """Counted again from the raw rows: different others, who share no device, behind everything done with what a user wrote."""
    again = rows(
        shop,
        """
        with acts as (select user_id, parent_id from raw.content where kind <> 'post'),
        pairs as (
            select distinct p.user_id as owner_id, a.user_id from acts a join raw.content p on p.content_id = a.parent_id where p.user_id <> a.user_id
        ),
        apart as (
            select * from pairs where not exists (
                select 1 from raw.identities i join raw.identities j using (device_id) where i.user_id = pairs.owner_id and j.user_id = pairs.user_id
            )
        )
        select owner_id, count(*) from apart group by 1 order by 1
        """,
    )
    told = rows(shop, "select user_id, audience_count from marts.user_contribution where audience_count > 0 order by 1")
    assert len(told) > 20
    assert told == again


def test_only_who_agreed_to_be_asked_is_contactable(shop: duckdb.DuckDBPyConnection) -> None:
    decided = rows(
        shop,
        "select decision, bool_and(user_id in (select user_id from raw.consents where purpose = 'service' and channel = 'in_app')), count(*) "
        "from marts.expert_directory group by 1 order by 1",
    )
    assert {row[:2] for row in decided} >= {("contactable", True), ("no_consent", False)}
