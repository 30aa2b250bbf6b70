"""Settings of a simulation: its size, its seed, and the streams of randomness that follow from them.

Add a setting here when a person should choose it on the command line; a constant of the model belongs into the module that uses it.
Must not draw anything: it hands out generators.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from userops_pipeline.ground.home import UserOpsError

DAY = 86_400
ZONE_SECONDS = 8 * 3600  # Asia/Shanghai, which has no summer time
MOST_USERS = 10_000_000


@dataclass(frozen=True)
class Settings:
    """What to simulate. `events_per_user` and `orders_per_user` are aimed at as means over the registered users and the whole time."""

    users: int
    days: int
    seed: int
    out: Path
    start: date = date(2026, 1, 1)
    dirt: float = 0.0
    events_per_user: float = 60.0
    orders_per_user: float = 3.0

    def __post_init__(self) -> None:
        if not 10 <= self.users <= MOST_USERS:
            raise UserOpsError(f"--users must lie between 10 and {MOST_USERS:,}, not {self.users}.")
        if not 2 <= self.days <= 3660:
            raise UserOpsError(f"--days must lie between 2 and 3660, not {self.days}.")
        if not 0 <= self.dirt <= 0.2:
            raise UserOpsError(f"--dirt is a share of the rows between 0 and 0.2, not {self.dirt}.")
        if self.orders_per_user <= 0 or self.events_per_user < 9.5 * self.orders_per_user:
            raise UserOpsError(
                "--events-per-user must be at least 9.5 times --orders-per-user (above 0): an order takes about nine events."
            )

    def stream(self, part: str, day: int = 0) -> np.random.Generator:
        """The generator of one part of one day, independent of every other."""
        return np.random.Generator(np.random.SFC64(np.random.SeedSequence([self.seed, zlib.crc32(part.encode()), day])))

    def date_of(self, day: int) -> date:
        return self.start + timedelta(days=day)

    @property
    def epoch_ms(self) -> int:
        """UTC milliseconds of local midnight of the first day."""
        return ((self.start - date(1970, 1, 1)).days * DAY - ZONE_SECONDS) * 1000
