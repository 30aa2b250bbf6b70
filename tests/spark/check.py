"""`make check-spark`: a shop built night by night by both engines through the whole flow, and every published table compared.

The sample shop asks for every kind of build in minutes; `make check-spark SHOP=demo_shop` is the demo, 20,000 users × 120 nights with dirt,
`SHOP=tests/dbt/content_account` a business without orders. Here lives what only two engines can differ in; shops, steps and comparison are those of tests/whole_builds.py. Add here what the sample shop does not ask of a macro.
Must not know a table or a rule, nor repair a difference.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dbt.adapters.duckdb.connections import DuckDBConnectionManager

from tests import whole_builds
from userops_pipeline import cli
from userops_pipeline.build.engine import Engine
from userops_pipeline.ground.home import PROJECT_DIR, Home
from userops_pipeline.publish import generations

ENGINES: tuple[Engine, Engine] = ("duckdb", "spark")
JAVA = 17
CONTENT_ACCOUNT = "tests/dbt/content_account"  # no orders, and members who pay for a time
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


def java_version() -> int | None:
    """The major version of the Java that Spark would find, None without one."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None or not Path(java).exists():
        return None
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    words = told.split('"')
    return int(words[1].split(".")[0]) if len(words) > 1 and words[1].split(".")[0].isdigit() else None


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
    shop, shops = next(iter(sys.argv[1:]), whole_builds.SAMPLE), (whole_builds.SAMPLE, whole_builds.DEMO, CONTENT_ACCOUNT)
    if shop not in shops:
        print(f"There is no shop {shop!r} to build; there are {', '.join(shops)}.")
        return 2
    os.environ["SPARK_CONF_DIR"] = str(
        PROJECT_DIR / "tests" / "spark" / "conf" / (shop if shop == whole_builds.DEMO else whole_builds.SAMPLE)
    )
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    failed = 0
    with tempfile.TemporaryDirectory(prefix="userops-spark-") as folder:
        homes = {engine: Home(Path(folder) / engine) for engine in ENGINES}
        if shop == whole_builds.DEMO:
            whole_builds.simulate(Path(folder) / shop)
        for step in whole_builds.steps_of(shop):
            print(f"— {step.name}", flush=True)
            os.environ["USEROPS_NIGHTS_AT_ONCE"] = step.nights_at_once
            (left, left_seconds), (right, right_seconds) = (_run(engine, homes[engine], shop, step.command) for engine in ENGINES)
            failed += whole_builds.told(left, right, {"DuckDB": f"{left_seconds:.0f} s", "Spark": f"{right_seconds:.0f} s"})
        failed += _macros(homes)
        passed, units = whole_builds.unit_tests(homes["spark"])
        print(f"— unit tests on Spark\n  {passed} of {units} pass", flush=True)
        failed += units - passed + (not units)
        used = resource.getrusage(resource.RUSAGE_SELF)
    print("equal" if not failed else f"{failed} differences", f"(this process used {used.ru_utime + used.ru_stime:.0f} s of CPU)")
    return 1 if failed else 0


def _macros(homes: dict[Engine, Home]) -> int:
    """Ask every engine macro the same of both engines; gives how many columns differ."""
    from userops_pipeline.build import dbt

    answers = []
    for engine, home in homes.items():
        os.environ["USEROPS_ENGINE"] = engine
        outcome = dbt.invoke(home, ["--quiet", "show", "--output", "json", "--inline", MACROS])
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


if __name__ == "__main__":
    sys.exit(main())
