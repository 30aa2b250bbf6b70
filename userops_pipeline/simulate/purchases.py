"""Purchases and visits: when each person comes and buys, as two thinned Poisson processes in operational time.

Add here what makes an existing process faster or slower for somebody; a new kind of record belongs to the module that writes it.
Must not know what is bought or looked at.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from userops_pipeline.simulate.population import LINGER_DAYS, WELCOME_DAYS, Population
from userops_pipeline.simulate.season import Season
from userops_pipeline.simulate.settings import Settings

PURCHASE_BOUND = 1.82  # (1 + largest welcome effect) * (1 + largest lift of a message)
FOLLOW_LIFT = 0.8  # of the visits of those who have followed a topic
VISIT_BOUND = 1.5 * (1 + FOLLOW_LIFT)
NEW_DAYS = 14.0
REGULAR_DAYS = 30.0
STAGE_FACTORS = {"new": 1.5, "regular": 1.25, "other": 1.0, "lapsed": 0.35}

People = npt.NDArray[np.int32]
Times = npt.NDArray[np.float64]


class Purchases:
    """The purchase process: modified BG/NBD, its rate multiplied by the treatments of the moment."""

    def __init__(self, settings: Settings, population: Population) -> None:
        self._settings, self._population = settings, population
        rng = settings.stream("first purchases")
        users = population.users
        with np.errstate(divide="ignore"):
            self._next = population.registers[:users] + rng.standard_exponential(users) / (population.rate * PURCHASE_BOUND)
        self._next[population.dropped_at <= population.registers[:users]] = np.inf
        self.last = np.full(users, -np.inf)
        self.count = np.zeros(users, dtype=np.int32)
        self.lift = np.zeros(users, dtype=np.float32)
        self.lift_until = np.zeros(users, dtype=np.float64)

    def of_day(self, day: int, season: Season) -> tuple[People, Times]:
        """Who buys on this day, and when; people who leave with a purchase are marked in the population."""
        population, rng = self._population, self._settings.stream("purchases", day)
        end = season.starts[day + 1]
        buyers, times = [], []
        due = np.flatnonzero(self._next < end).astype(np.int32)
        while len(due):
            at = self._next[due]
            factor = 1 + np.where(
                population.welcomed[due] & (at < population.registers[due] + WELCOME_DAYS), population.welcome_effect[due], 0
            )
            factor *= 1 + np.where(at < self.lift_until[due], self.lift[due], 0)
            buys = rng.random(len(due)) * PURCHASE_BOUND < factor
            self._next[due] = at + rng.standard_exponential(len(due)) / (population.rate[due] * PURCHASE_BOUND)
            who, when = due[buys], at[buys]
            self.bought(who, when)
            leaves = rng.random(len(who)) < population.dropout_chance[who]
            gone = who[leaves]
            self._next[gone] = np.inf
            population.dropped_at[gone] = when[leaves]
            population.left_at[gone] = when[leaves] + LINGER_DAYS * rng.standard_exponential(len(gone))
            buyers.append(who)
            times.append(when)
            due = due[self._next[due] < end]
        return (np.concatenate(buyers), np.concatenate(times)) if buyers else (np.empty(0, np.int32), np.empty(0))

    def bought(self, who: People, when: Times) -> None:
        """Remember purchases, also those a message brought on its own."""
        self.last[who] = np.maximum(self.last[who], when)
        np.add.at(self.count, who, 1)


class Visits:
    """Visits without a purchase, faster or slower by the stage a person is in, and faster after following a topic."""

    def __init__(self, settings: Settings, population: Population) -> None:
        self._settings, self._population = settings, population
        rng = settings.stream("first visits")
        with np.errstate(divide="ignore"):
            self._next = population.arrives + rng.standard_exponential(population.people) / (population.visit_rate * VISIT_BOUND)
        self.followed_from = np.full(population.people, np.inf)  # operational time from which on the visits come more often

    def followed(self, people: People, until: float) -> None:
        """These have followed a topic on the day that ends at `until`; the first time counts."""
        self.followed_from[people] = np.minimum(self.followed_from[people], until)

    def of_day(self, day: int, season: Season, purchases: Purchases) -> tuple[People, Times]:
        population, rng = self._population, self._settings.stream("visits", day)
        end = season.starts[day + 1]
        people, times = [], []
        due = np.flatnonzero(self._next < end).astype(np.int32)
        while len(due):
            at = self._next[due]
            factor = np.full(len(due), STAGE_FACTORS["other"])
            known = due < population.users
            user = np.where(known, due, 0)
            factor[known & (at < purchases.last[user] + REGULAR_DAYS)] = STAGE_FACTORS["regular"]
            factor[at < population.arrives[due] + NEW_DAYS] = STAGE_FACTORS["new"]
            factor[known & (at > population.dropped_at[user])] = STAGE_FACTORS["lapsed"]
            factor[at >= self.followed_from[due]] *= 1 + FOLLOW_LIFT
            stays = at < population.left_at[due]
            comes = stays & (rng.random(len(due)) * VISIT_BOUND < factor)
            self._next[due] = np.where(stays, at + rng.standard_exponential(len(due)) / (population.visit_rate[due] * VISIT_BOUND), np.inf)
            people.append(due[comes])
            times.append(at[comes])
            due = due[self._next[due] < end]
        return (np.concatenate(people), np.concatenate(times)) if people else (np.empty(0, np.int32), np.empty(0))
