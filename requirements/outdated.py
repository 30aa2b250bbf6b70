"""`make outdated`: which of the packages we ask for ourselves have a newer release, and why each that is held back waits.

Held back is what pyproject.toml pins or bounds from above; its reason stands in the table of docs/decisions/environment.md, one row a package. What is free moves with
`make lock`. Ends with 1 where a package that is held back and behind has no reason, or a reason is kept for one that is not behind any more.
Must not look at what packages need of one another, nor change a version.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parents[1]
REASONS = PROJECT_DIR / "docs" / "decisions" / "environment.md"
TABLE = "| held back | why it waits |"


@dataclass(frozen=True)
class Behind:
    """A package of pyproject.toml with a newer release than the locked one."""

    name: str
    locked: str
    newest: str
    is_held: bool


def direct(pyproject: str) -> dict[str, bool]:
    """Whether it is held back (pinned, or bounded from above), by name of every package that the text of pyproject.toml asks for."""
    project = tomllib.loads(pyproject)["project"]
    asked = [*project["dependencies"], *(package for extra in project["optional-dependencies"].values() for package in extra)]
    return {
        normal(re.split(r"[\s\[<>=!~;]", package, maxsplit=1)[0]): bool(re.search(r"[=<~]=|<", package.replace(">=", "")))
        for package in asked
    }


def normal(name: str) -> str:
    """A package's name as the index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def behind(asked: dict[str, bool], listed: Iterable[dict[str, str]]) -> list[Behind]:
    """Of what `pip list --outdated --format json` lists, the packages we ask for ourselves."""
    return [
        Behind(normal(entry["name"]), entry["version"], entry["latest_version"], asked[normal(entry["name"])])
        for entry in listed
        if normal(entry["name"]) in asked
    ]


def reasons(decisions: str) -> dict[str, str]:
    """Why each waits, by package: the rows of the table in the text of that page, the last column."""
    rows = decisions.partition(TABLE)[2].partition("\n\n")[0].strip().splitlines()[1:]
    cells = [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in rows]
    return {normal(name): row[-1] for row in cells for name in row[0].split(", ")}


def told(found: list[Behind], why: dict[str, str]) -> tuple[list[str], int]:
    """What a person is told, line by line, and how much of it is wrong."""
    lines, wrong = [], 0
    for package in sorted(found, key=lambda package: (not package.is_held, package.name)):
        reason = why.get(package.name) if package.is_held else "free: `make lock` takes it"
        wrong += not reason
        lines.append(f"{package.name} {package.locked} → {package.newest}: {reason or f'✗ held back, and {REASONS.name} does not say why'}")
    gone = sorted(why.keys() - {package.name for package in found})
    lines += [f"✗ {name}: {REASONS.name} says why it waits, and it does not" for name in gone]
    return lines, wrong + len(gone)


def main() -> int:
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "list", "--outdated", "--format", "json"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    asked = direct((PROJECT_DIR / "pyproject.toml").read_text(encoding="utf-8"))
    found = behind(asked, json.loads(listed))
    lines, wrong = told(found, reasons(REASONS.read_text(encoding="utf-8")))
    missing = sorted(asked.keys() - {normal(package.metadata["Name"]) for package in importlib.metadata.distributions()})
    lines += [f"not installed here, so not looked at: {', '.join(missing)}"] if missing else []
    print("\n".join(lines) or "nothing that pyproject.toml asks for is behind")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
