"""A part of a run in a process of its own, on whatever DuckDB this process finds: `python -m tests.releases.part`.

Here lives what the product's command has no word for: the lake without the tables, the tables without the lake. Add a part when releases must be
held against each other in it. Must not compare: that is the parent's.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import date

import dagster as dg

from tests import whole_builds
from userops_pipeline import cli
from userops_pipeline.definitions import build_definitions
from userops_pipeline.defs.automation import failures_of
from userops_pipeline.defs.gate import gate_checks
from userops_pipeline.defs.publish import GENERATION
from userops_pipeline.defs.resources import FIRST_NIGHT_TAG, partitions_of
from userops_pipeline.defs.transform import GROUPS
from userops_pipeline.ground.home import write_json
from userops_pipeline.intake import mappings


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("part", choices=("lake", "tables", "unit-tests"))
    asked.add_argument("nights", nargs="*", type=date.fromisoformat)
    asked.add_argument("--from-scratch", action="store_true")
    said = asked.parse_args()
    os.environ["USEROPS_ENGINE"] = "duckdb"
    if said.part != "lake":
        # The pinned release judged the mappings when it made the lake; another writes its parse tree in another way, and would refuse them all.
        mappings._Judge._refuse = lambda *_: None
    shop = cli.shop_of(None)
    if said.part == "unit-tests":
        write_json(shop.home.root / "unit_tests.json", list(whole_builds.unit_tests(shop.home)))
        return
    first, last = said.nights
    definitions, gate = build_definitions(shop), dg.AssetSelection.checks(gate_checks(shop))
    lake = dg.AssetSelection.groups("land", "conform").without_checks()
    tables = dg.AssetSelection.groups(*GROUPS.values(), "score") | dg.AssetSelection.assets(GENERATION) | gate
    job = dg.define_asset_job("part", selection=tables if said.part == "tables" else lake, partitions_def=partitions_of(shop))
    ops = {"build": {"config": {"full_refresh": said.from_scratch}}} if said.part == "tables" else {}
    with dg.DagsterInstance.get() as instance:
        result = (
            dg.Definitions.merge(definitions, dg.Definitions(jobs=[job]))
            .resolve_job_def("part")
            .execute_in_process(
                instance=instance,
                partition_key=last.isoformat(),
                tags={FIRST_NIGHT_TAG: first.isoformat()} if first < last else {},
                run_config={"loggers": {"console": {}}, "ops": ops},
                raise_on_error=False,
            )
        )
    if not result.success:
        sys.exit("; ".join(f"{failure.step}: {failure.sentence}" for failure in failures_of(result.all_events)))


if __name__ == "__main__":
    main()
