"""The build at size, beside other hands doing the same: `make bench`, `make bench SIZE=M`, `make bench SIZE=L`.

A simulated shop of 365 days becomes a lake; our dbt build makes every table of its last night but one, then the last night as an
increment. Beside it run the contestants of `contestants`, each in a process of its own, in turns; their tables must equal ours.
Must not assert a time: machines differ. It does refuse tables that differ, since then the times mean nothing.

Compared is the event-sized core: sessions, user-days, one night's features, purchases in order. All start from the same rows: events
with their resolved user and valid purchases, as Parquet for the contestants and as our staging for us. Identities, features without a
window, tags, segments and lists are ours alone; the whole build's time is reported beside.
"""

import json
import os
import sys
import time
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path

from tests.bench import processes
from tests.bench.contestants import MEASURES, TABLES, WRITERS
from userops_pipeline.core.home import DBT_PROJECT_DIR, PROJECT_DIR, Home, write_json

SIZES = {"S": (20_000, 100.0, 5.0), "M": (200_000, 50.0, 5.0), "L": (1_000_000, 50.0, 5.0)}  # users, events and orders per user
DAYS, FIRST = 365, date(2026, 1, 1)
LAST = FIRST + timedelta(days=DAYS - 1)
REPEATS = {"S": 3, "M": 3, "L": 1}
CORE = ("int_sessions", "int_user_day", "int_user_features", "user_orders")
MODULE = ["-m", "tests.bench.scale"]

FEATURES = [name for measure, lengths in MEASURES.items() for name in (measure, *(f"{measure}_{days}d" for days in lengths))]
COLUMNS = {
    "sessions": "device_id, user_id, started_at, ended_at, event_count",
    "user_days": "user_id, activity_on, event_count, order_count, spend_amount",
    "features": f"user_id, {', '.join(FEATURES)}, last_order_on",
    "purchases": "order_id, purchase_number, days_since_previous_purchase",
}
OURS = {
    "sessions": "ours.intermediate.int_sessions",
    "user_days": "ours.intermediate.int_user_day where event_count > 0 or order_count > 0",
    "features": "ours.intermediate.int_user_features where event_count > 0 or order_count > 0",
    "purchases": "ours.marts.user_orders where purchase_number is not null",
}
# Users who were never registered have days, but no place in the panel.
THEIRS = {"features": "where user_id in (select user_id from ours.intermediate.int_user_features)"}


def lake(home: Home, drops: Path) -> None:
    """The shop's files as raw Parquet: landed and conformed as every night does it, thirty nights at a time to bound the disk."""
    from userops_pipeline.core.conform import conform
    from userops_pipeline.core.landing import land, nights_between
    from userops_pipeline.core.source import load_source

    os.environ["USEROPS_DEMO_SHOP"] = str(drops)
    source = load_source("demo_shop")
    nights = nights_between(FIRST, LAST)
    for start in range(0, DAYS, 30):
        land(home, source, nights[start : start + 30])
        conform(home, source, nights[start : start + 30])


def build(home: Home, as_of: date, first_on: date, select: list[str]) -> None:
    """One dbt build of this night in this process; `first_on` is the shop's first night of tables. Leaves seconds by model beside."""
    from dbt.cli.main import dbtRunner

    from userops_pipeline.core import warehouse
    from userops_pipeline.core.source import load_source

    begun = time.perf_counter()
    source = load_source("demo_shop").model_copy(update={"first_night": first_on})
    if not select:
        warehouse.prepare_build(home, [source], as_of)
    os.environ["USEROPS_WAREHOUSE"] = str(home.warehouse)
    folders = ["--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR), "--target-path", str(home.dbt_target)]
    chosen = ["--select", *select, "--full-refresh"] if select else ["--exclude", "resource_type:unit_test"]
    result = dbtRunner().invoke(
        ["build" if not select else "run", "--quiet", *folders, "--log-path", str(home.dbt_target / "logs"), *chosen]
    )
    failed = [(row.node.name, row.message) for row in result.result or [] if row.status in ("error", "fail")]
    if not result.success:
        sys.exit(f"dbt failed: {result.exception or failed}")
    if not select:
        warehouse.finish_build(home, as_of)
    seconds = dict.fromkeys(("model", "test"), 0.0)
    models = {}
    for row in result.result:
        kind = str(row.node.resource_type)
        if kind in seconds:
            seconds[kind] += row.execution_time
        if kind == "model":
            models[row.node.name] = round(row.execution_time, 2)
    write_json(home.root / "seconds.json", {**seconds, "whole": time.perf_counter() - begun, "models": models})


def seconds_of(home: Home) -> dict:
    return json.loads((home.root / "seconds.json").read_text(encoding="utf-8"))


def export_inputs(home: Home, inputs: Path) -> dict[str, int]:
    """What every contestant reads: resolved events and valid purchases. Gives the rows."""
    import duckdb

    inputs.mkdir(exist_ok=True)
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        con.execute("set preserve_insertion_order = false")
        con.execute(
            f"copy (select device_id, user_id, event_at, event_on, event_name from intermediate.int_event) to '{inputs}/events.parquet'"
        )
        con.execute(
            "copy (select order_id, user_id, ordered_at, ordered_on, amount from intermediate.int_order "
            f"where is_purchase and user_id is not null) to '{inputs}/orders.parquet'"
        )
        return {t: con.execute(f"select count(*) from '{inputs}/{t}.parquet'").fetchall()[0][0] for t in ("events", "orders")}


def differences(home: Home, outputs: Path, money_in_cents: bool) -> dict[str, str]:
    """Tables that are not ours, row for row, with what is said of them; also the proof, so it counts rows and hashes contents."""
    import duckdb

    found = {}
    with duckdb.connect() as con:
        con.execute(f"attach '{home.warehouse}' as ours (read_only)")
        for table in TABLES:
            columns = {row[0]: row[1] for row in con.execute(f"describe select {COLUMNS[table]} from {OURS[table]}").fetchall()}
            ours = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in columns.items())
            theirs = ", ".join(
                f"cast({name}{' / 100' if money_in_cents and name.startswith('spend_amount') else ''} as {kind}) as {name}"
                for name, kind in columns.items()
            )
            digests = [
                con.execute(f"select count(*), sum(hash({', '.join(columns)})) from (select {select})").fetchall()[0]
                for select in (f"{ours} from {OURS[table]}", f"{theirs} from '{outputs}/{table}.parquet' {THEIRS.get(table, '')}")
            ]
            if digests[0] != digests[1]:
                found[table] = f"ours has {digests[0][0]:,} rows, theirs {digests[1][0]:,}, and their contents differ"
    return found


def measure(size: str, root: Path) -> dict:
    """Everything at one size; the result is what goes into the file and the table."""
    users, events, orders = SIZES[size]
    home, drops, inputs = Home(root / "home"), root / "shop", root / "inputs"
    before = LAST - timedelta(days=1)
    if not (root / "lake.ready").exists():
        simulate = ["simulate", "--users", str(users), "--days", str(DAYS), "--events-per-user", str(events)]
        simulate += ["--orders-per-user", str(orders), "--out", str(drops)]
        made = processes.run(["-m", "userops_pipeline.cli", *simulate])
        conformed = processes.run([*MODULE, "--lake", str(home.root), str(drops)])
        write_json(root / "lake.ready", {"simulate": asdict(made), "lake": asdict(conformed)})
    home.warehouse.unlink(missing_ok=True)
    whole = processes.run([*MODULE, "--build", str(home.root), str(before), str(before)])
    whole_seconds = seconds_of(home)
    rows = export_inputs(home, inputs)
    core: list[processes.Usage] = []
    core_seconds: list[dict] = []
    others: dict[str, list[processes.Usage]] = {name: [] for name in WRITERS}
    ended: dict[str, str] = {}
    for _ in range(REPEATS[size]):
        core.append(processes.run([*MODULE, "--build", str(home.root), str(before), str(before), *CORE]))
        core_seconds.append(seconds_of(home))
        for name in WRITERS:
            if name in ended:
                continue
            outputs = root / "outputs"
            outputs.mkdir(exist_ok=True)
            try:
                others[name].append(processes.run(["-m", "tests.bench.contestants", name, str(inputs), str(outputs), str(before)]))
            except processes.Failed as error:
                ended[name] = str(error).splitlines()[0]
                print(error, file=sys.stderr)
                continue
            if wrong := differences(home, outputs, money_in_cents=name == "pandas"):
                sys.exit(f"{name} does not make our tables, so nothing is compared: {wrong}")
    increment = processes.run([*MODULE, "--build", str(home.root), str(LAST), str(before)])
    increment_seconds = seconds_of(home)
    ours = processes.median(core)
    ours_models = sorted(entry["model"] for entry in core_seconds)[len(core_seconds) // 2]
    limit = processes.median(others["DuckDB by hand"])
    table = [{"name": "our models", **asdict(ours), "ratio": round(ours_models / limit.wall, 2), "models": round(ours_models, 2)}]
    for name, runs in others.items():
        if runs and name not in ended:
            used = processes.median(runs)
            table.append({"name": name, **asdict(used), "ratio": round(used.wall / limit.wall, 2)})
        else:
            table.append({"name": name, "ended": ended[name]})
    return {
        "size": size,
        "inputs": rows,
        "repeats": REPEATS[size],
        "load": os.getloadavg()[1],
        "build_ratio": round(ours_models / limit.wall, 2),
        "increment_share": round(increment.wall / whole.wall, 3),
        "peak_rss_gb": max(whole.peak_gib, increment.peak_gib, ours.peak_gib),
        "rows": table,
        "build": {**asdict(whole), "seconds": whole_seconds},
        "increment": {**asdict(increment), "seconds": increment_seconds},
        "core_models": core_seconds[-1]["models"],
    }


def markdown(result: dict) -> str:
    """The table as the README has it."""
    lines = [
        f"Size {result['size']}: {result['inputs']['events']:,} events, {result['inputs']['orders']:,} purchases, load {result['load']:.1f}",
        "",
        "| | wall s | CPU s | peak GiB | ÷ DuckDB by hand |",
        "|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        if "ended" in row:
            lines.append(f"| {row['name']} | {row['ended']} | | | |")
        else:
            wall = f"{row['models']} (with dbt's start {row['wall']})" if "models" in row else row["wall"]
            lines.append(f"| {row['name']} | {wall} | {row['cpu']} | {row['peak_gib']} | {row['ratio']} |")
    for name in ("build", "increment"):
        entry = result[name]
        models, tests = entry["seconds"]["model"], entry["seconds"]["test"]
        label = "whole build, every table" if name == "build" else "one night more"
        lines.append(f"| {label} (models {models:.1f}, tests {tests:.1f}) | {entry['wall']} | {entry['cpu']} | {entry['peak_gib']} | |")
    return "\n".join([*lines, "", f"increment ÷ whole build: {result['increment_share']:.1%}"])


def main() -> None:
    match sys.argv[1:]:
        case ["--lake", home, drops]:
            lake(Home(Path(home)), Path(drops))
        case ["--build", home, as_of, first_on, *select]:
            build(Home(Path(home)), date.fromisoformat(as_of), date.fromisoformat(first_on), select)
        case [size, *rest] if size in SIZES:
            root = Path(rest[0]) if rest else PROJECT_DIR / "data" / "bench" / size
            root.mkdir(parents=True, exist_ok=True)
            result = measure(size, root)
            write_json(PROJECT_DIR / "data" / "bench" / "latest.json", result)
            print(markdown(result))
        case _:
            sys.exit(f"Say a size, one of {', '.join(SIZES)}, and where it may be kept: python -m tests.bench.scale S [folder]")


if __name__ == "__main__":
    main()
