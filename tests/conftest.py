"""How the tests are handed out to processes: what shares the shops of the flow to one, from the start, every other file to whoever is free.

Here lives the order only; add here when a folder shares something too dear to build twice.
Must not hold a fixture: what tests share lives in their own folder.
"""

from __future__ import annotations

import pytest

REAL_DATA = "test_flow_published_numbers.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the flow share shops that take minutes to build, so one process builds them once; they begin, since they take longest.

    Real data have homes of their own: whoever is free takes them next.
    """
    for item in items:
        folder, file = item.path.parent.name, item.path.name
        shares = folder == "flow" and file != REAL_DATA
        item.add_marker(pytest.mark.xdist_group("flow" if shares else f"{folder}/{file}"))
    items.sort(key=lambda item: (item.path.parent.name != "flow", item.path.name == REAL_DATA))
