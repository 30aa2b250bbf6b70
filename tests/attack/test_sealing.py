"""What a sealed database still reaches: nothing but the folders it was given, whatever text it is asked to run."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from userops_pipeline.ground.sealing import seal
from userops_pipeline.rulebook.condition import sealed_database


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder that may be reached, with a link leading out of it, and one beside it that begins with the same name."""
    given = tmp_path_factory.mktemp("rooms") / "lake"
    other = given.with_name("lake2")
    for folder in (given, other):
        folder.mkdir()
        with duckdb.connect() as connection:
            connection.execute(f"copy (select 1 as a) to '{folder}/a.parquet'")
    (given / "link").symlink_to(other)
    return given, other


ATTACKS = [
    "select * from read_text('/etc/hostname')",
    "select * from glob('/etc/*')",
    "select * from '{other}/a.parquet'",
    "select * from '{given}/../lake2/a.parquet'",
    "select * from '{given}/link/a.parquet'",
    "copy (select 1) to '{other}/b.csv'",
    "copy (select 1) to '/dev/stdout'",
    "attach '{other}/b.duckdb' as b",
    "export database '{other}/all'",
    "install httpfs",
    "load httpfs",
    "load '{given}/evil.duckdb_extension'",
    "select * from 'https://127.0.0.1:1/a.parquet'",
    "create secret s (type s3, key_id 'k', secret 's')",
    "set enable_external_access = true",
    "set allowed_directories = ['/']",
    "set allowed_configs = ['allowed_directories']",
    "set lock_configuration = false",
    "reset lock_configuration",
    "set memory_limit = '1TB'",
    "set log_query_path = '{given}/log'",
    "set temp_directory = '{other}'",
    "pragma enable_profiling",
    "call enable_logging()",
    "select * from rooms",  # a variable of Python
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_sealed_database_reaches_nothing_else(rooms: tuple[Path, Path], attack: str) -> None:
    given, other = rooms
    with duckdb.connect() as connection:
        seal(connection, given, changeable=("threads",))
        with pytest.raises(duckdb.Error):
            connection.execute(attack.format(given=given, other=other)).fetchall()
    assert [path.name for path in other.iterdir()] == ["a.parquet"]


def test_a_sealed_database_still_does_its_work(rooms: tuple[Path, Path]) -> None:
    given, _ = rooms
    with duckdb.connect() as connection:
        seal(connection, given, changeable=("threads",))
        connection.execute("set threads = 1")
        connection.execute(
            f"copy (select * from '{given}/*.parquet') to '{given}/out' (format parquet, partition_by (a), write_partition_columns true)"
        )
        assert connection.execute(f"select count(*) from '{given}/out/*/*.parquet'").fetchone() == (1,)


def test_conditions_are_typed_where_no_folder_is_reached(rooms: tuple[Path, Path]) -> None:
    given, _ = rooms
    with sealed_database() as database, pytest.raises(duckdb.PermissionException):
        database.execute(f"select * from '{given}/a.parquet'")
