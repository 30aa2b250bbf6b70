"""Promises of a generation while processes die and readers read: old or new, never mixed, and the next run heals."""

from __future__ import annotations

import multiprocessing
import signal
import time
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pandas
import pytest

from userops_pipeline.ground.home import Home
from userops_pipeline.ground.verdicts import CheckResult
from userops_pipeline.publish import generations
from userops_pipeline.publish.generations import Generation, PublishedTable

SPAWN = multiprocessing.get_context("spawn")
TABLES = ("user_profile", "user_tags", "user_segments")
CRASH_POINTS = ("publish:after_files", "publish:after_rename", "publish:after_symlink", "publish:after_views")
PUBLISHES = 20
READERS = 4
USERS = 5000


def publish_night(root: Path, night: int) -> Generation:
    """Publish three tables whose every row says which night it is from."""
    with duckdb.connect() as warehouse:
        warehouse.execute("create schema marts; create schema exports")
        for table in TABLES:
            warehouse.execute(f"create table marts.{table} as select i as user_id, {night} as night from range({USERS}) as r(i)")
        warehouse.execute(f"create table exports.audiences as select i as user_id, {night} as night from range(10) as r(i)")
        return generations.publish(
            Home(root),
            warehouse,
            tables=[*(PublishedTable("marts", table, ("user_id",)) for table in TABLES), PublishedTable("exports", "audiences")],
            as_of=date.fromordinal(date(2017, 1, 1).toordinal() + night),
            window_from=date(2017, 1, 1),
            first_on=date(2017, 1, 1),
            sources=["shop"],
            business_zone="UTC",
            checks=[CheckResult(name="looked", passed=True)],
            config_hash="",
            rulebook_json="{}",
        )


def nights_in_one_join(connection: duckdb.DuckDBPyConnection) -> set[int]:
    rows = connection.execute(
        "select min(a.night), max(a.night), min(b.night), max(b.night), min(c.night), max(c.night), count(*) "
        "from user_profile as a join user_tags as b using (user_id) join user_segments as c using (user_id)"
    ).fetchall()
    return {*rows[0][:6], *(() if rows[0][6] == USERS else (-1,))}


def read_until(root: Path, kind: str, ready: Any, stop: Any, results: Any) -> None:
    """Read over and over; report queries, errors and observations of more than one night."""
    queries, errors, mixed, seen = 0, [], 0, set()
    views = str(root / "published" / "userops.duckdb")
    held = duckdb.connect(views, read_only=True) if kind == "held connection" else None
    ready.release()
    while not stop.is_set():
        try:
            if kind == "pandas":
                directory = (root / "published" / "current").resolve()
                nights = {night for table in TABLES for night in pandas.read_parquet(directory / f"{table}.parquet")["night"].unique()}
                queries += len(TABLES)
            else:
                connection = held or duckdb.connect(views, read_only=True)
                nights = nights_in_one_join(connection) | nights_in_one_join(connection)
                queries += 2
                if connection is not held:
                    connection.close()
            mixed += len(nights) != 1
            seen |= {int(night) for night in nights}
        except Exception as error:
            errors.append(f"{kind}: {error}")
    results.put((kind, queries, errors, mixed, seen))


def test_readers_never_see_an_error_or_a_mixture(tmp_path: Path) -> None:
    publish_night(tmp_path, 0)
    ready, stop, results = SPAWN.Semaphore(0), SPAWN.Event(), SPAWN.Queue()
    kinds = ("held connection", "new connection", "new connection", "pandas")
    readers = [SPAWN.Process(target=read_until, args=(tmp_path, kind, ready, stop, results)) for kind in kinds]
    assert len(readers) == READERS
    for reader in readers:
        reader.start()
    for _ in readers:
        assert ready.acquire(timeout=60)
    for night in range(1, PUBLISHES + 1):
        publish_night(tmp_path, night)
    time.sleep(0.3)
    stop.set()
    reports = [results.get(timeout=60) for _ in readers]
    for reader in readers:
        reader.join()
    for kind, queries, errors, mixed, seen in reports:
        assert (kind, errors, mixed) == (kind, [], 0)
        assert queries >= PUBLISHES
        assert seen == {0} if kind == "held connection" else len(seen) > 3


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_kill_anywhere_leaves_old_or_new_and_the_next_publish_heals(point: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, clean = Home(tmp_path / "killed"), Home(tmp_path / "clean")
    for root in (home.root, clean.root):
        publish_night(root, 1)
    publish_night(clean.root, 2)
    monkeypatch.setenv("USEROPS_KILL_AT", point)
    doomed = SPAWN.Process(target=publish_night, args=(home.root, 2))
    doomed.start()
    doomed.join()
    assert doomed.exitcode == -signal.SIGKILL
    monkeypatch.delenv("USEROPS_KILL_AT")

    current = generations.current(home)
    assert current is not None
    generations.verify(current.path)
    with duckdb.connect(str(home.published / "userops.duckdb"), read_only=True) as connection:
        assert nights_in_one_join(connection) in ({1}, {2})

    publish_night(home.root, 2)
    assert generations.doctor(home) == []
    assert contents(home) == contents(clean)
    assert files(home) == files(clean)


def contents(home: Home) -> list[tuple[str, bool, dict[str, str]]]:
    return [(found.id, found.is_current, found.manifest.content_hashes()) for found in generations.list_generations(home)]


def files(home: Home) -> set[str]:
    return {str(path.relative_to(home.published)) for path in home.published.rglob("*")}
