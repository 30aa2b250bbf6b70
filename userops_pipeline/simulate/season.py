"""Season: the operational clock, on which every process of the shop runs at its own constant rate.

Add here what makes the whole shop faster or slower at some time; what differs by user belongs into population.
Must not draw anything.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from userops_pipeline.simulate.settings import DAY, Settings

Floats = npt.NDArray[np.float64]
WEEK = (0.94, 0.92, 0.93, 0.96, 1.04, 1.14, 1.07)  # Monday to Sunday
# Share of a day's activity by local hour: quiet at night, a lunch peak, an evening peak.
HOURS = (1.2, 0.6, 0.3, 0.2, 0.2, 0.5, 1.4, 2.6, 3.8, 4.8, 5.4, 5.6, 6.2, 5.8, 5.0, 4.8, 4.8, 5.0, 5.6, 6.6, 7.6, 8.2, 6.6, 3.2)


class Season:
    """Turns operational days into local seconds since the first midnight, and back. `starts[d]` is the operational time at which day d starts."""

    def __init__(self, settings: Settings) -> None:
        dates = [settings.date_of(day) for day in range(settings.days)]
        week = np.array([WEEK[on.weekday()] for on in dates])
        year = np.array([self._year(on.timetuple().tm_yday) for on in dates])
        self.weight: Floats = week * year / np.mean(week * year)
        self.starts: Floats = np.concatenate([[0.0], np.cumsum(self.weight)])
        self._hours: Floats = np.concatenate([[0.0], np.cumsum(HOURS) / sum(HOURS)])
        self._seconds: Floats = np.linspace(0, DAY, len(HOURS) + 1)

    @staticmethod
    def _year(day_of_year: float) -> float:
        """A slow wave through the year and a peak in the middle of November."""
        return 1 + 0.08 * math.cos(2 * math.pi * (day_of_year - 340) / 365.25) + 0.5 * math.exp(-(((day_of_year - 315) / 6) ** 2))

    def seconds(self, operational: Floats, day: int) -> Floats:
        """Local seconds since the start of operational times that lie within `day`."""
        within = (operational - self.starts[day]) / self.weight[day]
        return day * DAY + np.interp(within, self._hours, self._seconds)

    def second_of_day(self, uniform: Floats) -> Floats:
        """A second of the day as people are awake."""
        return np.interp(uniform, self._hours, self._seconds)

    def all_seconds(self, operational: Floats) -> Floats:
        """Local seconds since the start of any operational times; before the start and after the end a day is a day."""
        inside = np.clip(operational, 0, self.starts[-1])
        day = np.clip(np.searchsorted(self.starts, inside, side="right") - 1, 0, len(self.weight) - 1)
        within = (inside - self.starts[day]) / self.weight[day]
        return day * DAY + np.interp(within, self._hours, self._seconds) + (operational - inside) * DAY
