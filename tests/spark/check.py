"""`make check-spark`: a shop built night by night by both engines through the whole flow, and every published table compared.

The sample shop asks for every kind of build in minutes; `make check-spark SHOP=demo_shop` is the demo, 20,000 users × 120 nights with dirt. Here lives the order of nights and the comparison; the nights are the product's own commands. Add a step when a new kind of build must be equal.
Must not know a table or a rule, nor repair a difference: equal means the same content hash in both manifests.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
from dbt.adapters.duckdb.connections import DuckDBConnectionManager

from userops_pipeline import cli
from userops_pipeline.core import generations
from userops_pipeline.core.engine import Engine
from userops_pipeline.core.home import PROJECT_DIR, Home

ENGINES: tuple[Engine, Engine] = ("duckdb", "spark")
JAVA = 17
# What a step is called, its command, and how many nights a leg of it makes (nothing said: all at once).
STEPS = {
    # The nights of the 12th and 13th bring late rows and begin days earlier (the 6th, the 10th); the 14th brings none.
    "sample_shop": (
        ("everything up to the eve", ["backfill", "--to", "2026-03-11"], ""),
        ("night 2026-03-12", ["nightly", "--date", "2026-03-12"], ""),
        ("night 2026-03-13", ["nightly", "--date", "2026-03-13"], ""),
        ("night 2026-03-14", ["nightly", "--date", "2026-03-14"], ""),
        ("the same night from scratch, in legs of five nights", ["nightly", "--date", "2026-03-14", "--full-refresh"], "5"),
    ),
    # Every night of it brings rows of earlier nights.
    "demo_shop": (
        ("everything up to the eve", ["backfill", "--to", "2026-04-29"], ""),
        ("night 2026-04-30", ["nightly", "--date", "2026-04-30"], ""),
    ),
}
DEMO = ["simulate", "--users", "20000", "--days", "120", "--dirt", "0.01"]  # as in `make demo`

# What the sample shop does not ask of the engine macros: one row, whose every column must read the same. Ties of rounding, texts with every
# quote, a night that is another date in the shop's zone, the year the clock has before a first night.
MACROS = """
with
    pairs as (
        select 1 as part, 8 as whole, 'b' as name union all select 3, 640, 'a' union all select 1001, 200, 'c'
        union all select 2003, 16, 'd' union all select -1001, 200, 'e' union all select 1, 3, 'f' union all select 5, 0, 'g' union all select 201, 200, 'h'
    ),
    ratios as (select name, {{ ratio("part", "whole", 18, 2) }} as hundredths, {{ share("part", "whole") }} as millionths from pairs)
select
    {{ json_object([
        ("text", text_literal('it\\'s "杭州" \\\\ 100% of {x}'), "string"), ("none", "cast(null as string)", "string"),
        ("day", "cast('2024-01-31' as date)", "date"), ("at", "cast('2024-01-31 16:30:00' as timestamp)", "timestamp"),
        ("money", "cast(12.30 as decimal(18, 2))", "decimal(18,2)"), ("whole", "cast(12 as decimal(18, 2))", "decimal(18,2)"),
        ("share", "cast(0.000001 as decimal(9, 6))", "decimal(9,6)"), ("half", "cast(0.5 as decimal(9, 6))", "decimal(9,6)"),
        ("count", "cast(5 as bigint)", "bigint"), ("flag", "true", "boolean"),
    ]) }} as json,
    {{ listagg("cast(hundredths as string)", "; ", "name") }} as hundredths,
    {{ listagg("cast(millionths as string)", "; ", "name") }} as millionths,
    {{ business_date("cast('2024-01-31 16:30:00' as timestamp)", "'Asia/Shanghai'") }} as shanghai_on,
    {{ business_date("cast('2024-03-10 04:30:00' as timestamp)", "'America/New_York'") }} as new_york_on,
    {{ business_hour("cast('2024-07-01 02:30:00' as timestamp)", "'America/New_York'") }} as new_york_hour,
    {{ iso_weekday("cast('2024-03-10' as date)") }} as sunday,
    {{ days_after("cast('2024-02-28' as date)", 2) }} as after_leap_day,
    {{ days_between("cast('0001-01-01' as date)", "cast('2024-03-01' as date)") }} as days_of_the_era,
    {{ measured("avg(part)") }} as mean,
    cast(sum({{ rounded("cast(part as double) / 7", 28, 12) }}) as string) as trillionths
from ratios
inner join pairs using (name)
"""


@dataclass(frozen=True)
class Differing:
    """A table that the engines published differently: rows of each, and the columns that hold the difference."""

    table: str
    rows: tuple[int | None, int | None]
    columns: list[str]

    def __str__(self) -> str:
        return (
            f"{self.table}: {self.rows[0]} rows by DuckDB, {self.rows[1]} by Spark; different in {', '.join(self.columns) or 'their types'}"
        )


def java_version() -> int | None:
    """The major version of the Java that Spark would find, None without one."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None or not Path(java).exists():
        return None
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    words = told.split('"')
    return int(words[1].split(".")[0]) if len(words) > 1 and words[1].split(".")[0].isdigit() else None


def differing(left: generations.Generation, right: generations.Generation) -> list[Differing]:
    """Every table whose content hash is not the same in both generations, or that only one has."""
    hashes = left.manifest.content_hashes(), right.manifest.content_hashes()
    found = []
    for table in sorted(hashes[0].keys() | hashes[1].keys()):
        if hashes[0].get(table) == hashes[1].get(table):
            continue
        files = [generation.manifest.files.get(f"{table}.parquet") for generation in (left, right)]
        columns = _columns(left.path / f"{table}.parquet", right.path / f"{table}.parquet") if all(files) else []
        found.append(Differing(table, (files[0].rows if files[0] else None, files[1].rows if files[1] else None), columns))
    return found


def _columns(left: Path, right: Path) -> list[str]:
    """Columns whose values, as a bag, are not the same."""
    with duckdb.connect() as connection:
        names = [row[0] for row in connection.execute(f"describe select * from read_parquet('{left}')").fetchall()]
        listed = ", ".join(f"sum(hash(columns.{name}))" for name in names)
        first, second = (
            connection.execute(f"select {listed} from read_parquet('{path}') as columns").fetchone() or () for path in (left, right)
        )
    return [name for name, one, other in zip(names, first, second, strict=True) if one != other]


def _run(engine: Engine, home: Home, shop: str, arguments: list[str]) -> tuple[generations.Generation, float]:
    begun = time.perf_counter()
    os.environ |= {"USEROPS_ENGINE": engine, "USEROPS_HOME": str(home.root), "USEROPS_SOURCE": shop}
    cli.main.main([*arguments, "--dry-run"], standalone_mode=False)
    DuckDBConnectionManager.close_all_connections()  # a command ends here; a build from scratch removes the file that dbt still holds
    published = generations.current(home)
    assert published is not None
    return published, time.perf_counter() - begun


def main() -> int:
    version = java_version()
    if version is None or version < JAVA:
        print(
            f"Spark needs Java {JAVA} or newer and {'there is none' if version is None else f'this is Java {version}'}; install one, or set JAVA_HOME."
        )
        return 2
    if "--java" in sys.argv:
        return 0
    shop = next(iter(sys.argv[1:]), "sample_shop")
    if shop not in STEPS:
        print(f"There is no shop {shop!r} to build; there are {' and '.join(STEPS)}.")
        return 2
    os.environ["SPARK_CONF_DIR"] = str(PROJECT_DIR / "tests" / "spark" / "conf" / shop)
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    failed = 0
    with tempfile.TemporaryDirectory(prefix="userops-spark-") as folder:
        homes = {engine: Home(Path(folder) / engine) for engine in ENGINES}
        if shop == "demo_shop":
            os.environ["USEROPS_DEMO_SHOP"] = str(Path(folder) / shop)
            cli.main.main([*DEMO, "--out", os.environ["USEROPS_DEMO_SHOP"]], standalone_mode=False)
        for name, arguments, nights_at_once in STEPS[shop]:
            print(f"— {name}", flush=True)
            os.environ["USEROPS_NIGHTS_AT_ONCE"] = nights_at_once
            (left, left_seconds), (right, right_seconds) = (_run(engine, homes[engine], shop, arguments) for engine in ENGINES)
            different = differing(left, right)
            tables = len(left.manifest.content_hashes())
            print(
                f"  {tables - len(different)} of {tables} published tables are equal "
                f"(since {right.manifest.window_from}; DuckDB {left_seconds:.0f} s, Spark {right_seconds:.0f} s)",
                flush=True,
            )
            for difference in different:
                print(f"  ✗ {difference}", flush=True)
            failed += len(different)
        failed += _macros(homes) + _unit_tests(homes["spark"])
        used = resource.getrusage(resource.RUSAGE_SELF)
    print("equal" if not failed else f"{failed} differences", f"(this process used {used.ru_utime + used.ru_stime:.0f} s of CPU)")
    return 1 if failed else 0


def _macros(homes: dict[Engine, Home]) -> int:
    """Ask every engine macro the same of both engines; gives how many columns differ."""
    from userops_pipeline.defs import transform

    answers = []
    for engine, home in homes.items():
        os.environ["USEROPS_ENGINE"] = engine
        outcome = transform.invoke(home, ["--quiet", "show", "--output", "json", "--inline", MACROS])
        if not outcome.success:
            print(f"  ✗ the macros do not run on {engine}: {outcome.exception or outcome.result.results[0].message}")
            return 1
        table = outcome.result.results[0].agate_table
        answers.append({name: str(value) for name, value in zip(table.column_names, table.rows[0], strict=True)})
    different = [name for name, value in answers[0].items() if value != answers[1][name]]
    print(f"— engine macros\n  {len(answers[0]) - len(different)} of {len(answers[0])} answers are equal", flush=True)
    for name in different:
        print(f"  ✗ {name}: {answers[0][name]} by DuckDB, {answers[1][name]} by Spark")
    return len(different)


def _unit_tests(home: Home) -> int:
    """dbt's unit tests on Spark; the nightly build leaves them out."""
    from userops_pipeline.defs import transform

    outcome = transform.invoke(home, ["--quiet", "test", "--select", "test_type:unit"])
    verdicts = [str(result.status) for result in outcome.result.results] if outcome.result else []
    print(f"— unit tests on Spark\n  {verdicts.count('pass')} of {len(verdicts)} pass", flush=True)
    return len(verdicts) - verdicts.count("pass") + (not verdicts)


if __name__ == "__main__":
    sys.exit(main())
