"""`make check-duckdb`: the same lake built by two releases of DuckDB, the pinned one and the one of its long-term line, and everything compared.

Here lives how a build runs on another release, each in a process of its own; shops, steps and comparison are those of tests/whole_builds.py.
Add a shop when it asks the engine something that no other does. Must not know a table or a rule, nor repair a difference.

The lake of all nights is made once, by the pinned release: mappings are judged on the parse tree of that release and refused on any other. What runs
on both are the gate, the build with its tests, the scores and the generation, night by night, and dbt's unit tests.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import duckdb

from tests import whole_builds
from tests.bench import processes
from tests.sources.conftest import SHARED_DATA
from userops_pipeline.ground.home import PROJECT_DIR, Home
from userops_pipeline.ground.sql import identifier
from userops_pipeline.publish import generations

PART = ["-m", "tests.releases.part"]
# Real shops beside their sources: the folder of the data, where it is at hand.
REAL = {"tests/sources/olist": "olist_sample20k"}


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.releases.check")
    asked.add_argument("--other", type=Path, required=True, help="folder with the other release, installed by `pip install --target`")
    asked.add_argument("--demo", default=whole_builds.SIMULATED, help="what `userops simulate` is told (default: %(default)s)")
    asked.add_argument("shops", nargs="*", help="sources; nothing said: all that are at hand")
    said = asked.parse_args()
    releases = {duckdb.__version__: "", _release_in(said.other): str(said.other.resolve())}
    if len(releases) == 1:
        print(f"Both are DuckDB {duckdb.__version__}; there is nothing to compare.")
        return 2
    try:
        failed = sum(_compare(shop, releases, said.demo) for shop in said.shops or _at_hand())
    except processes.Failed as error:
        print(f"✗ {error}")
        return 1
    print("equal" if not failed else f"{failed} differences")
    return 1 if failed else 0


def _at_hand() -> list[str]:
    shops = [whole_builds.SAMPLE, whole_builds.DEMO]
    for source, data in REAL.items():
        if (PROJECT_DIR / source).is_dir() and (SHARED_DATA / data).is_dir():
            shops.append(source)
        else:
            print(f"left out: {source}, which is not at hand (its data: {data})")
    return shops


def _release_in(folder: Path) -> str:
    [description] = folder.glob("duckdb-*.dist-info")
    return description.name.removeprefix("duckdb-").removesuffix(".dist-info")


def _compare(shop: str, releases: dict[str, str], demo: str) -> int:
    """Build a shop step by step with both releases, pinned first; says what differs and gives how much does."""
    failed, seconds = 0, dict.fromkeys(releases, 0.0)
    print(f"{shop}", flush=True)
    with tempfile.TemporaryDirectory(prefix="userops-releases-") as folder:
        pinned, *_ = homes = [Home(Path(folder) / release) for release in releases]
        last = whole_builds.simulate(Path(folder) / shop, demo) if shop == whole_builds.DEMO else None
        if shop in REAL:
            os.environ["USEROPS_TEST_DATA"] = str(SHARED_DATA / REAL[shop])
        steps = whole_builds.steps_of(_source(shop), last)
        _on(pinned, shop, "", ["lake", str(steps[0].first), str(steps[-1].last)])
        for home in homes:
            if home is not pinned:
                # Files of a lake are renamed into place and never written again.
                shutil.copytree(pinned.landing.parent, home.landing.parent, copy_function=os.link)
        for step in steps:
            print(f"— {step.name}", flush=True)
            nights = [str(step.first), str(step.last), *(["--from-scratch"] if step.from_scratch else [])]
            used = {}
            for home, (release, packages) in zip(homes, releases.items(), strict=True):
                cpu = _on(home, shop, packages, ["tables", *nights], USEROPS_NIGHTS_AT_ONCE=step.nights_at_once)
                used[f"DuckDB {release}"] = f"{cpu:.0f} CPU s"
                seconds[release] += cpu
            published = [_published(home) for home in homes]
            assert [generation.manifest.versions["duckdb"] for generation in published] == list(releases), "each by its own release"
            failed += whole_builds.told(*published, used) + told_models(homes) + told_verdicts(published)
        print("— unit tests", flush=True)
        for home, (release, packages) in zip(homes, releases.items(), strict=True):
            seconds[release] += _on(home, shop, packages, ["unit-tests"])
            passed, units = json.loads((home.root / "unit_tests.json").read_text(encoding="utf-8"))
            print(f"  {passed} of {units} pass on DuckDB {release}", flush=True)
            failed += units - passed + (not units)
    print(f"  in all: {', '.join(f'DuckDB {release} {used:.0f} CPU s' for release, used in seconds.items())}", flush=True)
    return failed


def _on(home: Home, shop: str, packages: str, what: list[str], **environment: str) -> float:
    """CPU seconds of a part of a run, in a process whose DuckDB is the one in the folder `packages`; the pinned one where that is empty."""
    path = os.pathsep.join(filter(None, [packages, os.environ.get("PYTHONPATH")]))
    there = {"USEROPS_HOME": str(home.root), "USEROPS_SOURCE": _source(shop), "PYTHONPATH": path}
    return processes.run([*PART, *what], {**there, **environment}).cpu


def _source(shop: str) -> str:
    return str(PROJECT_DIR / shop) if shop in REAL else shop


def _published(home: Home) -> generations.Generation:
    generation = generations.current(home)
    assert generation is not None, f"{home.root.name} published nothing"
    return generation


def told_models(homes: list[Home]) -> int:
    """Say which tables of the warehouses, published or not, do not hold the same rows. Both are read by the pinned release."""
    found = [_rows_by_model(home) for home in homes]
    different = sorted(name for name in found[0].keys() | found[1].keys() if found[0].get(name) != found[1].get(name))
    print(
        f"  {len(found[0].keys() | found[1].keys()) - len(different)} of {len(found[0].keys() | found[1].keys())} tables of models hold the same rows",
        flush=True,
    )
    for name in different:
        print(f"  ✗ {name}", flush=True)
    return len(different)


def _rows_by_model(home: Home) -> dict[str, tuple[object, ...]]:
    """Columns with their types, count and a hash of the rows in any order, by table that dbt built."""
    with duckdb.connect(str(home.warehouse), read_only=True) as connection:
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() where schema_name <> 'raw' order by all"
        ).fetchall()
        found: dict[str, tuple[object, ...]] = {}
        for table in tables:
            name = ".".join(map(identifier, table))
            columns = [column[:2] for column in connection.execute(f"describe {name}").fetchall()]
            rows = connection.execute(f"select count(*), sum(hash(rows)) from {name} as rows").fetchone()
            found[".".join(table)] = (columns, rows)
    return found


def told_verdicts(published: list[generations.Generation]) -> int:
    """Say which tests of the build, gate or scores came to another verdict or count."""
    found = [{(check.name, check.verdict, check.rows_failed) for check in generation.manifest.checks} for generation in published]
    different = sorted({name for name, *_ in found[0] ^ found[1]})
    print(f"  {len(found[0]) - len(different)} of {len(found[0])} tests came to the same verdict and count", flush=True)
    for name in different:
        print(f"  ✗ {name}", flush=True)
    return len(different)


if __name__ == "__main__":
    sys.exit(main())
