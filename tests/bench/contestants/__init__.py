"""The same tables by other hands: the event-sized ones in straight-line DuckDB SQL (the limit), pandas and Polars streaming, those of
customers in DuckDB SQL alone.

`python -m tests.bench.contestants <name> <inputs> <outputs> <as_of>` reads the Parquet files of its inputs, writes one per table it makes and
the CPU seconds of each, and is measured from outside. Add a contestant as a module and an entry in CONTESTANTS; its `tables` yields a table's
name when it is written, and every column of ours is to be made. Must not be quicker by being wrong: `scale` compares every table with ours
and refuses a difference.
"""

import importlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

EVENTS = ("sessions", "user_days", "features", "purchases")
USERS = ("periods", "retention", "rfm", "cohort_value", "tags", "tag_history")


@dataclass(frozen=True)
class Contestant:
    """The module of a hand, the tables it makes, and columns by table it cannot make without a package more."""

    module: str
    tables: tuple[str, ...] = EVENTS
    without: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


# pandas and Polars hash no text, and a session is as well told by its other columns.
UNHASHED = {"sessions": ("session_id",)}
# Only the module of the one who runs is imported, for its package's import is part of its seconds and its memory.
CONTESTANTS = {
    "DuckDB by hand": Contestant("by_hand"),
    "pandas": Contestant("in_pandas", without=UNHASHED),
    "Polars streaming": Contestant("in_polars", without=UNHASHED),
    "DuckDB by hand, customers": Contestant("by_hand_users", USERS),
}


def run(name: str, inputs: Path, outputs: Path, as_of: date) -> None:
    """Write every table, and `cpu.json`: the CPU seconds of each, the import in those of the first."""
    seconds, begun = {}, time.process_time()
    for table in importlib.import_module(f"{__name__}.{CONTESTANTS[name].module}").tables(inputs, outputs, as_of):
        ended = time.process_time()
        seconds[table], begun = round(ended - begun, 2), ended
    (outputs / "cpu.json").write_text(json.dumps(seconds), encoding="utf-8")
