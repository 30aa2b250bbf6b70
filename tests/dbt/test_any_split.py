"""Properties over small simulated shops, dirty and late: however the nights, the rows and the files are cut, the tables are the same.

Add a way of cutting when a run could meet it. One example of each runs with every test run, two hundred with `make soak`.
Must not know a number of any table: tables are compared with each other.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from compiled import FIRST, Bench, Model, differing
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from userops_pipeline.ground import contract
from userops_pipeline.ground.home import PROJECT_DIR
from userops_pipeline.intake.source import Source, load_source

MOST_DAYS = 7
FEW = settings(max_examples=1, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


shops = st.fixed_dictionaries(
    {
        "users": st.integers(10, 40),
        "days": st.integers(3, MOST_DAYS),
        "seed": st.integers(0, 10_000),
        "dirt": st.sampled_from([0.0, 0.03, 0.1]),
    }
)


# -- any split of the nights --------------------------------------------------------------------------------------------


@st.composite
def cut_shops(draw: Callable) -> tuple[dict[str, Any], list[tuple[int, int]], int | None]:
    """A shop, its nights in parts, and how many of them are built at once: all, or fewer, in legs. Now and then a part is run again, or a
    past night is built once more in between."""
    shop = draw(shops)
    days = shop["days"]
    cuts = sorted(draw(st.sets(st.integers(1, days - 1), max_size=days - 1)))
    bounds = [0, *cuts, days]
    parts = [(first, last - 1) for first, last in itertools.pairwise(bounds)]
    again = draw(st.none() | st.integers(0, len(parts) - 1))
    if again is not None and again < len(parts) - 1:
        parts.insert(draw(st.integers(again + 1, len(parts) - 1)), parts[again])
    return shop, parts, draw(st.none() | st.integers(1, days))


def any_split(bench: Bench, cut: tuple[dict[str, Any], list[tuple[int, int]], int | None]) -> None:
    shop, parts, nights_at_once = cut
    drops = bench.simulated(**shop)
    once = bench.run(drops, [(0, shop["days"] - 1)], "once")
    assert differing(once, bench.run(drops, parts, "parts", nights_at_once)) == []


@FEW
@example(cut=({"users": 30, "days": 6, "seed": 3, "dirt": 0.1}, [(0, 2), (3, 5)], 2))
@given(cut=cut_shops())
def test_nights_in_any_split_give_the_same_tables(bench: Bench, cut: Any) -> None:
    any_split(bench, cut)


@pytest.mark.soak
@MANY
@given(cut=cut_shops())
def test_nights_in_any_split_give_the_same_tables_many_times(bench: Bench, cut: Any) -> None:
    any_split(bench, cut)


# -- rows that change ---------------------------------------------------------------------------------------------------

# A row of each table whose rows happen in time is told on the night it is of, and again with one value changed: nothing else moves, so a
# night that reaches less far than the value counts leaves a table as it was.
HAPPENING = {name: table for name, table in contract.tables().items() if table.at}
TOLD_ON, LAST_TOLD = 1, 4  # nights after which an event or a payment would be too late
USERS_TOLD: list[str] = ["u0", "u1", "u2"]
Told = dict[str, str]  # value by column; what is not there is empty


def moment(night: int, *, is_evening: bool = False) -> str:
    """A time of this business date in New York, in UTC: on the next day there, if it is in the evening."""
    return f"{FIRST + timedelta(days=night + is_evening)} {'03:30:00' if is_evening else '17:00:00'}"


def values_of(table: contract.Table, column: contract.Column, night: int) -> list[str]:
    """What the column may say in a row told on this night; nothing where it need not say anything."""
    if column.refers == "users.user_id" or column.name == "invitee_id":
        found = [*USERS_TOLD]
    elif column.only or column.known:
        found = [*column.only, *column.known]
    else:
        found = {
            "timestamp": [moment(day, is_evening=day % 2 == 0) for day in range(TOLD_ON, night + 1)],
            "date": [str(FIRST + timedelta(days=day)) for day in range(TOLD_ON, night + 3)],
            "boolean": ["true", "false"],
            "share": ["0.5", "1"],
            "text": ["CNY"] if column.format == "currency" else ["a", "b"],
        }.get(column.type, ["9", "3", "60"])
    return found if column.required or column.name == "user_id" else ["", *found]


def first_told(table: contract.Table, number: int) -> Told:
    row = {column.name: values_of(table, column, TOLD_ON)[0] for column in table.columns if column.required}
    row |= {
        column.name: "CNY" if column.format else "9" for column in table.columns if column.type == "money" or column.format == "currency"
    }
    row |= {name: f"{table.name} {number}" for name in table.key if table.column(name).format == "id" and name != "user_id"}
    row |= {"user_id": USERS_TOLD[number]} if "user_id" in {column.name for column in table.columns} else {}
    row[table.at or ""] = moment(TOLD_ON)
    return row


def telling(bench: Bench, changes: list[tuple[int, str, int, Told]]) -> Source:
    """A shop of three users whose files are the contract's own tables; each change is (night, table, which row, what it says now)."""
    folder = bench.folder / "telling"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "drops").mkdir(parents=True)
    tables = {"users": contract.tables()["users"], **HAPPENING}
    document = {
        "about": "A shop whose rows change",
        "business_zone": "America/New_York",
        "zone": "UTC",
        "first_night": str(FIRST),
        "root": {"path": str(folder / "drops")},
        "files": {
            name: {"path": f"{{night}}/{name}.csv", "columns": [column.name for column in table.columns]} for name, table in tables.items()
        },
        "tables": {name: {"each": name} for name in tables},
    }
    (folder / "source.yml").write_text(json.dumps(document), encoding="utf-8")
    said: dict[tuple[int, str], list[Told]] = {
        (0, "users"): [{"user_id": user, "registered_at": moment(0), "channel": "ad"} for user in USERS_TOLD],
        **{(TOLD_ON, name): [first_told(table, number) for number in range(2)] for name, table in HAPPENING.items()},
    }
    now = {(name, number): first_told(table, number) for name, table in HAPPENING.items() for number in range(2)}
    for night, name, number, change in sorted(changes, key=lambda change: change[0]):
        now[name, number] = {**now[name, number], **change}
        said.setdefault((night, name), []).append(now[name, number])
    for name, table in tables.items():
        names = [column.name for column in table.columns]
        (folder / f"{name}.sql").write_text(f"select {', '.join(names)}, _file, _row, _night from {name}", encoding="utf-8")
        for night in range(LAST_TOLD + 1):
            file = folder / "drops" / str(FIRST + timedelta(days=night)) / f"{name}.csv"
            file.parent.mkdir(exist_ok=True)
            with file.open("w", encoding="utf-8", newline="") as out:
                writer = csv.DictWriter(out, names, restval="")
                writer.writeheader()
                writer.writerows(said.get((night, name), []))
    return load_source(str(folder))


def told_anew(bench: Bench, changes: list[tuple[int, str, int, Told]], parts: list[tuple[int, int]]) -> list[str]:
    """Tables that differ when the changes come night by night."""
    source = telling(bench, changes)
    return differing(bench.run_source(source, [(0, LAST_TOLD)], "once"), bench.run_source(source, parts, "parts"))


# What a night may reach less far for than to the row's own date: a moment, what is dated by one, words that are alike.
SHORT = [
    (3, "orders", 0, {"status": "completed", "paid_at": moment(2)}),
    (3, "incentives", 0, {"claimed_at": moment(2)}),
    (4, "incentives", 0, {"used_at": moment(3, is_evening=True), "order_id": "orders 0", "cost": "5"}),
    (3, "incentives", 1, {"used_at": moment(3)}),
    (4, "incentives", 1, {"used_at": ""}),
    (3, "touches", 0, {"delivered_at": moment(1), "opened_at": moment(2), "clicked_at": moment(3)}),
    (4, "touches", 0, {"clicked_at": moment(2, is_evening=True), "converted_at": moment(3)}),
    (4, "touches", 1, {"unsubscribed_at": moment(3), "complained_at": moment(3), "bounced_at": moment(2)}),
    (3, "tickets", 0, {"first_reply_at": moment(2), "resolved_at": moment(2), "satisfaction": "2", "outcome": "fixed"}),
    (4, "tickets", 0, {"satisfaction": "9"}),
]


@st.composite
def changed_shops(draw: Callable) -> tuple[list[tuple[int, str, int, Told]], list[tuple[int, int]]]:
    """Some values of some rows change, one night or another, and the nights are run in any parts."""
    changes = []
    for _ in range(draw(st.integers(1, 5))):
        name, night = draw(st.sampled_from(sorted(HAPPENING))), draw(st.integers(TOLD_ON + 1, LAST_TOLD))
        column = draw(st.sampled_from([column for column in HAPPENING[name].columns if column.name not in HAPPENING[name].key]))
        changes.append(
            (night, name, draw(st.integers(0, 1)), {column.name: draw(st.sampled_from(values_of(HAPPENING[name], column, night)))})
        )
    cuts = sorted({TOLD_ON + 1, *draw(st.sets(st.integers(TOLD_ON + 2, LAST_TOLD)))})
    parts = [(first, last - 1) for first, last in itertools.pairwise([0, *cuts, LAST_TOLD + 1])]
    return changes, [*parts, *draw(st.sampled_from([[], [parts[-1], parts[-1]], [parts[0], (0, LAST_TOLD)]]))]


@settings(FEW, phases=[Phase.explicit])
@example(told=(SHORT, [(0, 2), (3, 3), (4, 4)]))
@given(told=changed_shops())
def test_a_value_that_changes_reaches_as_far_back_as_it_counts(bench: Bench, told: Any) -> None:
    assert told_anew(bench, *told) == []


@pytest.mark.soak
@MANY
@given(told=changed_shops())
def test_any_value_that_changes_reaches_as_far_back_as_it_counts_many_times(bench: Bench, told: Any) -> None:
    assert told_anew(bench, *told) == []


# What a contract may not say: by whose date, or as what word, a value would count that counts otherwise.
WRONG = {
    "the amount of an order by its payment": ("orders", "amount", {"dated_by": "paid_at"}, {"amount": "60", "paid_at": moment(3)}),
    "an order sent back is one delivered": ("orders", "status", {"alike": HAPPENING["orders"].column("status").only}, {"status": "refunded"}),
    "a click by the day the address was found dead": ("touches", "clicked_at", {"moment": False, "dated_by": "bounced_at"}, {"clicked_at": moment(2)}),
}  # fmt: skip


@pytest.mark.parametrize("wrong", [pytest.param(wrong, marks=[pytest.mark.soak] if number else []) for number, wrong in enumerate(WRONG)])
def test_a_contract_that_dates_a_value_wrongly_is_found(bench: Bench, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    name, column, said, change = WRONG[wrong]
    table = HAPPENING[name]
    columns = tuple(known.model_copy(update=said) if known.name == column else known for known in table.columns)
    changed = {**contract.tables(), name: table.model_copy(update={"columns": columns})}
    monkeypatch.setattr(contract, "tables", lambda: changed)
    assert told_anew(bench, [(LAST_TOLD, name, 0, change)], [(0, LAST_TOLD - 1), (LAST_TOLD, LAST_TOLD)]) != []


# -- any order of rows, any number of files -----------------------------------------------------------------------------


def shuffled(drops: Path, out: Path, seed: int, split: bool) -> Path:
    """A copy of the drops with the rows of every file in another order, and, if asked, every other file in two."""
    chance = random.Random(seed)
    for file in sorted((drops / "drops").rglob("*.*")):
        target = out / file.relative_to(drops)
        target.parent.mkdir(parents=True, exist_ok=True)
        halves = [target, target.with_name(target.name.replace(".", "_2.", 1))] if split and chance.random() < 0.5 else [target]
        if file.suffix == ".parquet":
            with duckdb.connect() as connection:
                connection.execute(f"create temp table rows as select *, row_number() over () as _row from read_parquet('{file}')")
                for number, half in enumerate(halves):
                    connection.execute(
                        f"copy (select * exclude (_row) from rows where _row % {len(halves)} = {number} order by hash(_row + {seed}), _row) "
                        f"to '{half}' (format parquet)"
                    )
        elif file.suffix == ".gz":
            shutil.copy(file, target)
        else:
            content = file.read_bytes()
            lines = content.splitlines(keepends=True)
            head, rows = ([], lines) if file.suffix == ".jsonl" else (lines[:1], lines[1:])
            rows = [row if row.endswith(b"\n") else row + b"\n" for row in rows]
            chance.shuffle(rows)
            for number, half in enumerate(halves):
                half.write_bytes(b"".join(head + rows[number :: len(halves)]))
    return out


def any_order(bench: Bench, shop: dict[str, Any], seed: int, split: bool) -> None:
    drops = bench.simulated(**shop)
    other = bench.folder / "shuffled"
    shutil.rmtree(other, ignore_errors=True)
    whole = [(0, shop["days"] - 1)]
    assert differing(bench.run(drops, whole, "once"), bench.run(shuffled(drops, other, seed, split), whole, "shuffled_home")) == []


@FEW
@given(shop=shops, seed=st.integers(0, 1000), split=st.booleans())
def test_neither_the_order_of_rows_nor_the_number_of_files_matters(bench: Bench, shop: dict[str, Any], seed: int, split: bool) -> None:
    any_order(bench, shop, seed, split)


@pytest.mark.soak
@MANY
@given(shop=shops, seed=st.integers(0, 1000), split=st.booleans())
def test_neither_order_nor_files_matter_many_times(bench: Bench, shop: dict[str, Any], seed: int, split: bool) -> None:
    any_order(bench, shop, seed, split)


# -- any machine --------------------------------------------------------------------------------------------------------

MACHINES = [
    {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "0"},
    {"TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "1"},
    {"TZ": "America/New_York", "LC_ALL": "C", "PYTHONHASHSEED": "2"},
    {"TZ": "Asia/Shanghai", "LC_ALL": "de_DE.UTF-8", "PYTHONHASHSEED": "3"},
    {"TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "4"},
    {"TZ": "Pacific/Pago_Pago", "LC_ALL": "zh_CN.UTF-8", "PYTHONHASHSEED": "5"},
    {"TZ": "Europe/London", "LC_ALL": "POSIX", "PYTHONHASHSEED": "6"},
    {"TZ": "Australia/Lord_Howe", "LC_ALL": "fr_FR.UTF-8", "PYTHONHASHSEED": "7"},
]


def elsewhere(bench: Bench, drops: Path, days: int, machine: dict[str, str]) -> dict[str, Any]:
    """The tables that a fresh process with this environment builds."""
    models = bench.folder / "models.json"
    models.write_text(json.dumps([asdict(model) for model in bench.models]), encoding="utf-8")
    command = [sys.executable, __file__, str(bench.folder / "elsewhere"), str(drops), str(days), str(models)]
    environment = {**os.environ, **machine, "PYTHONPATH": str(PROJECT_DIR)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)  # what it complains of is shown
    return {name: tuple(found) for name, found in json.loads(done.stdout.splitlines()[-1]).items()}


@pytest.mark.soak
@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine["TZ"])
def test_neither_time_zone_nor_locale_of_the_machine_matters(bench: Bench, machine: dict[str, str]) -> None:
    drops = bench.simulated(users=40, days=4, seed=1, dirt=0.1)
    here = bench.run(drops, [(0, 3)], "once")
    assert differing(here, elsewhere(bench, drops, 4, machine)) == []


if __name__ == "__main__":
    there = Bench(Path(sys.argv[1]))
    there.models = [Model(**model) for model in json.loads(Path(sys.argv[4]).read_text(encoding="utf-8"))]
    print(json.dumps(there.run(Path(sys.argv[2]), [(0, int(sys.argv[3]) - 1)], "home")))
