"""The shop: where its data live and where they come from, as the environment says.

Here lives what is known of a shop before anything is run. Add a setting here when it is of the shop as a whole.
Must not read a file of data.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date

from userops_pipeline.ground.home import Home
from userops_pipeline.intake.binding import bind
from userops_pipeline.intake.source import Source, load_source


@dataclass(frozen=True)
class Shop:
    """A home and the sources that fill it."""

    home: Home
    sources: tuple[Source, ...]

    @classmethod
    def from_environment(cls) -> Shop:
        """`USEROPS_HOME` and `USEROPS_SOURCE` (names or folders, comma-separated; complete_journey where unset)."""
        names = (os.environ.get("USEROPS_SOURCE") or "complete_journey").split(",")
        return cls(Home.from_environment(), tuple(load_source(name.strip()) for name in names))

    def check(self) -> None:
        """All that can be told of the sources before a file of any of them is touched.

        Raises:
            UserOpsError: a folder of files does not exist, or a mapping does not fit its files and the contract.
        """
        for source in self.sources:
            source.drops()
            bind(source)

    @property
    def first_night(self) -> date:
        return min(source.first_night for source in self.sources)
