"""What the tests of the dbt project share: its manifest, read once, without a warehouse.

Add what several files of this folder need; what one file needs lives in that file.
Must not build tables: a test that needs them says so itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dbt.cli.main import dbtRunner

PROJECT = Path(__file__).parents[2] / "dbt_project"


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The manifest of the project as `dbt parse` writes it."""
    target = tmp_path_factory.mktemp("manifest")
    folders = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target-path", str(target), "--log-path", str(target)]
    result = dbtRunner().invoke(["parse", "--quiet", *folders])
    assert result.success, result.exception
    return json.loads((target / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The SQL of every model as DuckDB would run it, by name; nothing is run."""
    target = tmp_path_factory.mktemp("compiled")
    folders = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target-path", str(target), "--log-path", str(target)]
    result = dbtRunner().invoke(["compile", "--quiet", "--select", "resource_type:model", *folders])
    assert result.success, result.exception
    return {
        path.stem: path.read_text(encoding="utf-8")
        for path in (target / "compiled" / "userops" / "models").rglob("*.sql")
        if path.parent.suffix != ".yml"
    }


@pytest.fixture(scope="session")
def models(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every model by name."""
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
