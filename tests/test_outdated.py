"""`make outdated` tells what is behind and why it waits, and finds a reason that is missing or kept for nothing; without asking the index.

Add a way in which pyproject.toml holds a package back. Must not look at releases: they change without us.
"""

from __future__ import annotations

from requirements import outdated

PYPROJECT = """
[project]
dependencies = ["pinned==1.0", "bounded>=1.1,<2", "compatible~=1.2", "Free_One[extra]>=3"]
[project.optional-dependencies]
dev = ["tool"]
"""
LISTED = [{"name": name, "version": "1.0", "latest_version": "9.9"} for name in ("pinned", "free-one", "of-somebody-else")]
PAGE = f"# Environment\n\n## Behind\n\n{outdated.TABLE}\n|---|---|\n| pinned, bounded | it breaks us |\n\nMore.\n"


def test_what_holds_a_package_back_is_a_pin_or_an_upper_bound() -> None:
    assert outdated.direct(PYPROJECT) == {"pinned": True, "bounded": True, "compatible": True, "free-one": False, "tool": False}


def test_only_what_we_ask_for_ourselves_is_told() -> None:
    found = outdated.behind(outdated.direct(PYPROJECT), LISTED)
    assert [(package.name, package.is_held) for package in found] == [("pinned", True), ("free-one", False)]
    lines, wrong = outdated.told(found, {"pinned": "it breaks us"})
    assert (lines[0], wrong) == ("pinned 1.0 → 9.9: it breaks us", 0)
    assert lines[1].startswith("free-one 1.0 → 9.9: free")


def test_a_reason_that_is_missing_or_kept_for_nothing_is_found() -> None:
    found = outdated.behind(outdated.direct(PYPROJECT), LISTED)
    assert outdated.told(found, {})[1] == 1
    lines, wrong = outdated.told(found, outdated.reasons(PAGE))
    assert (wrong, lines[-1]) == (1, "✗ bounded: environment.md says why it waits, and it does not")


def test_every_reason_that_is_written_is_for_a_package_that_is_held_back() -> None:
    asked = outdated.direct((outdated.PROJECT_DIR / "pyproject.toml").read_text(encoding="utf-8"))
    why = outdated.reasons(outdated.REASONS.read_text(encoding="utf-8"))
    assert why and all(asked[name] and reason for name, reason in why.items())
