"""How tests run dbt: in this process, on a warehouse of their own, the project parsed once for all of them.

Add here when every test's run of dbt needs it; what one file asks of dbt is its arguments.
Must not prepare a warehouse or look at a table: that is what the tests do.
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from pathlib import Path

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult

from tests.changed_project import GROCER, project_of

MEMORY = "partial_parse.msgpack"


def run_dbt(warehouse: Path, *arguments: str, target: Path, project: Path | None = None) -> dbtRunnerResult:
    """One dbt command on this warehouse, `target` being the folder of what it writes; every node must succeed.

    A project that differs from ours in a few files has those parsed anew, no more.
    """
    result = try_dbt(warehouse, *arguments, target=target, project=project)
    assert result.success, result.exception or failures(result)
    return result


def try_dbt(warehouse: Path, *arguments: str, target: Path, project: Path | None = None) -> dbtRunnerResult:
    """The same where something may fail."""
    target.mkdir(parents=True, exist_ok=True)
    if not (target / MEMORY).exists():
        shutil.copyfile(_remembered(warehouse.name), target / MEMORY)
    return _invoke(warehouse, [*arguments, "--quiet"], project or our_project(), target)


def failures(result: dbtRunnerResult) -> dict[str, str]:
    """What dbt says of every node that failed, by name."""
    return {row.node.name: row.message for row in result.result if row.status in ("error", "fail")}


@functools.cache
def our_project() -> Path:
    """The dbt project of a shop that has the grocer's rules as they are."""
    return project_of(GROCER, Path(tempfile.mkdtemp(prefix="project_")))


@functools.cache
def _remembered(name: str) -> Path:
    """What dbt remembers of our project after a parse for a warehouse of this name."""
    folder = Path(tempfile.mkdtemp(prefix="parsed_"))
    result = _invoke(folder / name, ["parse", "--quiet"], our_project(), folder)
    assert result.success, result.exception
    return folder / MEMORY


@functools.cache
def _link() -> Path:
    """The folder where dbt is told that every warehouse lies: it parses the project anew when the path is another one."""
    return Path(tempfile.mkdtemp(prefix="warehouse_")) / "here"


def _invoke(warehouse: Path, arguments: list[str], project: Path, target: Path) -> dbtRunnerResult:
    folders = ["--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(target), "--log-path", str(target)]
    _link().unlink(missing_ok=True)
    _link().symlink_to(warehouse.parent.resolve())
    os.environ["USEROPS_WAREHOUSE"] = str(_link() / warehouse.name)
    try:
        return dbtRunner().invoke([*arguments, *folders])
    finally:
        DuckDBConnectionManager.close_all_connections()
        del os.environ["USEROPS_WAREHOUSE"]
