"""The wheel carries everything: installed where there is no checkout, the command runs a night from files to lists in an empty folder.

Add what an installed engine must find. Must not lean on the checkout: it is built of a copy, and installed apart.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import duckdb
import pytest

from userops_pipeline.ground.home import PROJECT_DIR

# Folders whose files are in it, and under which place; what runs leave in them is not.
BROUGHT = {"userops_pipeline": "", "dbt_project": "userops_pipeline/", "data/sample_shop": "userops_pipeline/"}
MADE = {"__pycache__", "target", "logs", ".user.yml", "dbt_packages"}
LEFT = shutil.ignore_patterns(*MADE)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "workspace.yaml"):
        (folder / "source").mkdir(exist_ok=True)
        shutil.copy(PROJECT_DIR / name, folder / "source")
    for name in BROUGHT:
        shutil.copytree(PROJECT_DIR / name, folder / "source" / name, ignore=LEFT)
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([sys.executable, *build, "-w", folder, folder / "source"], check=True)
    [built] = folder.glob("*.whl")
    return built


def test_the_wheel_has_every_file_that_the_product_reads(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        held = set(opened.namelist())
    for name, inside in BROUGHT.items():
        there = {path.relative_to(PROJECT_DIR).as_posix() for path in (PROJECT_DIR / name).rglob("*") if path.is_file()}
        wanted = {place for place in there if not set(Path(place).parts) & MADE}
        assert len(wanted) > 20
        assert {place for place in wanted if inside + place not in held} == set()


def test_an_installed_engine_runs_a_night_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    installed = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "venv"), "platbase": str(tmp_path / "venv")}))
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(installed)
    # What it depends on is what these tests run with; the engine itself is found here first.
    (installed / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    before = set(installed.rglob("*"))
    shop = tmp_path / "empty"
    shop.mkdir()
    left_out = ("USEROPS_", "DAGSTER_", "DBT_", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    command = [
        tmp_path / "venv" / "bin" / "python",
        "-m",
        "userops_pipeline.cli",
        "nightly",
        "--source",
        "sample_shop",
        "--date",
        "2026-03-01",
    ]
    done = subprocess.run(command, cwd=shop, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    for name in BROUGHT:
        assert str(PROJECT_DIR / name) not in done.stdout + done.stderr
    with duckdb.connect(str(shop / "data" / "published" / "userops.duckdb"), read_only=True) as published:
        assert published.execute("select count(*) > 0 from user_profile").fetchall() == [(True,)]
    assert sorted(path.name for path in shop.iterdir()) == ["data"]
    assert {path for path in installed.rglob("*") if path.suffix != ".pyc" and "__pycache__" not in path.parts} == before, (
        "nothing is written there"
    )
