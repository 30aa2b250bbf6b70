"""The registry: which tools a list may name, and how each is made from the home and the environment.

Here stands one line per destination; add yours after writing its file beside this one.
Must not hold anything else: what a tool does is in its own file, what is sent to it in deliver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from userops_pipeline.core.home import Home
from userops_pipeline.destinations.base import Destination
from userops_pipeline.destinations.csv_file import CsvFile
from userops_pipeline.destinations.webhook import Webhook

DESTINATIONS: Mapping[str, Callable[[Home], Destination]] = {
    "csv_file": lambda home: CsvFile(home.exports),
    "webhook": lambda _: Webhook.from_environment(),
}


def names() -> set[str]:
    """Tools that a list may name."""
    return set(DESTINATIONS)


def make(home: Home, tools: set[str]) -> dict[str, Destination]:
    """The destinations of these tools, ready to send."""
    return {tool: DESTINATIONS[tool](home) for tool in tools & names()}
