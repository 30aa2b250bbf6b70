"""The homes that the proofs of the flow start from, each made once for all tests of this folder.

Add a home here when two test files start from it. Must not hold promises.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from flow_harness import EVE, FIRST, LAST, Commands, FlowShop, Shelf, make_shop


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    found = Commands(tmp_path_factory.mktemp("output"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def shop(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> FlowShop:
    return make_shop(commands, tmp_path_factory.mktemp("shop") / "shop")


@pytest.fixture(scope="session")
def shelf(shop: FlowShop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """`eve`: all nights but the last, as one backfill. In memory where there is room: Dagster's log alone waits for a disk 2,000 times a run."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 4 << 30
    with tempfile.TemporaryDirectory(prefix="userops-", dir=memory if roomy else tmp_path_factory.getbasetemp()) as folder:
        shelf = Shelf(Path(folder))
        shop.backfill(shelf.home, FIRST, EVE)
        shelf.put("eve")
        yield shelf


@pytest.fixture
def eve(shelf: Shelf) -> Path:
    """A home in which everything up to the eve of the last night is published and delivered."""
    return shelf.bring("eve")


@pytest.fixture(scope="session")
def _last_night(shop: FlowShop, shelf: Shelf) -> None:
    shop.nightly(shelf.bring("eve"), LAST)
    shelf.put("clean")


@pytest.fixture
def clean(shelf: Shelf, _last_night: None) -> Path:
    """A home after a last night in which nothing went wrong."""
    return shelf.bring("clean")
