"""A mapping's SQL as an attacker would write it: one select over declared files is read, and all else refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from userops_pipeline.ground.home import UserOpsError
from userops_pipeline.intake.mappings import checked_sql, files_read
from userops_pipeline.intake.source import SOURCES_DIR, Source, load_source

DEEP = "select " + "(" * 3000 + "1" + ")" * 3000 + " from users"

REFUSED = {
    "select content as user_id from read_text('/etc/passwd')": "the table function read_text()",
    "select * from users) ; copy (select 1) to '/tmp/x.csv' ; select * from (users": "is not SQL",
    "select * from users; copy users to '/tmp/x.csv'": "is not a select",
    "select * from users; select 1": "2 statements",
    "copy users to '/tmp/x.csv'": "is not a select",
    "attach '/tmp/other.duckdb' as other": "is not a select",
    "pragma database_list": "is not a select",
    "set threads = 1": "is not a select",
    "install httpfs": "is not a select",
    "load httpfs": "is not a select",
    "call query('select 1')": "is not a select",
    "explain select * from users": "is not a select",
    "create table t as select * from users": "is not a select",
    "with gone as (delete from users returning *) select * from gone": "a delete query",
    "with made as (insert into users values (1) returning *) select * from made": "a insert query",
    "with recursive n as (select 1 as i union all select i + 1 from n) select * from n": "a recursive cte",
    "select * from '/etc/passwd.csv'": "the table '/etc/passwd.csv'",
    'select * from "../../other/orders.parquet"': "the table '../../other/orders.parquet'",
    "select * from users.csv": "the table users.csv",
    "select * from main.users": "the table main.users",
    "select * from information_schema.tables": "the table information_schema.tables",
    "select * from duckdb_secrets()": "the table function duckdb_secrets()",
    "select * from duckdb_settings": "the table 'duckdb_settings'",
    "select * from pragma_database_size()": "the table function pragma_database_size()",
    "select * from query('select 1')": "the table function query()",
    "select * from query_table('users')": "the table function query_table()",
    "select * from glob('/etc/*')": "the table function glob()",
    "select * from sniff_csv('/etc/passwd')": "the table function sniff_csv()",
    "select * from which_secret('s3://x', 's3')": "the table function which_secret()",
    "select * from users, lateral (select * from read_blob('/etc/shadow'))": "the table function read_blob()",
    "select (select content from read_text('/etc/passwd')) as name from users": "the table function read_text()",
    "select * from users where exists (from 'x.parquet')": "the table 'x.parquet'",
    "select * from users order by (select max(size) from glob('/*'))": "the table function glob()",
    "select * replace ((from read_text('/etc/passwd')) as name) from users": "the table function read_text()",
    "select sum(1) over (order by (select size from read_text('/etc/passwd'))) from users": "the table function read_text()",
    "select list_transform([1], lambda x: (select size from read_text('/etc/passwd'))) from users": "the table function read_text()",
    "select * from users using sample 10": "a sample",
    "from (show tables)": "a show ref",
    "from (describe users)": "a show ref",
    "summarize users": "a show ref",
    "select current_setting('home_directory') from users": "the function current_setting()",
    "select getenv('USEROPS_WEBHOOK_TOKEN') from users": "the function getenv()",
    "select getvariable('x') from users": "the function getvariable()",
    "select write_log('x') from users": "the function write_log()",
    "select json_serialize_plan('select * from read_text(''/etc/passwd'')') from users": "the function json_serialize_plan()",
    "select main.lower(name) from users": "the function lower()",
    "select now() from users": "the function now()",
    "select current_date from users": "the clock (current_date)",
    "select random() from users": "the function random()",
    "select age(timestamp '2026-01-01') from users": "the function age()",
    "select current_localtime() from users": "the function current_localtime()",
    "select sleep_ms(100000) from users": "the function sleep_ms()",
    "select pg_sleep(100000) from users": "the function pg_sleep()",
    "select $secret from users": "a parameter",
    "with hidden as (select 1) select * from (with users2 as (select 1) select * from users2), users2": "the table 'users2'",
    "": "is empty",
    "-- nothing": "is empty",
    DEEP: "",
}


def shop_with(folder: Path, sql: str) -> Source:
    text = (SOURCES_DIR / "sample_shop" / "source.yml").read_text(encoding="utf-8").split("\ntables:")[0]
    (folder / "source.yml").write_text(text + "\ntables: {users: {}}\n", encoding="utf-8")
    (folder / "users.sql").write_text(sql, encoding="utf-8")
    return load_source(f"{folder}/")


@pytest.mark.parametrize(("sql", "sentence"), REFUSED.items(), ids=range(len(REFUSED)))
def test_what_is_not_one_select_over_declared_files_is_refused_by_name(tmp_path: Path, sql: str, sentence: str) -> None:
    with pytest.raises(UserOpsError) as refused:
        checked_sql(shop_with(tmp_path, sql), "users")
    assert "/users.sql " in str(refused.value)
    assert sentence in str(refused.value)
    assert "passwd.csv" not in str(refused.value) or "passwd.csv" in sentence


def test_a_comment_in_the_last_line_swallows_nothing_behind_it(tmp_path: Path) -> None:
    assert checked_sql(shop_with(tmp_path, "select * from users -- all of them ;"), "users").endswith("\n")


def test_a_mapping_may_reckon_with_numbers_and_moments(tmp_path: Path) -> None:
    """What depends on the session's zone alone; DuckDB 2.0.1 calls that something else than the same answer always."""
    sql = "select -1 - 2 as n, strftime((timestamptz '2026-01-01 00:00:00+00' - interval 1 day) at time zone 'Asia/Shanghai', '%Y') as y from users"
    assert checked_sql(shop_with(tmp_path, sql), "users").strip() == sql


def test_a_mapping_reads_the_files_it_names_however_it_writes_them(tmp_path: Path) -> None:
    sql = """
        with Users as (select * from USERS), other as (select order_no from "orders")
        select * from users join other using (order_no) where exists (select 1 from Refunds)
        union all select * from order_lines
    """
    assert files_read(shop_with(tmp_path, sql), "users") == {"users", "orders", "refunds", "order_lines"}
