"""Who can read what a night writes: nobody but its owner, and in what is published nobody finds an address.

Here stands every attack on the modes of files and on addresses in published columns. Add a place or a way of writing that was met.
Must not test what may be read on purpose beyond USEROPS_SHARE_PUBLISHED.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from userops_pipeline.ground.home import Home, UserOpsError, share
from userops_pipeline.ground.leaks import addresses_in, without_values
from userops_pipeline.intake.gate import _prepare
from userops_pipeline.publish.generation_files import GenerationError, PublishedTable, write_tables

NIGHT = "2026-03-02"


def open_to_others(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in [root, *root.rglob("*")] if not path.is_symlink() and path.stat().st_mode & 0o077]


@pytest.fixture
def careless_umask() -> Iterator[None]:
    before = os.umask(0o000)
    yield
    os.umask(before)


def test_a_command_of_a_careless_user_writes_for_its_owner_alone(tmp_path: Path, careless_umask: None) -> None:
    command = [
        sys.executable,
        "-m",
        "userops_pipeline.cli",
        "--home",
        str(tmp_path / "home"),
        "quarantine",
        "replay",
        "--source",
        "sample_shop",
    ]
    assert subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0
    assert list((tmp_path / "home").rglob("*"))
    assert open_to_others(tmp_path / "home") == []


def test_simulated_shops_are_private_too(tmp_path: Path, careless_umask: None) -> None:
    command = [sys.executable, "-m", "userops_pipeline.cli", "simulate", "--users", "30", "--days", "2", "--out", str(tmp_path / "shop")]
    assert subprocess.run(command, capture_output=True, timeout=120, check=False).returncode == 0
    assert open_to_others(tmp_path / "shop") == []


def test_folders_that_an_earlier_version_left_open_are_closed_and_a_root_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    for name in ("lake", "warehouse", "exports", "dagster", "published"):
        (tmp_path / "home" / name).mkdir(parents=True)
        (tmp_path / "home" / name).chmod(0o755)
    (tmp_path / "home").chmod(0o755)
    with Home(tmp_path / "home").writer_lock("a run"):
        pass
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "home").iterdir() if path.is_dir()} == {0o700}
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("said", "folder", "file", "root"), [("", 0o700, 0o600, 0o700), ("group", 0o750, 0o640, 0o710), ("everyone", 0o755, 0o644, 0o711)]
)
def test_what_is_published_is_shared_only_where_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, folder: int, file: int, root: int
) -> None:
    monkeypatch.setenv("USEROPS_SHARE_PUBLISHED", said)
    home = Home(tmp_path / "home")
    home.make()
    home.published.mkdir()
    home.exports.mkdir()
    home.make()
    table = home.published / "a.parquet"
    table.touch(0o600)
    share(table)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (home.published, table, home.root, home.exports)]
    assert modes == [folder, file, root, 0o700]


def test_a_word_that_shares_nothing_known_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USEROPS_SHARE_PUBLISHED", "1")
    with pytest.raises(UserOpsError, match="it is `group`, `everyone`, or not set"):
        Home(tmp_path / "home").make()


# -- addresses in what everybody reads -----------------------------------------------------------------------------

ADDRESSES = [
    "ann@example.com",
    "Ann.O'Neil+shop@mail.example.co.uk",
    "用户@例子.公司",
    "ann＠example.com",
    "mailto:ann@example.com",
    "/thanks?e=ann%40example.com&x=1",
    "paid (ann@example.com)",
    "+8613812345678",
    "+49 (151) 123-45-678",
    "tel:+1 202 555 0143",
    "u/%2B8613812345678",
]
ORDINARY = [
    "u123",
    "13812",
    "2026-03-02 10:00:00+08:00",
    "6901234567892",
    "1f0a5c1e-0000-4000-8000-13812345678a",
    "@home",
    "icon@2x",
    "C++ 20",
    "50+ 2024-01-01",
    "a+b=12345678",
    "1+1",
    "tea @ 3.5",
    "茶 + 杯",
]


def found(*columns: list[str]) -> dict[str, int]:
    with duckdb.connect() as connection:
        names = [f"c{number}" for number in range(len(columns))]
        lists = ", ".join(f"unnest(?::varchar[]) as {name}" for name in names)
        connection.execute(f"create table t as select {lists}", list(columns))
        return dict(addresses_in(connection, "t", names))


def test_every_way_of_writing_an_address_is_seen_and_no_ordinary_word() -> None:
    assert found(*([text, None] for text in ADDRESSES)) == {f"c{number}": 1 for number in range(len(ADDRESSES))}
    assert found(*([text, None] for text in ORDINARY)) == {}


def test_bare_mobile_numbers_are_seen_and_numbers_given_out_in_turn_are_not() -> None:
    mobiles = ["13812345678", "15900001111", "18677778888"]
    in_turn = [str(13_000_000_000 + number) for number in range(500)]
    barcodes = [f"{number * 7919 % 10**11:011}" for number in range(1, 500)]
    assert found(mobiles, ["138-1234-5678"], in_turn, barcodes) == {"c0": 3, "c1": 1}


def test_a_published_column_that_holds_an_address_stops_the_publish_and_is_named_without_it(tmp_path: Path) -> None:
    with duckdb.connect() as warehouse:
        warehouse.execute("create schema marts; create schema exports")
        warehouse.execute("create table marts.user_tiers as select 'ann@canary.example' as user_id, 1 as rank")
        warehouse.execute("create table exports.audiences as select 'ann@canary.example' as match_value")
        (tmp_path / "exports").mkdir()
        write_tables(tmp_path, warehouse, [PublishedTable("exports", "audiences")])
        with pytest.raises(GenerationError, match=r"column marts.user_tiers.user_id holds .* in 1 row\(s\)") as refusal:
            write_tables(tmp_path, warehouse, [PublishedTable("marts", "user_tiers")])
    assert "canary" not in str(refusal.value)
    assert "Let the mapping hash it" in str(refusal.value)


def test_the_gate_sees_an_id_that_is_an_address_and_says_the_column(shop: Any, tmp_path: Path) -> None:
    shop.drop(
        NIGHT, "users.csv", "user_id,registered,name,email,phone,birth\nann@canary.example,2026-03-01 09:00:00,x,ann@canary.example,,\n"
    )
    shop.drop(NIGHT, "orders.csv", "order_id,user_id,at,amount,currency,status\no1,u1,2026-03-02 10:00:00,1.00,CNY,completed\n")
    shop.run(NIGHT)
    said, _ = _prepare(tmp_path / "gate.duckdb", shop.home, [shop.source], [date.fromisoformat(NIGHT)], date.fromisoformat(NIGHT))
    assert said == ["users.user_id: 1 values look like e-mail addresses or phone numbers"]
    with duckdb.connect(str(tmp_path / "gate.duckdb")) as connection:
        assert connection.execute("select holds_address from users").fetchall() == [(1,)]
        assert connection.execute("select holds_address from orders").fetchall() == [(0,)]


@pytest.mark.parametrize(
    "query",
    [
        "select cast(v as integer) from (values ('ann@canary.example')) as t(v)",
        "select cast(v as timestamp) from (values ('ann@canary.example')) as t(v)",
        "select cast(v as date) from (values ('canary')) as t(v)",
        "select cast(v as decimal(3, 1)) from (values (49151123456.7)) as t(v)",
        "create table u as select 'ann@canary.example' as v; create unique index i on u(v); insert into u select v from u",
        "select strptime(v, '%Y') from (values ('canary')) as t(v)",
        "select json_extract(v, '$.a') from (values ('canary {')) as t(v)",
    ],
)
def test_what_the_database_says_of_a_value_is_told_without_it(query: str) -> None:
    with duckdb.connect() as connection, pytest.raises(duckdb.Error) as error:
        connection.execute(query).fetchall()
    told = without_values(str(error.value))
    assert told and not [word for word in ("canary", "ann@", "49151123456") if word in told], told
