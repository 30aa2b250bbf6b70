"""What the tests of the dbt project share: its manifest, read once, and where properties build shops, compiled once.

Add what several files of this folder need; what one file needs lives in that file.
Must not build tables: a test that needs them says so itself.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from compiled import Bench

from tests.changed_project import project_with
from tests.dbt_runs import run_dbt


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what `dbt parse` writes."""
    target = tmp_path_factory.mktemp("manifest")
    run_dbt(target / "userops.duckdb", "parse", target=target)
    return target


@pytest.fixture(scope="session")
def manifest(parsed: Path) -> dict[str, Any]:
    """The manifest of the project."""
    return json.loads((parsed / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def semantic_manifest(parsed: Path) -> str:
    """The semantic models and metrics as MetricFlow reads them."""
    return (parsed / "semantic_manifest.json").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def compilation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what `dbt compile` writes: every model and every test that is a file of its own; nothing is run."""
    target = tmp_path_factory.mktemp("compiled")
    run_dbt(target / "userops.duckdb", "compile", "--select", "resource_type:model", "test_type:singular", target=target)
    return target


@pytest.fixture(scope="session")
def compiled(compilation: Path) -> dict[str, str]:
    """The SQL of every model as DuckDB would run it, by name."""
    return _models_in(compilation)


@pytest.fixture(scope="session")
def compiled_tests(compilation: Path) -> dict[str, str]:
    """The SQL of every test that is a file of its own, by name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in (compilation / "compiled" / "userops" / "tests").rglob("*.sql")}


@pytest.fixture(scope="session")
def compiled_with(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, str]]:
    """The SQL of the models asked for under other settings (see changed_project); only what they change is read again."""

    def under(changes: Mapping[str, Mapping[str, object]], models: Sequence[str]) -> dict[str, str]:
        folder = tmp_path_factory.mktemp("changed")
        project = project_with(folder, changes)
        run_dbt(folder / "userops.duckdb", "compile", "--select", *models, target=folder, project=project)
        return _models_in(folder)

    return under


def _models_in(target: Path) -> dict[str, str]:
    return {
        path.stem: path.read_text(encoding="utf-8")
        for path in (target / "compiled" / "userops" / "models").rglob("*.sql")
        if path.parent.suffix != ".yml"
    }


@pytest.fixture(scope="session")
def models(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every model by name."""
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Where shops are built in memory, many times; the project is compiled once."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30
    with tempfile.TemporaryDirectory(prefix="userops-", dir=memory if roomy else tmp_path_factory.getbasetemp()) as folder:
        found = Bench(Path(folder))
        found.compile()
        yield found
