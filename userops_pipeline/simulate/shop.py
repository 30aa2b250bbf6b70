"""The shop: a simulation from its first night to its last.

Add a part here when it takes part in every day. Must not model anything itself: it hands the day from part to part, and writes what arrived.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from userops_pipeline.ground.home import UserOpsError
from userops_pipeline.simulate import behaviour as behaviour_rows
from userops_pipeline.simulate import paths
from userops_pipeline.simulate.behaviour import Behaviour
from userops_pipeline.simulate.catalogue import Campaigns, Catalogue
from userops_pipeline.simulate.commerce import CAUSES, Commerce, Coupons
from userops_pipeline.simulate.community import Community, Referrals, Service
from userops_pipeline.simulate.dirt import Bots, Dirt
from userops_pipeline.simulate.messages import Messages
from userops_pipeline.simulate.paths import KIND, STEP
from userops_pipeline.simulate.population import CHANNELS, Population
from userops_pipeline.simulate.purchases import Purchases, Visits
from userops_pipeline.simulate.registry import Registry, channel_costs
from userops_pipeline.simulate.season import Season
from userops_pipeline.simulate.settings import Settings
from userops_pipeline.simulate.truth import Truth
from userops_pipeline.simulate.writer import Drops, Outbox, coded

WELCOME_CENTS = 1500


@dataclass(frozen=True)
class Outcome:
    """What was written."""

    users: int
    nights: int
    rows: dict[str, int]


def simulate(settings: Settings, *, progress: Callable[[str], None] = lambda _: None) -> Outcome:
    """Write `<out>/drops/<night>/<file>` for every night and `<out>/truth`.

    What is there already is replaced, if it was written by a simulation.

    Raises:
        UserOpsError: the folder holds something else.
    """
    _clear(settings)
    return _Shop(settings).run(progress)


def _clear(settings: Settings) -> None:
    foreign = [path.name for path in settings.out.glob("*") if path.name not in ("drops", "truth")] if settings.out.exists() else []
    if foreign:
        raise UserOpsError(f"{settings.out.name} holds {foreign[0]!r}, which no simulation wrote; give an empty folder with --out.")
    for part in ("drops", "truth"):
        shutil.rmtree(settings.out / part, ignore_errors=True)
    settings.out.mkdir(parents=True, exist_ok=True)


class _Shop:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        library = paths.build(settings.stream("paths"))
        self.season = season = Season(settings)
        self.population = population = Population(settings, season, library)
        self.catalogue = catalogue = Catalogue(settings)
        self.campaigns = campaigns = Campaigns(settings)
        self.outbox = Outbox(settings.days)
        self.registry = Registry(settings, population)
        self.coupons = Coupons(settings, population.users, campaigns.ids)
        self.purchases, self.visits = Purchases(settings, population), Visits(settings, population)
        self.behaviour = Behaviour(settings, population, catalogue, campaigns, library)
        self.commerce = Commerce(settings, population, catalogue, library, self.coupons)
        self.messages = Messages(settings, population, self.registry, campaigns, self.coupons, season)
        self.community, self.referrals = Community(settings, self.behaviour), Referrals(settings, population, self.coupons)
        self.service = Service(settings)
        self.dirt, self.bots, self.truth, self.drops = Dirt(settings), Bots(settings), Truth(settings), Drops(settings)
        self.behaviour.set_registered(season.all_seconds(population.registers[: population.users]))
        apart = population.arrives < population.registers
        self._early = np.flatnonzero(apart)[np.argsort(population.arrives[apart], kind="stable")].astype(np.int32)
        self._first_visit = 1

    def run(self, progress: Callable[[str], None]) -> Outcome:
        for day in range(self.settings.days):
            self._day(day)
            if (day + 1) % 30 == 0:
                progress(f"{day + 1} of {self.settings.days} days, {self.drops.rows['events']:,} events")
        self.drops.close()
        self.truth.close(self.population, self.purchases, self.visits, self.registry, self.season, self.dirt, self.bots)
        return Outcome(self.settings.users, self.settings.days, self.drops.rows)

    def _day(self, day: int) -> None:
        settings, season, population, outbox = self.settings, self.season, self.population, self.outbox
        begin, end = season.starts[day], season.starts[day + 1]
        # registered for a day at least, whatever became of the hour
        settled = int(np.searchsorted(population.registers[: population.users], season.starts[max(day - 1, 0)]))
        self.registry.changes(day, settled, outbox)
        self.messages.change_minds(day, settled, outbox)
        clicks = self.messages.of_day(day, settled, season, self.purchases, outbox)
        if clicks[3].any():
            self.purchases.bought(clicks[0][clicks[3]], np.full(int(clicks[3].sum()), begin))

        registering = np.arange(
            np.searchsorted(population.registers[: population.users], begin),
            np.searchsorted(population.registers[: population.users], end),
            dtype=np.int32,
        )
        first, last = np.searchsorted(population.arrives[self._early], [begin, end])
        arriving = self._early[first:last]
        buyers, bought_at = self.purchases.of_day(day, season)
        comers, came_at = self.visits.of_day(day, season, self.purchases)
        visits = self.behaviour.visits(
            day,
            (buyers, season.seconds(bought_at, day)),
            (comers, season.seconds(came_at, day)),
            clicks,
            (arriving, season.seconds(population.arrives[arriving], day)),
            (registering, season.seconds(population.registers[registering], day)),
        )
        events = self.behaviour.events(day, visits)
        self.behaviour.log(day, visits, events, outbox)
        follows = events.step == STEP["follow"]
        self.visits.followed(np.unique(visits.person[events.visit[follows]]), end)

        at = np.flatnonzero(visits.kind == KIND["register"])
        seconds = events.second[events.first[at] + visits.known_from[at]]
        users, seconds = self.registry.registrations(day, visits.person[at], seconds, outbox)
        self.registry.links(day, visits, events, outbox)
        self.messages.ask(day, users, seconds, outbox)
        self.messages.ask_for_help(day, users, seconds, outbox)
        welcomed = population.welcomed[users]
        self.coupons.issue(day, users[welcomed], seconds[welcomed], WELCOME_CENTS, 0, -1, outbox)
        self.referrals.of_day(day, users, seconds, settled, outbox)

        bought = self.commerce.of_day(day, visits, events, outbox)
        person, order, _, _, _, cause = bought
        self.community.of_day(day, visits, events, outbox)
        self.service.of_day(day, bought, population.account[person].astype(np.int64) + behaviour_rows.FIRST_USER, settled, outbox)

        brought = np.bincount(population.channel[np.concatenate([registering, arriving])], minlength=len(CHANNELS))
        outbox.add(day, "channel_costs", channel_costs(settings, day, brought, self.campaigns.ids[day].as_py()))
        outbox.add(day, "products", self.catalogue.of_day(settings, day))
        outbox.add(day, "campaigns", self.campaigns.of_day(day))

        self.truth.add("sessions", behaviour_rows.truth_rows(settings, population, visits, events, self._first_visit))
        self._first_visit += len(visits.person)
        self.truth.add(
            "orders",
            pa.table(
                {
                    "order_id": pa.array(order),
                    "person_id": pa.array(population.human[person].astype(np.int64)),
                    "cause": coded(cause, CAUSES).cast(pa.string()),
                }
            ),
        )
        self._deliver(day)

    def _deliver(self, day: int) -> None:
        self.bots.of_day(day, self.catalogue.count, self.outbox.schemas["events"], self.outbox)
        tables = self.dirt.soil(day, self.outbox.take(day), self.outbox)
        self.drops.write(day, tables, self.outbox.schemas)
