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
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Installed:
    """The engine where there is no checkout, and an empty folder to call it in."""

    packages: Path
    python: Path
    folder: Path

    def run(self, *arguments: str, inside: str = "") -> str:
        left_out = ("USEROPS_", "DAGSTER_", "DBT_", "PYTHONPATH")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        command = [self.python, "-m", "userops_pipeline.cli", *arguments]
        before = self.files()
        done = subprocess.run(command, cwd=self.folder / inside, env=environment, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said[-3000:]
        assert [name for name in BROUGHT if str(PROJECT_DIR / name) in said] == []
        assert self.files() == before, "nothing is written into the package"
        return said

    def files(self) -> set[Path]:
        return {path for path in self.packages.rglob("*") if "__pycache__" not in path.parts}


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Installed:
    venv.create(tmp_path / "venv", with_pip=False)
    places = {"base": str(tmp_path / "venv"), "platbase": str(tmp_path / "venv")}
    packages = Path(sysconfig.get_path("purelib", vars=places))
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(packages)
    # What it depends on is what these tests run with; the engine itself is found here first.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    folder = tmp_path / "empty"
    folder.mkdir()
    return Installed(packages, tmp_path / "venv" / "bin" / "python", folder)


def test_an_installed_engine_knows_its_rules_and_sources_in_an_empty_folder(installed: Installed) -> None:
    assert "the rules are sound" in installed.run("rules", "check", "--source", "sample_shop")
    assert not list(installed.folder.iterdir())


def test_an_installed_engine_begins_a_shop_that_is_sound(installed: Installed) -> None:
    installed.run("init", "demo", "--template", "grocer")
    assert "the rules are sound" in installed.run("rules", "check", inside="demo")
    assert "The rules are those of the template grocer" in installed.run("rules", "diff", inside="demo/rules")
    assert [path.name for path in installed.folder.iterdir()] == ["demo"]


OWN_MODEL = """
select orders.user_id, count(*) as night_order_count
from {{ ref("user_orders") }} as orders
group by orders.user_id
"""
OWN_YAML = """
models:
  - name: my_buyers
    description: One row per buyer.
    config: {meta: {label: 我的买家}}
    columns:
      - {name: user_id, data_type: string, description: The buyer, data_tests: [not_null, unique]}
      - {name: night_order_count, data_type: bigint, description: Orders so far}
"""


@pytest.mark.soak
def test_an_installed_engine_runs_every_night_of_a_shop_with_a_model_of_its_own(installed: Installed) -> None:
    installed.run("init", "demo", "--template", "grocer")
    demo = installed.folder / "demo"
    (demo / "models").mkdir()
    (demo / "models" / "my_buyers.sql").write_text(OWN_MODEL, encoding="utf-8")
    (demo / "models" / "my_buyers.yml").write_text(OWN_YAML, encoding="utf-8")
    installed.run("run", inside="demo")
    with duckdb.connect(str(demo / ".userops" / "published" / "userops.duckdb"), read_only=True) as published:
        assert published.execute("select count(*) > 0 from user_profile").fetchall() == [(True,)]
        assert published.execute("select sum(night_order_count) = (select count(*) from user_orders) from my_buyers").fetchall() == [
            (True,)
        ]
    assert "我的买家" in (demo / ".userops" / "published" / "current" / "dictionary.html").read_text(encoding="utf-8")
    assert sorted(path.name for path in installed.folder.iterdir()) == ["demo"]
