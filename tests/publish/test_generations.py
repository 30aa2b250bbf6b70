"""Promises of a generation: whole or not at all, the same content the same name, and nothing changed unnoticed."""

from __future__ import annotations

import os
import stat
import time
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas
import pytest

from userops_pipeline.ground.home import Home
from userops_pipeline.ground.verdicts import CheckResult
from userops_pipeline.publish import dictionary, generation_files, generations
from userops_pipeline.publish.dictionary import ColumnDoc, TableDoc
from userops_pipeline.publish.generations import GenerationError, PublishedTable

PASSED = CheckResult(name="assert_every_user_has_one_stage", passed=True, rows_checked=100, rows_failed=0)
TABLES = (
    PublishedTable("marts", "user_lifecycle", ("user_id",)),
    PublishedTable("marts", "user_orders"),
    PublishedTable("exports", "audiences", ("audience", "user_id")),
)
DOCS = (
    TableDoc(
        "user_lifecycle", "One row per user: the stage.", "生命周期", "lifecycle", (ColumnDoc("stage", "", "It's the stage", "阶段"),)
    ),
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home of [a]=shop's")


@pytest.fixture
def warehouse(tmp_path: Path) -> duckdb.DuckDBPyConnection:
    return build(tmp_path / "warehouse.duckdb")


def build(path: Path, *, users: int = 100, shift: int = 0) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(path))
    connection.execute("create schema if not exists marts; create schema if not exists exports")
    connection.execute(
        f"create or replace table marts.user_lifecycle as select 'u' || i as user_id, 'stage ' || (i + {shift}) % 8 as stage, "
        f"date '2017-01-01' + (i % 90)::int as since_on from range({users}) as r(i) order by hash(i)"
    )
    connection.execute(
        "create or replace table marts.user_orders as select 'o' || i % 300 as order_id, (i / 7)::decimal(18, 2) as amount, "
        "null::varchar as note from range(400) as r(i)"
    )
    connection.execute(
        "create or replace table exports.audiences as select 'win_back' as audience, 'u1' as user_id, '+4912345' as contact_point"
    )
    return connection


def publish(home: Home, warehouse: duckdb.DuckDBPyConnection, **changes: Any) -> generations.Generation:
    arguments: dict[str, Any] = {
        "tables": TABLES,
        "as_of": date(2017, 12, 31),
        "window_from": date(2017, 12, 31),
        "first_on": date(2017, 1, 1),
        "sources": ["complete_journey"],
        "business_zone": "America/New_York",
        "checks": [PASSED],
        "config_hash": "c0ffee",
        "rulebook_json": "{}",
        "docs": DOCS,
    }
    return generations.publish(home, warehouse, **{**arguments, **changes})


def ask(home: Home, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(home.published / "userops.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def sentences(home: Home) -> str:
    return "\n".join(finding.sentence for finding in generations.doctor(home))


def test_published_tables_are_read_with_plain_duckdb_and_pandas(home: Home, warehouse: duckdb.DuckDBPyConnection) -> None:
    generation = publish(home, warehouse)
    assert ask(home, "select stage, count(*) from user_lifecycle group by stage order by stage")[0] == ("stage 0", 13)
    assert len(pandas.read_parquet(home.published / "current" / "user_orders.parquet")) == 400
    assert ask(home, "select generation_id, as_of, business_zone from generation") == [
        (generation.id, date(2017, 12, 31), "America/New_York")
    ]
    assert [row[0] for row in ask(home, "show tables")] == [
        "data_dictionary",
        "generation",
        "published_tables",
        "user_lifecycle",
        "user_orders",
    ]
    assert generations.current(home) == generation
    assert generations.verify(home.published / "current") == generation.manifest
    assert generations.doctor(home) == []


def test_generation_counts_what_lies_beside_it(home: Home, warehouse: duckdb.DuckDBPyConnection) -> None:
    publish(home, warehouse, checks=[PASSED, CheckResult(name="volume", passed=False, severity="warn", rows_failed=3)])
    (shown,) = ask(home, "select table_count, row_count, check_passed_count, check_warned_count, check_failed_count from generation")
    tables = ask(home, "select table_name, row_count from published_tables order by 1")
    assert [name for name, _ in tables] == ["data_dictionary", "user_lifecycle", "user_orders"]
    assert shown == (3, sum(rows for _, rows in tables), 1, 1, 0)


def test_columns_carry_their_descriptions_into_the_views(home: Home, warehouse: duckdb.DuckDBPyConnection) -> None:
    publish(home, warehouse)
    assert ask(home, "select comment from duckdb_columns() where table_name = 'user_lifecycle' and column_name = 'stage'") == [
        ("阶段 · It's the stage",)
    ]
    assert ask(home, "select comment from duckdb_views() where view_name = 'user_lifecycle'") == [
        ("生命周期 · One row per user: the stage.",)
    ]
    assert ask(home, "select data_type, label from data_dictionary where table_name = 'user_lifecycle' and position = 2") == [
        ("VARCHAR", "阶段")
    ]


def test_views_are_written_in_a_storage_version_old_duckdb_reads(home: Home, warehouse: duckdb.DuckDBPyConnection) -> None:
    publish(home, warehouse)
    views = home.published / "userops.duckdb"
    with duckdb.connect() as memory:
        memory.execute(f"attach '{str(views).replace(chr(39), chr(39) * 2)}' as views (read_only)")
        tags = memory.execute("select tags from duckdb_databases() where database_name = 'views'").fetchone()
    assert tags is not None and "v1.0.0" in str(tags[0])
    assert not views.with_name("userops.duckdb.wal").exists()
    assert stat.S_IMODE(views.stat().st_mode) == 0o400


def test_exports_are_private_and_not_among_the_views(home: Home, warehouse: duckdb.DuckDBPyConnection) -> None:
    generation = publish(home, warehouse)
    assert stat.S_IMODE((generation.path / "exports").stat().st_mode) == 0o700
    assert stat.S_IMODE((generation.path / "exports" / "audiences.parquet").stat().st_mode) == 0o600
    assert ("audiences",) not in ask(home, "show tables")
    assert ask(home, "select count(*) from data_dictionary where column_name = 'contact_point'") == [(0,)]


def test_same_content_is_the_same_generation_whatever_the_row_order(home: Home, warehouse: duckdb.DuckDBPyConnection) -> None:
    first = publish(home, warehouse)
    warehouse.execute("create or replace table marts.user_lifecycle as select * from marts.user_lifecycle order by hash(user_id || 'x')")
    second = publish(home, warehouse, window_from=date(2017, 1, 1), manifest_extra={"run": "another"})
    assert second == first
    assert len(generations.list_generations(home)) == 1


def test_same_content_gives_the_same_bytes_in_another_home(home: Home, warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    first = publish(home, warehouse)
    warehouse.execute("set threads = 1")
    second = publish(Home(tmp_path / "other"), warehouse)
    differ = {name for name, file in first.manifest.files.items() if file.sha256 != second.manifest.files[name].sha256}
    assert differ <= {"generation.parquet"}  # it holds the time of writing


def test_the_order_in_which_checks_ended_makes_no_other_generation(home: Home, warehouse: duckdb.DuckDBPyConnection) -> None:
    checks = [PASSED, CheckResult(name="volume", passed=True), CheckResult(name="a late one", passed=True)]
    assert publish(home, warehouse, checks=checks).id == publish(home, warehouse, checks=checks[::-1]).id
    assert publish(home, warehouse, checks=checks).id != publish(home, warehouse, checks=checks[:2]).id


@pytest.mark.parametrize(
    "change",
    [
        "update marts.user_lifecycle set stage = 'other' where user_id = 'u7'",
        "insert into marts.user_orders select * from marts.user_orders where order_id = 'o1' limit 1",
        "update marts.user_orders set note = 'null' where order_id = 'o2'",
        "alter table marts.user_orders rename note to remark",
        "alter table marts.user_orders alter amount type decimal(18, 4)",
        "update exports.audiences set contact_point = '+4912346'",
    ],
)
def test_any_change_of_content_is_another_generation(home: Home, warehouse: duckdb.DuckDBPyConnection, change: str) -> None:
    first = publish(home, warehouse)
    warehouse.execute(change)
    second = publish(home, warehouse)
    assert second.id != first.id
    assert second.manifest.content_hashes() != first.manifest.content_hashes()


def test_failed_blocking_check_publishes_nothing(home: Home, warehouse: duckdb.DuckDBPyConnection) -> None:
    first = publish(home, warehouse)
    before = snapshot(home)
    warehouse.execute("delete from marts.user_lifecycle")
    failed = CheckResult(name="assert_users_did_not_vanish", passed=False, rows_failed=100)
    with pytest.raises(GenerationError, match="1 blocking check.*assert_users_did_not_vanish.*stays"):
        publish(home, warehouse, checks=[PASSED, failed])
    with pytest.raises(GenerationError, match="no check looked at this night"):
        publish(home, warehouse, checks=[])
    assert snapshot(home) == before
    assert generations.current(home) == first


@pytest.mark.parametrize(
    ("tables", "sentence"),
    [
        ([PublishedTable("marts", "nobody_built_this")], "not in the warehouse"),
        ([PublishedTable("intermediate", "int_contact_point")], "only schemas marts and exports"),
        ([PublishedTable("marts", "generation")], "its name is taken"),
        ([PublishedTable("marts", "user_orders"), PublishedTable("marts", "user_orders")], "its name is taken"),
        ([PublishedTable("marts", "user_orders", ("nothing",))], "cannot be ordered by nothing"),
        ([PublishedTable("marts", "nested")], r"marts.nested.tags is VARCHAR\[\]"),
        ([PublishedTable("marts", "zoned")], "marts.zoned.at is TIMESTAMP WITH TIME ZONE"),
    ],
)
def test_table_that_cannot_be_published_changes_nothing(
    home: Home, warehouse: duckdb.DuckDBPyConnection, tables: list[PublishedTable], sentence: str
) -> None:
    warehouse.execute("create table marts.nested as select ['a'] as tags; create table marts.zoned as select now() as at")
    publish(home, warehouse)
    before = snapshot(home)
    with pytest.raises(GenerationError, match=sentence):
        publish(home, warehouse, tables=tables)
    assert snapshot(home) == before


def test_full_disk_leaves_what_is_published(home: Home, warehouse: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(home, warehouse)
    before = snapshot(home)
    warehouse.execute("delete from marts.user_orders")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for step in ("_write_manifest", "_write_views"):
        with monkeypatch.context() as patch:
            patch.setattr(generations, step, full)
            with pytest.raises(GenerationError, match="No space left on device.*stays"):
                publish(home, warehouse)
        assert {name: entry for name, entry in snapshot(home).items() if name in before} == before
        assert ask(home, "select count(*) from user_orders") == [(400,)]


@pytest.mark.parametrize("name", ["user_lifecycle.parquet", "exports/audiences.parquet", "rulebook.json", "manifest.json"])
def test_one_flipped_bit_refuses_the_generation(home: Home, warehouse: duckdb.DuckDBPyConnection, name: str) -> None:
    generation = publish(home, warehouse, rulebook_json='{"stages": ["contact"]}')
    path = generation.path / name
    for position in range(5, path.stat().st_size, max(path.stat().st_size // 15, 1)):
        sound = path.read_bytes()
        path.write_bytes(sound[:position] + bytes([sound[position] ^ 1]) + sound[position + 1 :])
        with pytest.raises(GenerationError):
            generations.verify(generation.path)
        path.write_bytes(sound)
    generations.verify(generation.path)


def test_missing_extra_or_copied_files_refuse_the_generation(home: Home, warehouse: duckdb.DuckDBPyConnection) -> None:
    generation = publish(home, warehouse)
    extra = generation.path / "exports" / "more.parquet"
    extra.write_bytes(b"")
    with pytest.raises(GenerationError, match="exports/more.parquet does not belong to it"):
        generations.verify(generation.path)
    extra.unlink()
    os.rename(generation.path / "user_orders.parquet", home.root / "kept")
    with pytest.raises(GenerationError, match="user_orders.parquet is missing"):
        generations.verify(generation.path)
    os.rename(home.root / "kept", generation.path / "user_orders.parquet")
    renamed = generation.path.rename(generation.path.with_name("2018-01-01-0000000000"))
    with pytest.raises(GenerationError, match="copied or renamed"):
        generations.verify(renamed)
    (renamed / "manifest.json").unlink()
    with pytest.raises(GenerationError, match="has no manifest.json"):
        generations.verify(renamed)


@pytest.mark.parametrize(("change", "sentence"), [({"verdict": "FAIL"}, "not PASS"), ({"schema_version": 99}, "schema version 99")])
def test_manifest_that_is_not_pass_or_of_another_version_is_refused(
    home: Home, warehouse: duckdb.DuckDBPyConnection, change: dict[str, Any], sentence: str
) -> None:
    generation = publish(home, warehouse)
    generations._write_manifest(generation.path, generation.manifest.model_copy(update=change))
    with pytest.raises(GenerationError, match=sentence):
        generations.verify(generation.path)


def test_publishing_again_mends_a_corrupted_generation_in_place(home: Home, warehouse: duckdb.DuckDBPyConnection) -> None:
    generation = publish(home, warehouse)
    (generation.path / "user_orders.parquet").write_bytes(b"torn")
    (generation.path / "stray").write_bytes(b"")
    assert publish(home, warehouse).id == generation.id
    generations.verify(generation.path)
    assert generations.doctor(home) == []


def test_activate_goes_back_and_forth(home: Home, warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    first = publish(home, warehouse)
    second = publish(home, build(tmp_path / "second.duckdb", users=50), as_of=date(2018, 1, 1))
    assert [(generation.id, generation.is_current) for generation in generations.list_generations(home)] == sorted(
        [(second.id, True), (first.id, False)], reverse=True
    )
    assert ask(home, "select count(*) from user_lifecycle") == [(50,)]
    assert generations.activate(home, first.id) == first
    assert ask(home, "select count(*) from user_lifecycle") == [(100,)]
    assert generations.activate(home, second.id) == second
    with pytest.raises(GenerationError, match=f"no generation 'yesterday'.*{first.id}"):
        generations.activate(home, "yesterday")
    with pytest.raises(GenerationError, match="no generation"):
        generations.activate(home, "../generations/" + first.id)
    (first.path / "user_orders.parquet").unlink()
    with pytest.raises(GenerationError, match="user_orders.parquet is missing"):
        generations.activate(home, first.id)
    current = generations.current(home)
    assert current is not None and current.id == second.id


def test_deleted_current_generation_fails_closed_and_the_doctor_names_another(
    home: Home, warehouse: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    first = publish(home, warehouse)
    second = publish(home, build(tmp_path / "second.duckdb", users=50), as_of=date(2018, 1, 1))
    os.rename(second.path, home.root / "gone")
    with pytest.raises(GenerationError, match=f"{second.id} is gone"):
        generations.current(home)
    with pytest.raises(duckdb.Error):
        ask(home, "select count(*) from user_lifecycle")
    assert f"{second.id} is missing or cannot be trusted. Run `userops generations activate {first.id}`" in sentences(home)
    generations.activate(home, first.id)
    assert generations.doctor(home) == []


def test_doctor_sees_corruption_stale_wal_leftovers_and_lagging_views(
    home: Home, warehouse: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    assert generations.doctor(home) == [] and generations.current(home) is None and generations.list_generations(home) == []
    first = publish(home, warehouse)
    views = (home.published / "userops.duckdb").read_bytes()
    second = publish(home, build(tmp_path / "second.duckdb", users=50), as_of=date(2018, 1, 1))
    (home.published / "generations" / ".building-1").mkdir()
    (home.published / "userops.duckdb.wal").write_bytes(b"stale")
    (first.path / "user_orders.parquet").write_bytes(b"torn")
    (home.published / "userops.duckdb").chmod(0o644)
    (home.published / "userops.duckdb").write_bytes(views)
    seen = sentences(home)
    assert f"{first.id} cannot be trusted: user_orders.parquet has changed" in seen
    assert "userops.duckdb.wal lies beside" in seen
    assert "generations/.building-1 was left by a publish" in seen
    assert f"shows generation {first.id} while {second.id} is current. Run `userops generations activate {second.id}`" in seen
    (home.published / "current").unlink()
    assert f"No generation is current. Run `userops generations activate {second.id}`" in sentences(home)
    (home.published / "userops.duckdb").unlink()
    publish(home, warehouse)
    assert generations.doctor(home) == []


def test_retention_keeps_the_last_ones_the_recently_current_and_the_current(home: Home, warehouse: duckdb.DuckDBPyConnection) -> None:
    def night(day: int) -> generations.Generation:
        return publish(home, warehouse, as_of=date(2018, 1, day), keep=3)

    def age(generation: generations.Generation, hours: float) -> None:
        moment = time.time() - hours * 3600
        os.utime(generation.path, (moment, moment))

    made = [night(day) for day in range(1, 6)]
    assert len(generations.list_generations(home)) == 5  # all were current less than 48 h ago
    for position, generation in enumerate(made):
        age(generation, 47 if position == 0 else 100 - position)
    made.append(night(6))
    kept = {generation.id for generation in generations.list_generations(home)}
    assert kept == {made[0].id, made[4].id, made[5].id}  # outgoing and recently current, and the current one
    for generation in made:
        if generation.id in kept:
            age(generation, 1000)
    generations.activate(home, made[0].id)
    publish(home, warehouse, as_of=date(2018, 1, 6), keep=1)
    assert made[0].id in {generation.id for generation in generations.list_generations(home)}  # current a moment ago


def test_content_hash_ignores_order_but_sees_duplicates_types_and_nulls() -> None:
    with duckdb.connect() as memory:

        def content(query: str) -> tuple[int, str]:
            return generation_files.content_of(memory, f"({query})")

        base = content("select * from (values (1, 'a'), (2, null)) as t(id, name)")
        assert base == content("select * from (values (2, null), (1, 'a')) as t(id, name)")
        for other in (
            "select * from (values (1, 'a'), (2, 'null')) as t(id, name)",
            "select * from (values (1, 'a'), (2, null), (2, null), (2, null)) as t(id, name)",
            "select * from (values (1, 'a'), (1, 'a')) as t(id, name)",
            "select id::bigint as id, name from (values (1, 'a'), (2, null)) as t(id, name)",
            "select * from (values (1, null), (2, 'a')) as t(id, name)",
        ):
            assert content(other) != base
        assert base[1] == "f7decee9f7266eced8fc3dfae1306197"  # a new DuckDB must not change it


def test_dictionary_pages_lie_in_the_generation(home: Home, warehouse: duckdb.DuckDBPyConnection) -> None:
    generation = publish(home, warehouse)
    page = (home.published / "current" / "dictionary.html").read_text(encoding="utf-8")
    assert generation.id in page and "生命周期" in page and "100 rows" in page
    assert "It's the stage" in (generation.path / "dictionary.md").read_text(encoding="utf-8")
    assert dictionary.describe({"nodes": {}}, ["user_lifecycle"], {}) == []


def snapshot(home: Home) -> dict[str, tuple[int, int]]:
    """Size and time of every published file by name."""
    return {
        str(path.relative_to(home.published)): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in home.published.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }
