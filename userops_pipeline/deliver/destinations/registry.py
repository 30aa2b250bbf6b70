"""The registry: which tools a list may name, and how each is made from the home and the environment.

Here stands one line per destination; add yours after writing its file beside this one.
Must not hold anything else: what a tool does is in its own file, what is sent to it in deliver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from userops_pipeline.deliver.destinations.base import Destination
from userops_pipeline.deliver.destinations.csv_file import CsvFile
from userops_pipeline.deliver.destinations.webhook import Webhook
from userops_pipeline.ground.home import Home

DESTINATIONS: Mapping[str, Callable[[Home], Destination]] = {
    "csv_file": lambda home: CsvFile(home.exports),
    "webhook": lambda _: Webhook.from_environment(),
}


def names() -> set[str]:
    """Tools that a list may name."""
    return set(DESTINATIONS)


@dataclass(frozen=True)
class Tools(Mapping[str, Destination]):
    """Every destination of a home, made when it is asked for: a tool that is not set up stops only the lists that are for it."""

    home: Home

    def __getitem__(self, tool: str) -> Destination:
        return DESTINATIONS[tool](self.home)

    def __iter__(self) -> Iterator[str]:
        return iter(DESTINATIONS)

    def __len__(self) -> int:
        return len(DESTINATIONS)
