"""Where the time of a night goes: `make bench`.

Runs the real commands on the Complete Journey in a temporary home, each as its own process: the backfill of all nights but the last,
the last night as an increment, the same night again. Prints wall, CPU and peak memory as the operating system counted them, and the
parts as Dagster and dbt recorded them. Must not assert: machines differ, tests do not measure time.
"""

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench import processes
from userops_pipeline.ground.home import PROJECT_DIR, Home, write_json

LAST, BEFORE = "2017-12-31", "2017-12-30"
STEPS = {
    "land": ("landing__",),
    "conform": ("conform",),
    "gate": ("gate",),
    "build": ("build",),
    "score": ("score",),
    "publish": ("published__",),
    "deliver": ("lists__",),
}


@dataclass
class Measured:
    """One command: seconds of wall and CPU, peak memory in GiB, and seconds by part."""

    name: str
    wall: float
    cpu: float
    peak_gib: float
    parts: dict[str, float]


def measure(name: str, home: Home, arguments: list[str]) -> Measured:
    """Run one command of the CLI on this home.

    Raises:
        processes.Failed: it ended badly.
    """
    used = processes.run(["-m", "userops_pipeline.cli", *arguments], {"USEROPS_HOME": str(home.root)})
    return Measured(name, used.wall, used.cpu, used.peak_gib, parts(home, used.wall))


def parts(home: Home, wall: float) -> dict[str, float]:
    """Seconds by step of the newest run; build is split by what dbt recorded, the rest is starting Python and loading definitions."""
    import dagster as dg

    os.environ["DAGSTER_HOME"] = str(home.dagster)
    with dg.DagsterInstance.get() as instance:
        run = instance.get_runs(limit=1)[0]
        stats = instance.get_run_step_stats(run.run_id)
    seconds = dict.fromkeys(STEPS, 0.0)
    for entry in stats:
        step = next(step for step, prefixes in STEPS.items() if entry.step_key.startswith(prefixes))
        seconds[step] += (entry.end_time or 0) - (entry.start_time or 0)
    built = json.loads((home.warehouse.parent / "build.json").read_text(encoding="utf-8"))["seconds"]
    models, tests = built["model"], built["test"]
    return {
        "imports and definitions": wall - sum(seconds.values()),
        "land": seconds["land"],
        "conform": seconds["conform"],
        "gate": seconds["gate"],
        "rules, dbt start": seconds["build"] - models - tests,
        "dbt models": models,
        "dbt tests": tests,
        "publish": seconds["publish"],
        "deliver": seconds["deliver"],
    }


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="userops-bench-") as folder:
        home = Home(Path(folder))
        measured = [
            measure("full build (364 nights)", home, ["backfill", "--to", BEFORE]),
            measure("increment (1 night)", home, ["nightly", "--date", LAST]),
            measure("the same night again", home, ["nightly", "--date", LAST]),
        ]
    width = 26
    print(f"\n{'seconds':{width}}" + "".join(f"{entry.name:>26}" for entry in measured))
    for name in ("wall", "cpu", "peak_gib"):
        print(f"{name:{width}}" + "".join(f"{getattr(entry, name):26.2f}" for entry in measured))
    for part in measured[0].parts:
        print(f"  {part:{width - 2}}" + "".join(f"{entry.parts[part]:18.1f} {entry.parts[part] / entry.wall:6.0%} " for entry in measured))
    share = measured[1].wall / measured[0].wall
    print(f"\nincrement ÷ full build: {share:.2f}; cores: {os.cpu_count()}")
    write_json(PROJECT_DIR / "data" / "bench" / "nightly.json", {"increment_share": share, "rows": [asdict(entry) for entry in measured]})


if __name__ == "__main__":
    main()
