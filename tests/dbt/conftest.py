"""What the tests of the dbt project share: its manifest, read once, without a warehouse.

Add what several files of this folder need; what one file needs lives in that file.
Must not build tables: a test that needs them says so itself.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.dbt_runs import run_dbt


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The manifest of the project as `dbt parse` writes it."""
    target = tmp_path_factory.mktemp("manifest")
    run_dbt(target / "userops.duckdb", "parse", target=target)
    return json.loads((target / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The SQL of every model as DuckDB would run it, by name; nothing is run."""
    target = tmp_path_factory.mktemp("compiled")
    run_dbt(target / "userops.duckdb", "compile", "--select", "resource_type:model", target=target)
    return {
        path.stem: path.read_text(encoding="utf-8")
        for path in (target / "compiled" / "userops" / "models").rglob("*.sql")
        if path.parent.suffix != ".yml"
    }


@pytest.fixture(scope="session")
def models(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every model by name."""
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
