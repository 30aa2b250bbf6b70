"""dbt as this project runs it: one runner in this process, its environment without secrets, and the manifest of the project as it is now.

Here lives everything that imports dbt. Add a setting that every command of dbt needs here; which command is run, and what is made of its results,
is for the caller. Must not know a model or a rule.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from userops_pipeline.build import engine, warehouse
from userops_pipeline.ground.home import Home, UserOpsError, write_json


def _environment(home: Home) -> dict[str, str]:
    return {
        "USEROPS_WAREHOUSE": str(home.warehouse),
        "USEROPS_SPARK": str(home.spark),
        "DBT_TARGET": engine.engine(),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_PROFILES_DIR": str(home.project),
        "DBT_PROJECT_DIR": str(home.project),
        "DBT_TARGET_PATH": str(home.dbt_target),
        "DBT_LOG_PATH": str(home.dbt_target / "logs"),
        "DBT_LOG_LEVEL": "none",
        # dbt's log quotes the values that a model could not take; who needs it says so.
        "DBT_LOG_LEVEL_FILE": os.environ.get("DBT_LOG_LEVEL_FILE") or "none",
        "DBT_USE_COLORS": "false",
        "DBT_VERSION_CHECK": "false",
    }


# What dbt and the engines under it need of the environment; all else could be printed by a text that dbt renders. Of DBT_ENV_SECRET_… dbt
# itself sees to it that only its profile reads them.
KEPT = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|TZ|TMPDIR|TEMP|TMP|PWD|VIRTUAL_ENV|(LC|LD|DYLD|XDG|PYTHON|PYTEST|COVERAGE|COV|OMP)_?\w*"
    r"|(DBT|DAGSTER|JAVA|SPARK|PYSPARK|HADOOP)_\w+"
    r"|USEROPS_(HOME|SOURCE|MEMORY|ENGINE|SPARK|NIGHTS_AT_ONCE|HOUR|SCHEDULE_ZONE|KILL_AT)"
)


@contextlib.contextmanager
def dbt_environment(home: Home) -> Iterator[None]:
    """The environment as dbt sees it: its own settings and what every program needs, and none of the secrets."""
    ours = _environment(home)
    before = {name: os.environ.get(name) for name in {*os.environ, *ours} if name in ours or not KEPT.fullmatch(name)}
    try:
        for name in before.keys() - ours.keys():
            os.environ.pop(name, None)
        os.environ.update(ours)
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def invoke(home: Home, arguments: list[str], callbacks: list[Any] | None = None) -> Any:
    """What dbt's own runner says of one command on this home: `success`, `exception`, `result`."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner  # seconds to import: only a run or a stale manifest needs it

    home.dbt_target.mkdir(parents=True, exist_ok=True)
    with dbt_environment(home):
        try:
            return dbtRunner(callbacks=callbacks or []).invoke(arguments)
        finally:
            # Else dbt keeps the warehouse open, as sealed as it was for the build.
            DuckDBConnectionManager.close_all_connections()


def manifest_of(home: Home) -> dict[str, Any]:
    """dbt's manifest of the project as it is now; parsed anew only when a model, macro or rule has changed.

    Raises:
        UserOpsError: the project cannot be parsed; the sentence is dbt's own.
    """
    stamp = home.dbt_target / "manifest.stamp.json"
    manifest = home.dbt_target / "manifest.json"
    project = warehouse.project_hash(home)
    if not (manifest.is_file() and stamp.is_file() and json.loads(stamp.read_text(encoding="utf-8")) == project):
        result = invoke(home, ["--quiet", "parse"])
        remembered = home.dbt_target / "partial_parse.msgpack"
        if not result.success and remembered.is_file():
            # dbt trips over what it remembers when a description moves to another file; what it says without memory counts.
            remembered.unlink()
            result = invoke(home, ["--quiet", "parse"])
        if not result.success:
            raise UserOpsError(f"The dbt project cannot be parsed: {' '.join(str(result.exception).split())[:600]}")
        write_json(stamp, project)
    return _read_manifest(manifest, manifest.stat().st_mtime_ns)


@cache
def _read_manifest(path: Path, _: int) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
