"""What `pyproject.toml` cannot say of the wheel: it carries the dbt project, the UI's workspace and the sample shop's files inside the package.

Here lives what is copied and where to. Add here what the product reads from this folder when it runs. Must not build anything.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("dbt_project", "workspace.yaml", "data/sample_shop")  # `ground/home.py` finds them in either place


class BuildWithProject(build_py):
    """A wheel with everything that a checkout has beside the package; an editable install reads the checkout."""

    def run(self) -> None:
        super().run()
        for name in () if self.editable_mode else SHIPPED:
            target = Path(self.build_lib) / "userops_pipeline" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if Path(name).is_dir():
                shutil.copytree(name, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("target", "logs", ".user.yml"))
            else:
                shutil.copy(name, target)


setup(cmdclass={"build_py": BuildWithProject})
