"""The registry: which tools a list may name, and how each is made from the home and the environment.

Here stands one line per destination of ours; add one after writing its file beside this one. Yours lives in a package of its own and is found by
its entry point.
Must not hold anything else: what a tool does is in its own file, what is sent to it in deliver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points

from userops_pipeline.deliver.destinations.base import Destination
from userops_pipeline.deliver.destinations.csv_file import CsvFile
from userops_pipeline.deliver.destinations.webhook import Webhook
from userops_pipeline.ground.home import Home, UserOpsError

DESTINATIONS: Mapping[str, Callable[[Home], Destination]] = {
    "csv_file": lambda home: CsvFile(home.exports),
    "webhook": lambda _: Webhook.from_environment(),
}


GROUP = "userops.destinations"


@cache
def destinations() -> Mapping[str, Callable[[Home], Destination]]:
    """Ours, and those that an installed package offers by an entry point of the group `userops.destinations`: its name is the tool's, and it
    is called with the home.

    Raises:
        UserOpsError: a package offers a tool under a name that is taken.
    """
    found = dict(DESTINATIONS)
    for entry in entry_points(group=GROUP):
        if entry.name in found:
            raise UserOpsError(f"{entry.value} offers the destination {entry.name!r}, whose name is taken; let it take another.")
        found[entry.name] = partial(_load, entry)
    return found


def _load(entry: EntryPoint, home: Home) -> Destination:
    try:
        return entry.load()(home)
    except ImportError as error:
        raise UserOpsError(f"The destination {entry.name!r} ({entry.value}) cannot be loaded: {error}.") from None


def names() -> set[str]:
    """Tools that a list may name."""
    return set(destinations())


@dataclass(frozen=True)
class Tools(Mapping[str, Destination]):
    """Every destination of a home, made when it is asked for: a tool that is not set up stops only the lists that are for it."""

    home: Home

    def __getitem__(self, tool: str) -> Destination:
        return destinations()[tool](self.home)

    def __iter__(self) -> Iterator[str]:
        return iter(destinations())

    def __len__(self) -> int:
        return len(destinations())
