"""Our models and other hands making the same tables in turns, group by group, and what each of them used.

Add here what is asked of every contestant. Must not know which tables there are (comparison) nor how our models are built (scale).
"""

import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

from tests.bench import processes
from tests.bench.comparison import GROUPS, MODELS, differences, models_of
from tests.bench.contestants import CONTESTANTS
from userops_pipeline.ground.home import Home

Build = Callable[[Sequence[str]], tuple[processes.Usage, dict]]  # these models alone: the process, and the seconds it left


@dataclass
class Runs:
    """What one contestant used for these tables, run by run: its process, CPU seconds by table, and the wall of our models alone."""

    tables: Sequence[str]
    used: list[processes.Usage] = field(default_factory=list)
    cpu: list[dict[str, float]] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    ended: str = ""

    def row(self) -> dict:
        if self.ended or not self.used:
            return {"ended": self.ended}
        tables = {table: round(statistics.median(run[table] for run in self.cpu), 2) for table in self.tables}
        models = {"models": round(statistics.median(self.wall), 2)} if self.wall else {}
        return {**asdict(processes.median(self.used)), "tables_cpu": tables, "cpu_of_tables": round(sum(tables.values()), 2), **models}


def contest(home: Home, inputs: Path, outputs: Path, as_of: date, repeats: int, build: Build) -> dict[str, list[dict]]:
    """Rows by group: our models first, then the contestants of the group, with ratios to the first of them, which is DuckDB by hand.

    Ends the program where a contestant's tables are not ours.
    """
    ours = {group: Runs(tables) for group, tables in GROUPS.items()}
    others = {name: Runs(contestant.tables) for name, contestant in CONTESTANTS.items()}
    outputs.mkdir(exist_ok=True)
    for _ in range(repeats):
        for group, mine in ours.items():
            used, seconds = build(models_of(group))
            mine.used.append(used)
            mine.wall.append(seconds["model"])
            mine.cpu.append({table: sum(seconds["cpu"][model] for model in MODELS[table]) for table in mine.tables})
            for name in _of(group):
                _one(name, others[name], home, inputs, outputs, as_of)
    rows = {}
    for group, mine in ours.items():
        rows[group] = [{"name": "our models", **mine.row()}, *({"name": name, **others[name].row()} for name in _of(group))]
        limit = rows[group][1]
        for row in rows[group]:
            if "wall" in row and "wall" in limit:
                row["ratio"] = round(row.get("models", row["wall"]) / limit["wall"], 2)
                row["cpu_ratio"] = round(row["cpu_of_tables"] / limit["cpu_of_tables"], 2)
    return rows


def _of(group: str) -> list[str]:
    return [name for name, contestant in CONTESTANTS.items() if contestant.tables == GROUPS[group]]


def _one(name: str, runs: Runs, home: Home, inputs: Path, outputs: Path, as_of: date) -> None:
    if runs.ended:
        return
    try:
        used = processes.run(["-m", "tests.bench.contestants", name, str(inputs), str(outputs), str(as_of)])
    except processes.Failed as error:
        runs.ended = str(error).splitlines()[0]
        print(error, file=sys.stderr)
        return
    runs.used.append(used)
    runs.cpu.append(json.loads((outputs / "cpu.json").read_text(encoding="utf-8")))
    contestant = CONTESTANTS[name]
    if wrong := differences(home, outputs, contestant.tables, contestant.without):
        sys.exit(f"{name} does not make our tables, so nothing is compared: {wrong}")
