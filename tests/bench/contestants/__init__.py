"""The same four tables by three other hands: straight-line DuckDB SQL (the limit), pandas, and Polars streaming.

`python -m tests.bench.contestants <name> <inputs> <outputs> <as_of>` reads the Parquet files of INPUTS, writes one per table of TABLES
and the CPU seconds of each, and is measured from outside. Add a contestant as a module of WRITERS whose `tables` yields a table's name when
it is written; every column of ours is to be made. Must not be quicker by being wrong: `scale` compares every table with ours and refuses a difference.
"""

import importlib
import json
import time
from datetime import date
from pathlib import Path

TABLES = ("sessions", "user_days", "features", "purchases")
# What a contestant cannot make without a package more: pandas and Polars hash no text, and a session is as well told by its other columns.
WITHOUT = {"pandas": {"sessions": ("session_id",)}, "Polars streaming": {"sessions": ("session_id",)}}
# The module of each; only that of the one who runs is imported, for its package's import is part of its seconds and its memory.
WRITERS = {"DuckDB by hand": "by_hand", "pandas": "in_pandas", "Polars streaming": "in_polars"}


def run(name: str, inputs: Path, outputs: Path, as_of: date) -> None:
    """Write every table, and `cpu.json`: the CPU seconds of each, the import in those of the first."""
    seconds, begun = {}, time.process_time()
    for table in importlib.import_module(f"{__name__}.{WRITERS[name]}").tables(inputs, outputs, as_of):
        ended = time.process_time()
        seconds[table], begun = round(ended - begun, 2), ended
    (outputs / "cpu.json").write_text(json.dumps(seconds), encoding="utf-8")
