"""A long, thin history built whole, of half its nights and of all: `make bench` says the ratio of their CPU seconds and the widest join of any statement.

`python -m tests.bench.archive`. Everything runs as dbt runs it, tests included. Add a size here.
Must not assert a time; it does refuse a statement that joins more than twice the nights of all users, or the rows it reads.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests import joins
from tests.archive_shop import archive
from tests.bench import processes
from userops_pipeline.ground.home import PROJECT_DIR, Home, write_json

CUSTOMERS, NIGHTS = 3_000, 730


def build(root: Path, customers: int, nights: int) -> None:
    """The shop from its files to its tables in this process; leaves what its statements joined beside."""
    from dbt.adapters.duckdb.environments.local import DuckDBCursorWrapper

    from tests.dbt_runs import run_dbt
    from userops_pipeline.build.warehouse import begin_leg, finish_build, legs, prepare_build
    from userops_pipeline.intake.conform import conform
    from userops_pipeline.intake.landing import land, nights_between

    home, source = Home(root / "home"), archive(root / "shop", customers, nights)
    assert source.last_night is not None
    land(home, source, nights_between(source.first_night, source.last_night))
    conform(home, source, nights_between(source.first_night, source.last_night))
    found: list[joins.Joined] = []
    plain = DuckDBCursorWrapper.execute

    def execute(cursor: DuckDBCursorWrapper, sql: str, bindings: object = None) -> object:
        joins.watch(cursor._cursor)
        result = plain(cursor, sql, bindings)
        found.append(joins.last(cursor._cursor, sql))
        return result

    DuckDBCursorWrapper.execute = execute
    [leg] = legs(home, prepare_build(home, [source], source.last_night))
    begin_leg(home, leg)
    run_dbt(home.warehouse, "build", "--exclude", "resource_type:unit_test", target=home.dbt_target)
    finish_build(home, source.last_night)
    user_nights = max(one.joined for one in found if '"int_user_features' in one.name.split("as (", 1)[0])
    widest = max(found, key=lambda one: one.joined)
    too_wide = [one.name[:2000] for one in found if one.joined > 2 * max(user_nights, one.scanned)]
    write_json(root / "joined.json", {"statements": len(found), "user_nights": user_nights, "widest": widest.joined, "too_wide": too_wide})


def main() -> None:
    match sys.argv[1:]:
        case [root, customers, nights]:
            build(Path(root), int(customers), int(nights))
            return
    measured = []
    for nights in (NIGHTS // 2, NIGHTS):
        with tempfile.TemporaryDirectory(prefix="userops-bench-") as folder:
            used = processes.run(["-m", "tests.bench.archive", folder, str(CUSTOMERS), str(nights)])
            joined = json.loads((Path(folder) / "joined.json").read_text(encoding="utf-8"))
        measured.append({"nights": nights, "cpu": used.cpu, "peak_gib": used.peak_gib, **joined})
        print(
            f"{CUSTOMERS:,} customers, {nights} nights: {used.cpu:.0f} CPU s, peak {used.peak_gib:.1f} GiB; of {joined['statements']} statements "
            f"the widest join hands on {joined['widest']:,} rows, {joined['widest'] / joined['user_nights']:.2f} × the nights of all users"
        )
        if joined["too_wide"]:
            sys.exit("Joins more than it may:\n" + "\n\n".join(joined["too_wide"]))
    half, whole = measured
    print(f"all nights ÷ half of them: {whole['cpu'] / half['cpu']:.2f} of the CPU seconds")
    write_json(PROJECT_DIR / "data" / "bench" / "archive.json", {"cpu_ratio": whole["cpu"] / half["cpu"], "rows": measured})


if __name__ == "__main__":
    main()
