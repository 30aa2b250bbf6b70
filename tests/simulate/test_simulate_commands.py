"""The demo shop from the command line: what a newcomer types, and what happens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from userops_pipeline.cli import main
from userops_pipeline.ground.home import PROJECT_DIR


def test_simulate_says_what_it_wrote(tmp_path: Path) -> None:
    made = CliRunner().invoke(
        main, ["simulate", "--users", "60", "--days", "4", "--dirt", "0.05", "--seed", "9", "--out", str(tmp_path / "shop")]
    )
    assert made.exit_code == 0, made.output
    assert "60 users, 4 nights" in made.stderr
    assert sorted(path.name for path in (tmp_path / "shop" / "drops").iterdir()) == [f"2026-01-0{day}" for day in range(1, 5)]


def test_simulate_refuses_in_a_sentence(tmp_path: Path) -> None:
    refused = CliRunner().invoke(main, ["simulate", "--dirt", "0.9", "--out", str(tmp_path)])
    assert refused.exit_code == 1
    assert "--dirt is a share of the rows between 0 and 0.2" in refused.stderr
    assert "Traceback" not in refused.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.soak
def test_a_small_demo_goes_through_the_whole_flow(tmp_path: Path) -> None:
    """From files to lists; the truth beside the files is not needed."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT_DIR),
        "USEROPS_HOME": str(tmp_path / "home"),
        "USEROPS_DEMO_SHOP": str(tmp_path / "shop"),
    }

    def run(*arguments: str) -> None:
        done = subprocess.run([sys.executable, "-m", "userops_pipeline.cli", *arguments], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]

    run("simulate", "--users", "400", "--days", "20", "--dirt", "0.03", "--out", str(tmp_path / "shop"))
    for path in (tmp_path / "shop" / "truth").iterdir():
        path.unlink()
    run("backfill", "--source", "demo_shop", "--to", "2026-01-20")
    with duckdb.connect(str(tmp_path / "home" / "published" / "userops.duckdb"), read_only=True) as connection:
        ((users,),) = connection.execute("select count(*) from user_profile").fetchall()
        lists = connection.execute("select count(*), sum(exported) from audience_sizes where exported > 0").fetchall()
    assert 250 < users <= 400
    assert lists[0][0] >= 4
    assert lists[0][1] > 20
