"""The build at size, beside other hands doing the same: `make bench`, `make bench SIZE=M`, `make bench SIZE=L`.

A simulated shop of 365 days becomes a lake; our dbt build makes every table of its last night but one. Beside it run the contestants of
`contestants`, each in a process of its own, in turns; their tables must equal ours.
Must not assert a time: machines differ. It does refuse tables that differ, since then the times mean nothing.

Compared is the event-sized core with all its columns (sessions, user-days, one night's features, orders with their place) and, with DuckDB
by hand alone, what of the tables of customers takes most and is SQL: periods, retention, RFM, cohorts' value, tags and their spells. All start
from the same rows: events with their resolved user, orders, order lines with their category, what else happened, and the users of the night,
the tables of customers from the tables of events, as Parquet for the contestants and as our models for us. Identities, segments and lists are
ours alone; the whole build's time is reported beside, by room, and what the nightly step `score` takes to fit and score. What a night costs is
measured as in a shop that has run for long: tables of all its nights (of three weeks at L) are built from nothing, then one night more, whose
changes reach back ten nights, to orders that were sent back whole.
Ratios are of CPU seconds and of wall; on a machine that others use only the first means something.
"""

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.bench import nightly, processes, rooms
from tests.bench.comparison import export_inputs
from tests.bench.contest import contest
from tests.bench.report import markdown
from userops_pipeline.conclude.scored import FITS, USERS
from userops_pipeline.ground.home import PROJECT_DIR, Home, write_json
from userops_pipeline.intake.source import load_source

SIZES = {"S": (20_000, 100.0, 5.0), "M": (200_000, 50.0, 5.0), "L": (1_000_000, 50.0, 5.0)}  # users, events and orders per user
DAYS, FIRST = 365, date(2026, 1, 1)
LAST = FIRST + timedelta(days=DAYS - 1)
HISTORY_FROM = {"S": FIRST, "M": FIRST, "L": LAST - timedelta(days=21)}  # at L all nights take hours; late rows reach no further than these
REPEATS = {"S": 3, "M": 3, "L": 1}
RESULTS = PROJECT_DIR / "data" / "bench"
MODULE = ["-m", "tests.bench.scale"]


def lake(home: Home, drops: Path) -> None:
    """The shop's files as raw Parquet: landed and conformed as every night does it, thirty nights at a time to bound the disk."""
    from userops_pipeline.intake.conform import conform
    from userops_pipeline.intake.landing import land, nights_between

    os.environ["USEROPS_DEMO_SHOP"] = str(drops)
    source = load_source("demo_shop")
    nights = nights_between(FIRST, LAST)
    for start in range(0, DAYS, 30):
        land(home, source, nights[start : start + 30])
        conform(home, source, nights[start : start + 30])


class NodeSeconds:
    """CPU seconds by model, over all legs, and of all tests together, from dbt's own events: one thread runs them, so what the process used
    between two is the node's."""

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
                self.models[node.node_name] = round(self.models.get(node.node_name, 0.0) + used, 2)
            elif node.resource_type == "test":
                self.tests += used


def build(home: Home, as_of: date, first_on: date, select: list[str]) -> None:
    """The build of this night in this process, in legs as the flow runs it, or the selected models alone; `first_on` is the shop's first night
    of tables. Leaves seconds by model beside."""
    from userops_pipeline.build import warehouse
    from userops_pipeline.build.declared import leg_models
    from userops_pipeline.rulebook.current import manifest_of

    begun, nodes, window = time.perf_counter(), NodeSeconds(), {}
    if select:
        seconds = _dbt(home, nodes, "run", "--select", *select, "--full-refresh")
    else:
        source = load_source("demo_shop").model_copy(update={"first_night": first_on})
        clock = warehouse.prepare_build(home, [source], as_of)
        *earlier, last = warehouse.legs(home, clock)
        nights = (as_of - max(clock.window_from, first_on)).days + 1
        window = {"window_from": clock.window_from, "nights": nights, "legs": len(earlier) + 1, "from_nothing": clock.full}
        if earlier:
            declared = manifest_of(home)["nodes"]
        for number, leg in enumerate(earlier):
            warehouse.begin_leg(home, leg)
            _dbt(home, nodes, "run", "--select", *leg_models(declared, is_first=number == 0))
        warehouse.begin_leg(home, last)
        seconds = _dbt(home, nodes, "build", "--exclude", "resource_type:unit_test")
        warehouse.finish_build(home, as_of)
    used = {"cpu": nodes.models, "tests_cpu": round(nodes.tests, 2)}
    write_json(home.root / "seconds.json", {**seconds, "whole": time.perf_counter() - begun, **used, **window})


def _dbt(home: Home, nodes: NodeSeconds, command: str, *chosen: str) -> dict[str, float]:
    """Seconds of wall of the models and of the tests of a command; ends the process where one fails."""
    from dbt.cli.main import dbtRunner

    os.environ["USEROPS_WAREHOUSE"] = str(home.warehouse)
    folders = ["--project-dir", str(home.project), "--profiles-dir", str(home.project), "--target-path", str(home.dbt_target)]
    result = dbtRunner(callbacks=[nodes]).invoke([command, "--quiet", *folders, "--log-path", str(home.dbt_target / "logs"), *chosen])
    failed = [(row.node.name, row.message) for row in result.result or [] if row.status in ("error", "fail")]
    if not result.success:
        sys.exit(f"dbt failed: {result.exception or failed}")
    seconds = dict.fromkeys(("model", "test"), 0.0)
    for row in result.result:
        kind = str(row.node.resource_type)
        if kind in seconds:
            seconds[kind] += row.execution_time
    return seconds


def score(home: Home, as_of: date) -> None:
    """The nightly step of this night in this process, as the flow runs it without Dagster around it. Leaves what it did beside."""
    from userops_pipeline.build import warehouse
    from userops_pipeline.conclude import score as scoring
    from userops_pipeline.rulebook.current import rules_of

    manifest = json.loads((home.dbt_target / "manifest.json").read_text(encoding="utf-8"))
    declared = {node["name"]: node for node in manifest["sources"].values() if node["source_name"] == "scored"}
    columns = {name: {column: said["data_type"] for column, said in node["columns"].items()} for name, node in declared.items()}
    rules = rules_of().value
    warehouse.built_clock(home, as_of)
    with warehouse.reading(home) as con:
        begun, cpu_begun = time.perf_counter(), time.process_time()
        outcome = scoring.score(con, rules, columns, as_of)
        step = {"step_wall": round(time.perf_counter() - begun, 2), "step_cpu": round(time.process_time() - cpu_begun, 2)}
        customers, histories = con.execute(
            f"select (select max(customer_count) from marts.{FITS}), (select count(*) from intermediate.int_value_history)"
        ).fetchall()[0]
    counts = {"customers": customers or 0, "histories": histories, "users": outcome.rows[USERS], "versions": len(outcome.fitted)}
    failed = [check.name for check in outcome.checks if not check.passed]
    write_json(home.root / "score.json", {**step, **counts, "eligibility": outcome.eligibility, "failed": failed})


def seconds_of(home: Home) -> dict:
    return json.loads((home.root / "seconds.json").read_text(encoding="utf-8"))


def whole_row(used: processes.Usage, seconds: dict, room_of: Mapping[str, str]) -> dict:
    """A build of every table: what it used, its CPU seconds by part (`start` is Python, dbt's reading of the project and its own work between
    nodes) and of the models by room, how far back its window reached, and its largest models."""
    parts = {"models": sum(seconds["cpu"].values()), "tests": seconds["tests_cpu"]}
    parts["start"] = used.cpu - sum(parts.values())
    largest = sorted(seconds["cpu"].items(), key=lambda model: (-model[1], model[0]))[:8]
    by_room = rooms.seconds(seconds["cpu"], room_of)
    return {
        **asdict(used),
        "cpu_parts": {part: round(cpu, 2) for part, cpu in parts.items()},
        "rooms": by_room,
        "customers_cpu": rooms.of_customers(by_room),
        "largest": dict(largest),
        "seconds": seconds,
    }


def fixed_cost(home: Home, drops: Path) -> dict[str, float]:
    """Seconds of a night that has nothing new, by part: the command as it is run every night, a second time for the same night.

    The night is the shop's last one, or yesterday where that is earlier: a night that has not ended cannot be run. As in the rest of the
    bench tables begin one night before, which a copied source.yml says; so the first run conforms these two nights again and builds from
    nothing, and only the second is measured.

    Raises:
        processes.Failed: a run failed, or the second one still found something new.
    """
    from userops_pipeline.build import warehouse

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

    def ours(models: Sequence[str]) -> tuple[processes.Usage, dict]:
        used = processes.run([*MODULE, "--build", str(home.root), str(before), str(before), *models])
        return used, seconds_of(home)

    tables = contest(home, inputs, root / "outputs", before, REPEATS[size], ours)
    home.warehouse.unlink()
    since = str(HISTORY_FROM[size])
    history = processes.run([*MODULE, "--build", str(home.root), str(before), since])
    history_seconds = seconds_of(home)
    increment = processes.run([*MODULE, "--build", str(home.root), str(LAST), since])
    increment_seconds = seconds_of(home)
    manifest = json.loads((home.dbt_target / "manifest.json").read_text(encoding="utf-8"))
    room_of = rooms.rooms(manifest)
    first, second = tables["events"][0], tables["users"][0]
    return {
        "size": size,
        "inputs": rows,
        "repeats": REPEATS[size],
        "load": os.getloadavg()[1],
        "build_ratio": first["ratio"],
        "build_cpu_ratio": first["cpu_ratio"],
        "users_ratio": second.get("ratio"),
        "users_cpu_ratio": second.get("cpu_ratio"),
        "increment_share": round(increment.wall / history.wall, 3),
        "increment_cpu_share": round(increment.cpu / history.cpu, 3),
        "peak_rss_gb": max(whole.peak_gib, history.peak_gib, increment.peak_gib, first["peak_gib"], second["peak_gib"]),
        "rows": tables["events"],
        "users_rows": tables["users"],
        "build": whole_row(whole, whole_seconds, room_of),
        "history": whole_row(history, history_seconds, room_of),
        "increment": whole_row(increment, increment_seconds, room_of),
    }


def score_cost(home: Home, as_of: date) -> dict:
    """The step `score` in a process of its own on the finished build, with no version fitted yet and again: what each used, of it the step
    itself, and what it did.

    Raises:
        processes.Failed: it ended badly.
    """
    found = {}
    for name in ("fitting", "again"):
        used = processes.run([*MODULE, "--score", str(home.root), str(as_of)])
        found[name] = {**asdict(used), **json.loads((home.root / "score.json").read_text(encoding="utf-8"))}
    return found


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
        case ["--score", home, as_of]:
            score(Home(Path(home)), date.fromisoformat(as_of))
        case [size, *rest] if size in SIZES:
            root = Path(rest[0]) if rest else RESULTS / size
            root.mkdir(parents=True, exist_ok=True)
            result = measure(size, root)
            remember(result)  # what follows may fail
            home = Home(root / "home")
            more = {"score": lambda: score_cost(home, LAST)} | ({"fixed": lambda: fixed_cost(home, root / "shop")} if size == "S" else {})
            for name, measured in more.items():
                try:
                    result[name] = measured()
                except processes.Failed as error:
                    print(error, file=sys.stderr)
                    result[f"{name}_failed"] = " ".join(str(error).split())[-300:]
            print(markdown(result, remember(result)))
        case _:
            sys.exit(f"Say a size, one of {', '.join(SIZES)}, and where it may be kept: python -m tests.bench.scale S [folder]")


if __name__ == "__main__":
    main()
