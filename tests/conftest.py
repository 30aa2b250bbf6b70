"""How the tests are handed out to processes: what shares the shops of the flow to one, from the start, every other file to whoever is free.

Here live the order and the state a process is in when a test begins; add here when a folder shares something too dear to build twice.
Must not hold a fixture: what tests share lives in their own folder.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

REAL_DATA = "test_flow_published_numbers.py"  # has homes of its own


def pytest_configure() -> None:
    """Where Spark is installed too, Great Expectations imports it, and it ends any process whose main module has no file, as xdist's have none."""
    main = sys.modules["__main__"]
    if not hasattr(main, "__file__"):
        main.__file__ = __file__


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the flow begin, since they take longest; then those of real data."""
    items.sort(key=lambda item: (item.path.parent.name != "flow", item.path.name == REAL_DATA))


class OneProcessForTheFlow(LoadFileScheduling):
    """A file to a process, and all files that share the shops of the flow to one, which builds them once."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "flow" if "/flow/" in file and not file.endswith(REAL_DATA) else file


def pytest_runtest_setup() -> None:
    """What a test starts hears SIGTERM as if a shell had started it. A run of Dagster in this process leaves SIGTERM as SIGINT is, which is
    ignored where pytest runs in the background; and what is ignored stays so in every process started from here."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneProcessForTheFlow:
    """xdist's own groups are names it adds to a test's id, which pytest 9.2 has no place for."""
    return OneProcessForTheFlow(config, log)
