"""The build at size, beside other hands doing the same: `make bench`, `make bench SIZE=M`, `make bench SIZE=L`.

A simulated shop of 365 days becomes a lake; our dbt build makes every table of its last night but one, then the last night as an
increment. Beside it run the contestants of `contestants`, each in a process of its own, in turns; their tables must equal ours.
Must not assert a time: machines differ. It does refuse tables that differ, since then the times mean nothing.

Compared is the event-sized core with all its columns: sessions, user-days, one night's features, orders with their place. All start from
the same rows: events with their resolved user, orders, order lines with their category, what else happened, and the users of the night, as
Parquet for the contestants and as our staging for us. Identities, tags, segments and lists are ours alone; the whole build's time is reported
beside. Ratios are of CPU seconds and of wall; on a machine that others use only the first means something.
"""

import json
import os
import re
import shutil
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.bench import nightly, processes
from tests.bench.contestants import TABLES, WITHOUT, WRITERS
from tests.bench.contestants.definitions import INPUTS
from userops_pipeline.core.home import DBT_PROJECT_DIR, PROJECT_DIR, Home, write_json
from userops_pipeline.core.source import load_source

SIZES = {"S": (20_000, 100.0, 5.0), "M": (200_000, 50.0, 5.0), "L": (1_000_000, 50.0, 5.0)}  # users, events and orders per user
DAYS, FIRST = 365, date(2026, 1, 1)
LAST = FIRST + timedelta(days=DAYS - 1)
REPEATS = {"S": 3, "M": 3, "L": 1}
# The compared tables and the models that only they need: our seconds are those of all of these.
MODELS = {
    "sessions": ("int_sessions",),
    "user_days": ("int_user_category_day", "int_user_day"),
    "features": ("int_user_features",),
    "purchases": ("user_orders",),
}
OURS = {
    "sessions": "ours.intermediate.int_sessions",
    "user_days": "ours.intermediate.int_user_day",
    "features": "ours.intermediate.int_user_features",
    "purchases": "ours.marts.user_orders",
}
# Columns nobody is asked for. What a user declared is read from the history of identities, known night by night; contestants are given users
# resolved, so they could only copy these. What rules of ours earn, learn or ask for (points, refunds taken off them, the next step, plans, the
# gaps learned from a category's purchases) is more work for ours alone. Any other column that ours gain is a difference until every contestant makes it.
OURS_ALONE = {
    "user_days": ("plan_order_count", "purchase_refund_amount"),
    "features": (
        "gender",
        "age",
        "age_band",
        "days_to_birthday",
        "income_band",
        "household",
        "region",
        "city_tier",
        "language",
        "channel",
        "plan",
        "point_count_90d",
        "point_count_365d",
        "point_count",
        "next_key_behaviour",
        "plan_order_count",
        "days_since_plan_order",
        "has_plan",
        "days_to_trial_end",
        "usual_gap_days",
        "late_gap_days",
        "long_gap_days",
        "overdue_gap_days",
    ),
}
RESULTS = PROJECT_DIR / "data" / "bench"
MODULE = ["-m", "tests.bench.scale"]


def lake(home: Home, drops: Path) -> None:
    """The shop's files as raw Parquet: landed and conformed as every night does it, thirty nights at a time to bound the disk."""
    from userops_pipeline.core.conform import conform
    from userops_pipeline.core.landing import land, nights_between

    os.environ["USEROPS_DEMO_SHOP"] = str(drops)
    source = load_source("demo_shop")
    nights = nights_between(FIRST, LAST)
    for start in range(0, DAYS, 30):
        land(home, source, nights[start : start + 30])
        conform(home, source, nights[start : start + 30])


class NodeSeconds:
    """CPU seconds by model, and of all tests together, from dbt's own events: one thread runs them, so what the process used between two is
    the node's."""

    def __init__(self) -> None:
        self.models: dict[str, float] = {}
        self.tests = 0.0
        self._begun = 0.0

    def __call__(self, event: Any) -> None:
        if event.info.name == "NodeStart":
            self._begun = time.process_time()
        elif event.info.name == "NodeFinished":
            used, node = time.process_time() - self._begun, event.data.node_info
            if node.resource_type == "model":
                self.models[node.node_name] = round(used, 2)
            elif node.resource_type == "test":
                self.tests += used


def build(home: Home, as_of: date, first_on: date, select: list[str]) -> None:
    """One dbt build of this night in this process; `first_on` is the shop's first night of tables. Leaves seconds by model beside."""
    from dbt.cli.main import dbtRunner

    from userops_pipeline.core import warehouse

    begun, nodes, window = time.perf_counter(), NodeSeconds(), {}
    source = load_source("demo_shop").model_copy(update={"first_night": first_on})
    if not select:
        clock = warehouse.prepare_build(home, [source], as_of)
        window = {
            "window_from": clock.window_from,
            "nights": (as_of - max(clock.window_from, first_on)).days + 1,
            "from_nothing": clock.full,
        }
    os.environ["USEROPS_WAREHOUSE"] = str(home.warehouse)
    folders = ["--project-dir", str(DBT_PROJECT_DIR), "--profiles-dir", str(DBT_PROJECT_DIR), "--target-path", str(home.dbt_target)]
    chosen = ["--select", *select, "--full-refresh"] if select else ["--exclude", "resource_type:unit_test"]
    result = dbtRunner(callbacks=[nodes]).invoke(
        ["build" if not select else "run", "--quiet", *folders, "--log-path", str(home.dbt_target / "logs"), *chosen]
    )
    failed = [(row.node.name, row.message) for row in result.result or [] if row.status in ("error", "fail")]
    if not result.success:
        sys.exit(f"dbt failed: {result.exception or failed}")
    if not select:
        warehouse.finish_build(home, as_of)
    seconds = dict.fromkeys(("model", "test"), 0.0)
    for row in result.result:
        kind = str(row.node.resource_type)
        if kind in seconds:
            seconds[kind] += row.execution_time
    used = {"cpu": nodes.models, "tests_cpu": round(nodes.tests, 2)}
    write_json(home.root / "seconds.json", {**seconds, "whole": time.perf_counter() - begun, **used, **window})


def seconds_of(home: Home) -> dict:
    return json.loads((home.root / "seconds.json").read_text(encoding="utf-8"))


def export_inputs(home: Home, inputs: Path, as_of: date) -> dict[str, int]:
    """What every contestant reads, as our models read it: whose rows these are is resolved. Gives the rows."""
    import duckdb

    selects = {
        "events": "select event_id, device_id, user_id, visit_id, event_at, event_on, event_name, page, campaign_id from intermediate.int_event",
        "orders": "select * from intermediate.int_order",
        "lines": "select order_id, category, lines.amount, coalesce(is_return, false) as is_return "
        "from staging.stg_order_items as lines left join staging.stg_products using (product_id)",
        "activities": "select source_table, user_id, activity_at, activity_on, activity, is_own, object_id, campaign_id, value "
        "from intermediate.int_activity where source_table not in ('users', 'events', 'order_items')",
        "users": f"select user_id, registered_on from intermediate.int_user where registered_on <= date '{as_of}' "
        f"and known_from_on <= date '{as_of}' and (known_to_on is null or known_to_on > date '{as_of}')",
    }
    inputs.mkdir(exist_ok=True)
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        con.execute("set preserve_insertion_order = false")
        for name in INPUTS:
            con.execute(f"copy ({selects[name]}) to '{inputs}/{name}.parquet'")
        return {name: con.execute(f"select count(*) from '{inputs}/{name}.parquet'").fetchall()[0][0] for name in INPUTS}


def differences(home: Home, outputs: Path, without: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Tables that are not ours, with what is said of them: every column of ours but OURS_ALONE and those in `without` must be there, rows are
    counted and their contents hashed, as the types of ours."""
    import duckdb

    found = {}
    with duckdb.connect() as con:
        con.execute(f"attach '{home.warehouse}' as ours (read_only)")
        for table in TABLES:
            theirs = f"'{outputs}/{table}.parquet'"
            left_out = {*OURS_ALONE.get(table, ()), *without.get(table, ())}
            kinds = {row[0]: row[1] for row in con.execute(f"describe {OURS[table]}").fetchall() if row[0] not in left_out}
            made = {row[0] for row in con.execute(f"describe from {theirs}").fetchall()}
            if missing := kinds.keys() - made:
                found[table] = f"theirs lacks {', '.join(sorted(missing))}"
                continue
            cast = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in kinds.items())
            digests = [
                con.execute(f"select count(*), sum(hash({', '.join(kinds)})) from (select {cast} from {relation})").fetchall()[0]
                for relation in (OURS[table], theirs)
            ]
            if digests[0] != digests[1]:
                found[table] = f"ours has {digests[0][0]:,} rows, theirs {digests[1][0]:,}, and their contents differ"
    return found


@dataclass
class Runs:
    """What one contestant used, run by run: its process, and CPU seconds by table."""

    used: list[processes.Usage] = field(default_factory=list)
    cpu: list[dict[str, float]] = field(default_factory=list)
    ended: str = ""

    def cpu_of(self, table: str) -> float:
        return statistics.median(run[table] for run in self.cpu)

    def row(self) -> dict:
        if self.ended or not self.used:
            return {"ended": self.ended}
        tables = {table: round(self.cpu_of(table), 2) for table in TABLES}
        return {**asdict(processes.median(self.used)), "tables_cpu": tables, "cpu_of_tables": round(sum(tables.values()), 2)}


def whole_row(used: processes.Usage, seconds: dict) -> dict:
    """A build of every table: what it used, its CPU seconds by part (`start` is Python, dbt's reading of the project and its own work between
    nodes), how far back its window reached, and its largest models."""
    parts = {"models": sum(seconds["cpu"].values()), "tests": seconds["tests_cpu"]}
    parts["start"] = used.cpu - sum(parts.values())
    largest = sorted(seconds["cpu"].items(), key=lambda model: (-model[1], model[0]))[:8]
    return {**asdict(used), "cpu_parts": {part: round(cpu, 2) for part, cpu in parts.items()}, "largest": dict(largest), "seconds": seconds}


def fixed_cost(home: Home, drops: Path) -> dict[str, float]:
    """Seconds of a night that has nothing new, by part: the command as it is run every night, a second time for the same night.

    The night is the shop's last one, or yesterday where that is earlier: a night that has not ended cannot be run. As in the rest of the
    bench tables begin one night before, which a copied source.yml says; so the first run conforms these two nights again and builds from
    nothing, and only the second is measured.

    Raises:
        processes.Failed: a run failed, or the second one still found something new.
    """
    from userops_pipeline.core import warehouse

    shipped = load_source("demo_shop")
    night = min(LAST, datetime.now(ZoneInfo(shipped.business_zone)).date() - timedelta(days=1))
    source = home.root / "source" / "demo_shop"
    shutil.copytree(shipped.folder, source, dirs_exist_ok=True)
    said = re.sub(
        r"(?m)^first_night: .*$", f"first_night: {night - timedelta(days=1)}", (source / "source.yml").read_text(encoding="utf-8")
    )
    (source / "source.yml").write_text(re.sub(r"(?m)^last_night: .*$", f"last_night: {night}", said), encoding="utf-8")
    os.environ["USEROPS_DEMO_SHOP"] = str(drops)
    command = ["nightly", "--source", str(source), "--date", str(night), "--dry-run"]
    nightly.measure(f"{night} from nothing", home, [*command, "--full-refresh"])
    measured = nightly.measure(f"{night} again", home, command)
    window_from = warehouse.built_clock(home, night).window_from
    if window_from != night:
        raise processes.Failed(f"{night} again was built from {window_from} on, so something was new.")
    seconds = {"wall": measured.wall, "CPU": measured.cpu, **measured.parts}
    return {name: round(value, 2) for name, value in seconds.items()}


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
    shutil.rmtree(home.dbt_target, ignore_errors=True)  # what dbt remembers of another state of the project misleads it
    whole = processes.run([*MODULE, "--build", str(home.root), str(before), str(before)])
    whole_seconds = seconds_of(home)
    rows = export_inputs(home, inputs, before)
    ours, others = Runs(), {name: Runs() for name in WRITERS}
    wall: list[float] = []
    outputs = root / "outputs"
    outputs.mkdir(exist_ok=True)
    for _ in range(REPEATS[size]):
        select = [model for models in MODELS.values() for model in models]
        ours.used.append(processes.run([*MODULE, "--build", str(home.root), str(before), str(before), *select]))
        seconds = seconds_of(home)
        wall.append(seconds["model"])
        ours.cpu.append({table: sum(seconds["cpu"][model] for model in models) for table, models in MODELS.items()})
        for name, runs in others.items():
            if runs.ended:
                continue
            try:
                runs.used.append(processes.run(["-m", "tests.bench.contestants", name, str(inputs), str(outputs), str(before)]))
            except processes.Failed as error:
                runs.ended = str(error).splitlines()[0]
                print(error, file=sys.stderr)
                continue
            runs.cpu.append(json.loads((outputs / "cpu.json").read_text(encoding="utf-8")))
            if wrong := differences(home, outputs, WITHOUT.get(name, {})):
                sys.exit(f"{name} does not make our tables, so nothing is compared: {wrong}")
    increment = processes.run([*MODULE, "--build", str(home.root), str(LAST), str(before)])
    increment_seconds = seconds_of(home)
    table = [{"name": "our models", **ours.row(), "models": round(statistics.median(wall), 2)}]
    table += [{"name": name, **runs.row()} for name, runs in others.items()]
    limit = table[1]
    for row in table:
        if "wall" in row:
            row["ratio"] = round(row.get("models", row["wall"]) / limit["wall"], 2)
            row["cpu_ratio"] = round(row["cpu_of_tables"] / limit["cpu_of_tables"], 2)
    return {
        "size": size,
        "inputs": rows,
        "repeats": REPEATS[size],
        "load": os.getloadavg()[1],
        "build_ratio": table[0]["ratio"],
        "build_cpu_ratio": table[0]["cpu_ratio"],
        "increment_share": round(increment.wall / whole.wall, 3),
        "increment_cpu_share": round(increment.cpu / whole.cpu, 3),
        "peak_rss_gb": max(whole.peak_gib, increment.peak_gib, table[0]["peak_gib"]),
        "rows": table,
        "build": whole_row(whole, whole_seconds),
        "increment": whole_row(increment, increment_seconds),
    }


def markdown(result: dict, sizes: Sequence[dict]) -> str:
    """The tables as the README has them; `sizes` are the newest results of each size."""
    inputs = ", ".join(f"{count:,} {name}" for name, count in result["inputs"].items())
    lines = [
        f"Size {result['size']}: {inputs}; load {result['load']:.1f}, medians of {result['repeats']}",
        "",
        "| | wall s | CPU s | peak GiB | wall ÷ DuckDB by hand | CPU ÷ DuckDB by hand |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        if "ended" in row:
            lines.append(f"| {row['name']} | {row['ended']} | | | | |")
        else:
            cells = [str(row.get("models", row["wall"])), row["cpu_of_tables"], row["peak_gib"], row["ratio"], row["cpu_ratio"]]
            lines.append(f"| {row['name']} | {' | '.join(map(str, cells))} |")
    for name, label in (("build", "whole build, every table"), ("increment", "one night more")):
        entry = result[name]
        lines.append(f"| {label} | {entry['wall']} | {entry['cpu']} | {entry['peak_gib']} | | |")
    lines += ["", "| CPU s by table | " + " | ".join(TABLES) + " |", "|---|" + "---|" * len(TABLES)]
    for row in result["rows"]:
        if "tables_cpu" in row:
            lines.append(f"| {row['name']} | " + " | ".join(str(row["tables_cpu"][table]) for table in TABLES) + " |")
    lines += ["", f"increment ÷ whole build: {result['increment_share']:.1%} of wall, {result['increment_cpu_share']:.1%} of CPU"]
    for name, label in (("build", "whole build"), ("increment", "one night more")):
        entry = result[name]
        parts = ", ".join(f"{part} {cpu} ({cpu / entry['cpu']:.0%})" for part, cpu in entry["cpu_parts"].items())
        largest = ", ".join(f"{model} {cpu}" for model, cpu in entry["largest"].items())
        since = "from nothing" if entry["seconds"]["from_nothing"] else f"facts from {entry['seconds']['window_from']} on"
        lines += ["", f"{label} ({since}, {entry['seconds']['nights']} nights of tables), CPU s: {parts}; largest models: {largest}"]
    if "fixed_failed" in result:
        lines += ["", f"a night with nothing new could not be measured: {result['fixed_failed']}"]
    if "fixed" in result:
        parts = ", ".join(f"{name} {seconds}" for name, seconds in result["fixed"].items())
        lines += ["", f"a night with nothing new, seconds: {parts}"]
    lines += [
        "",
        "| size | events | whole build CPU s | events per CPU s | our models CPU s | events per CPU s |",
        "|---|---|---|---|---|---|",
    ]
    for one in sizes:
        events, ours = one["inputs"]["events"], one["rows"][0]["cpu_of_tables"]
        per_second = [f"{events / seconds:,.0f}" for seconds in (one["build"]["cpu"], ours)]
        lines.append(f"| {one['size']} | {events:,} | {one['build']['cpu']} | {per_second[0]} | {ours} | {per_second[1]} |")
    return "\n".join(lines)


def remember(result: dict) -> list[dict]:
    """Keep the result as the latest and as its size's; give the newest of every size, small to large."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in ("latest", result["size"]):
        write_json(RESULTS / f"{name}.json", result)
    files = [RESULTS / f"{size}.json" for size in SIZES]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]


def main() -> None:
    match sys.argv[1:]:
        case ["--lake", home, drops]:
            lake(Home(Path(home)), Path(drops))
        case ["--build", home, as_of, first_on, *select]:
            build(Home(Path(home)), date.fromisoformat(as_of), date.fromisoformat(first_on), select)
        case [size, *rest] if size in SIZES:
            root = Path(rest[0]) if rest else RESULTS / size
            root.mkdir(parents=True, exist_ok=True)
            result = measure(size, root)
            remember(result)
            if size == "S":
                try:
                    result["fixed"] = fixed_cost(Home(root / "home"), root / "shop")
                except processes.Failed as error:
                    print(error, file=sys.stderr)
                    result["fixed_failed"] = " ".join(str(error).split())[-300:]
            print(markdown(result, remember(result)))
        case _:
            sys.exit(f"Say a size, one of {', '.join(SIZES)}, and where it may be kept: python -m tests.bench.scale S [folder]")


if __name__ == "__main__":
    main()
