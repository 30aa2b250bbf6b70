"""Identity, exclusion and sessions from files to tables: nights one by one, in any split, and all at once give the same rows.

Add a kind of late knowledge to the shop (who somebody is, who is left out) when it could make a split differ.
Must go through landing and conform: how far a night reaches back is what is tested, and conform says that.
"""

from __future__ import annotations

import csv
import random
import shutil
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
import yaml

from tests.dbt_runs import run_dbt
from userops_pipeline.build.warehouse import finish_build, prepare_build
from userops_pipeline.ground.home import Home
from userops_pipeline.intake.conform import conform
from userops_pipeline.intake.landing import land
from userops_pipeline.intake.source import load_source

PROJECT = Path(__file__).parents[2] / "dbt_project"
FIRST = date(2026, 3, 1)
NIGHTS = 12
COLUMNS = {
    "users": ["user_id", "registered_at", "excluded_as", "merged_into"],
    "identities": ["device_id", "user_id", "first_seen_at"],
    "events": ["event_id", "user_id", "device_id", "event_at", "event_name", "page", "campaign_id", "is_bot"],
    "orders": ["order_id", "user_id", "ordered_at", "status", "amount", "currency"],
}
COMPARED = (
    "intermediate.int_user_merge",
    "intermediate.int_robot",
    "intermediate.int_exclusion",
    "intermediate.int_device_user",
    "intermediate.int_identity",
    "intermediate.int_event",
    "intermediate.int_sessions",
    "intermediate.int_user_day",
    "intermediate.int_user",
    "intermediate.int_order",
    "marts.sessions_daily",
    "marts.identity_changes_daily",
)


Rows = dict[tuple[int, str], list[list[str]]]


def no_rows() -> Rows:
    return {(night, name): [] for night in range(NIGHTS) for name in COLUMNS}


def calm(rows: Rows) -> None:
    """Two devices nobody knows for days: one is named by an event on the eighth night, the other by a link that arrives on the tenth."""
    for night in range(7):
        at = datetime.combine(FIRST + timedelta(night), datetime.min.time()) + timedelta(hours=9)
        for device in ("lone", "quiet"):
            rows[night, "events"].append([f"{device}{night}", "", device, str(at), "view", "/", "", ""])
    for user in ("anna", "ben"):
        rows[0, "users"].append([user, f"{FIRST} 01:00:00", "", ""])
    rows[8, "events"].append(["lone8", "anna", "lone", f"{FIRST + timedelta(8)} 09:00:00", "view", "/", "", ""])
    rows[10, "identities"].append(["quiet", "ben", f"{FIRST} 00:00:00"])


def lively(rows: Rows, seed: int) -> None:
    """Twelve nights of shared devices, late events, late links, changed minds, merges in chains and circles, robots."""
    chance = random.Random(seed)
    registered = {f"u{number}": max(0, number - 3) for number in range(12)}
    for user, night in registered.items():
        at = datetime.combine(FIRST + timedelta(night), datetime.min.time()) - timedelta(hours=chance.randrange(12))
        rows[night, "users"].append([user, str(at), "internal" if user == "u4" else "", ""])
        for later in range(night + 1, NIGHTS):
            if chance.random() < 0.08:
                kind = chance.choice(["test", "", "", ""])
                rows[later, "users"].append([user, str(at), kind, chance.choice(["", f"u{chance.randrange(12)}", "u99"])])
    for number in range(900):
        night, delay = chance.randrange(NIGHTS), chance.choice([0, 0, 0, 0, 1, 2, 3])
        # Half of what happens is near midnight in Shanghai, 16:00 UTC, where dates and sessions meet.
        minutes = chance.choice([chance.randrange(1440), 900 + chance.randrange(120)])
        at = datetime.combine(FIRST + timedelta(night - 1), datetime.min.time()) + timedelta(minutes=minutes, seconds=chance.randrange(60))
        device, user = f"d{chance.randrange(12)}", ""  # nobody is ever seen on the last three
        if chance.random() < 0.08 and night > 2 and int(device[1:]) < 9:
            user = f"u{chance.randrange(12)}"
        arrived = min(night + delay, NIGHTS - 1)
        event = [f"e{number}", user, device if chance.random() < 0.95 or not user else "", str(at),
                 chance.choice(["view", "detail", "cart", "pay", "heartbeat"]), f"/{chance.randrange(4)}", chance.choice(["", "", "c1", "c2"]),
                 "true" if number in (500, 501) else ""]  # fmt: skip
        rows[arrived, "events"].append(event)
        if chance.random() < 0.02 and arrived + 1 < min(NIGHTS, night + 3):
            rows[arrived + 1, "events"].append([event[0], f"u{chance.randrange(12)}", *event[2:]])  # delivered again, with another user
        if number % 30 == 0 and user:
            rows[arrived, "orders"].append([f"o{number}", user, str(at), "completed", "10", "CNY"])
    for night, user, into in ((6, "u8", "u9"), (9, "u9", "u10"), (7, "u5", "u6"), (10, "u6", "u5")):  # a chain and a circle
        rows[night, "users"].append([user, f"{FIRST} 00:00:00", "", into])
    for _ in range(8):
        night = chance.randrange(1, NIGHTS)
        at = datetime.combine(FIRST + timedelta(chance.randrange(-20, night)), datetime.min.time())
        rows[night, "identities"].append([f"d{chance.randrange(9)}", f"u{chance.randrange(12)}", str(at)])


def write(root: Path, rows: Rows) -> None:
    for (night, name), found in rows.items():
        path = root / (FIRST + timedelta(night)).isoformat() / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS[name])
            writer.writerows(found)


def source_folder(folder: Path, drops: Path) -> Path:
    folder.mkdir()
    document = {
        "about": "A shop of the tests",
        "business_zone": "Asia/Shanghai",
        "zone": "UTC",
        "first_night": FIRST.isoformat(),
        "root": {"path": str(drops)},
        "files": {name: {"path": "{night}/" + name + ".csv", "columns": columns} for name, columns in COLUMNS.items()},
        "tables": {name: {"each": name} for name in COLUMNS},
    }
    (folder / "source.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    for name, columns in COLUMNS.items():
        (folder / f"{name}.sql").write_text(f"select {', '.join(columns)}, _file, _row, _night from {name}\n", encoding="utf-8")
    return folder


def run(folder: Path, home: Home, nights: Sequence[int]) -> None:
    """Land, conform and build one run of these nights."""
    source = load_source(str(folder))
    dates = [FIRST + timedelta(night) for night in nights]
    land(home, source, dates)
    conform(home, source, dates)
    prepare_build(home, [source], dates[-1])
    run_dbt(home.warehouse, "run", "--select", *(f"+{table.split('.')[1]}" for table in COMPARED), target=home.dbt_target)
    finish_build(home, dates[-1])


def content(home: Home) -> dict[str, list[tuple]]:
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        con.execute("set timezone = 'UTC'")
        return {table: con.execute(f"select * from {table} order by all").fetchall() for table in COMPARED}


def differences(expected: dict[str, list[tuple]], found: dict[str, list[tuple]]) -> dict[str, set[tuple]]:
    """Rows that only one of the two has, by table."""
    return {table: set(rows) ^ set(found[table]) for table, rows in expected.items() if rows != found[table]}


def test_a_first_user_gets_a_weeks_earlier_events_on_a_later_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = no_rows()
    calm(rows)
    write(tmp_path / "drops", rows)
    folder = source_folder(tmp_path / "shop", tmp_path / "drops")
    once, nightly = Home(tmp_path / "once"), Home(tmp_path / "nightly")
    run(folder, once, range(11))
    expected = content(once)
    users = {row[0]: row[1] for row in expected["intermediate.int_event"] if row[1]}
    # Eight nights on, seven days back; a link counts from seven days before the night it arrived in, and again seven days back.
    assert users == {**{f"lone{night}": "anna" for night in (1, 2, 3, 4, 5, 6, 8)}, **{f"quiet{night}": "ben" for night in range(7)}}
    run(folder, nightly, range(8))
    shutil.copytree(nightly.root, tmp_path / "blind")
    run(folder, nightly, [8])
    run(folder, nightly, [9, 10])
    assert differences(expected, content(nightly)) == {}
    # Where a night does not say that it reaches back, the split shows.
    monkeypatch.setattr("userops_pipeline.intake.reach._stitched", lambda *_: [])
    run(folder, Home(tmp_path / "blind"), [8, 9, 10])
    assert "intermediate.int_event" in differences(expected, content(Home(tmp_path / "blind")))


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_who_somebody_is_and_when_they_came_is_the_same_in_any_split_of_the_nights(tmp_path: Path, seed: int) -> None:
    rows = no_rows()
    calm(rows)
    lively(rows, seed)
    write(tmp_path / "drops", rows)
    folder = source_folder(tmp_path / "shop", tmp_path / "drops")
    once, nightly = Home(tmp_path / "once"), Home(tmp_path / "nightly")
    run(folder, once, range(NIGHTS))
    for nights in ([0], [1, 2], [3], [4], [5, 6, 7], [8], [9, 10], [11]):
        run(folder, nightly, nights)
    expected = content(once)
    assert differences(expected, content(nightly)) == {}
    # The shop is worth the comparison: everything that may come late is in it.
    assert {row[-1] for row in expected["intermediate.int_event"]} == {"stated", "device", "stitched", None}
    assert {row[2] for row in expected["intermediate.int_exclusion"]} >= {"internal", "test", "declared_robot"}
    assert {row[2] for row in expected["intermediate.int_user_merge"]} == {True, False}
    assert max(row[-1] for row in expected["intermediate.int_identity"]) > 1
    with duckdb.connect(str(once.warehouse), read_only=True) as con:
        dates = con.sql(
            "select count(*) from intermediate.int_sessions where cast(ended_at + interval 8 hour as date) > started_on"
        ).fetchall()
    assert dates[0][0] > 5
