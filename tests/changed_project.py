"""The dbt project with other settings: a copy of it in which single values of its YAML are changed, as a shop would change them.

Add here what a change needs beyond replacing the value of a key. Must not know a setting, nor run dbt.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from userops_pipeline.ground.home import DBT_PROJECT_DIR


def project_with(folder: Path, changes: Mapping[str, Mapping[str, object]]) -> Path:
    """A copy in `folder`; `changes` holds new values by key, by file under models/. Each key must stand in its file once."""
    project = folder / "dbt_project"
    shutil.copytree(DBT_PROJECT_DIR, project, ignore=shutil.ignore_patterns("target", "logs"))
    for file, values in changes.items():
        text = (project / "models" / file).read_text(encoding="utf-8")
        for key, value in values.items():
            text, times = re.subn(rf"(?m)^( +{key}:) [^ \n]+", rf"\1 {value}", text)
            assert times == 1, f"{key} stands {times} times in {file}"
        (project / "models" / file).write_text(text, encoding="utf-8")
    return project
