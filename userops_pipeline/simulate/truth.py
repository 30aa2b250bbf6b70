"""Truth: what the simulation knows and the pipeline must find out, as Parquet under `<out>/truth`.

Add a table here when an estimate of the pipeline should be scored. Nothing but tests reads it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from userops_pipeline.simulate.behaviour import FIRST_USER
from userops_pipeline.simulate.dirt import TRUTH, Bots, Dirt
from userops_pipeline.simulate.paths import STEPS
from userops_pipeline.simulate.population import Population, device_numbers
from userops_pipeline.simulate.purchases import FOLLOW_LIFT, Purchases, Visits
from userops_pipeline.simulate.registry import EXCLUDED, Registry
from userops_pipeline.simulate.season import Season
from userops_pipeline.simulate.settings import Settings
from userops_pipeline.simulate.writer import coded, times, write_parquet

CHUNK = 1 << 20


class Truth:
    """Writes sessions and orders as the days go by, persons and devices at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.out / "truth"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._streams: dict[str, pq.ParquetWriter] = {}

    def add(self, name: str, rows: pa.Table) -> None:
        """Append to `<name>.parquet`, one row group a day."""
        if name not in self._streams:
            path = self._folder / f"{name}.parquet"
            self._streams[name] = pq.ParquetWriter(path, rows.schema, compression="zstd", compression_level=1, store_schema=False)
        self._streams[name].write_table(rows)

    def close(
        self, population: Population, purchases: Purchases, visits: Visits, registry: Registry, season: Season, dirt: Dirt, bots: Bots
    ) -> None:
        for begin in range(0, population.people, CHUNK):
            people = np.arange(begin, min(begin + CHUNK, population.people), dtype=np.int64)
            self.add("people", self._people(people, population, purchases, visits, registry, season))
            self.add("devices", self._devices(people, population))
        for writer in self._streams.values():
            writer.close()
        write_parquet(self._folder / "dirt.parquet", pa.concat_tables([TRUTH.empty_table(), *dirt.truth]))
        write_parquet(self._folder / "behaviours.parquet", _behaviours())
        write_parquet(self._folder / "bots.parquet", pa.table({"device_id": pa.array(bots.device), "is_declared": pa.array(bots.declared)}))

    def _people(
        self,
        people: npt.NDArray[np.int64],
        population: Population,
        purchases: Purchases,
        visits: Visits,
        registry: Registry,
        season: Season,
    ) -> pa.Table:
        """One row per person and account. `person_id` of a merged account is, here and in every table of the truth, that of the person's first one."""
        known = people < population.users
        user = np.where(known, people, 0)
        nobody = ~known

        def of_user(values: npt.NDArray, kind: pa.DataType | None = None) -> pa.Array:
            return pa.array(values[user], kind, mask=nobody)

        def when(values: npt.NDArray[np.float64], missing: npt.NDArray[np.bool_]) -> pa.Array:
            gone = missing | ~np.isfinite(values) | (values >= season.starts[-1])
            return times(self._settings, season.all_seconds(np.where(gone, 0, values)), gone)

        kind = population.excluded_as[user]
        never = ~np.isfinite(registry.registered[user])
        return pa.table(
            {
                "person_id": pa.array(population.human[people].astype(np.int64)),
                "user_id": pa.array(people + FIRST_USER, mask=nobody),
                "arrived_at": when(population.arrives[people], np.zeros(len(people), dtype=bool)),
                "registered_at": times(self._settings, np.where(never, 0, registry.registered[user]), nobody | never),
                "purchase_rate": of_user(population.rate),
                "dropout_chance": of_user(population.dropout_chance),
                "dropped_at": when(population.dropped_at[user], nobody),
                "is_alive": pa.array(population.dropped_at[user] >= season.starts[-1], mask=nobody),
                "left_at": when(population.left_at[people], np.zeros(len(people), dtype=bool)),
                "visit_rate": pa.array(population.visit_rate[people]),
                "comes_more_from_at": when(visits.followed_from[people], np.zeros(len(people), dtype=bool)),
                "order_count": of_user(purchases.count),
                "price_sensitivity": of_user(population.price_sensitivity),
                "openness": of_user(population.openness),
                "message_uplift": of_user(population.uplift),
                "welcome_effect": of_user(population.welcome_effect),
                "is_welcomed": of_user(population.welcomed),
                "is_held_out": of_user(population.held_out),
                "is_inviting_fraud": of_user(population.is_inviting_fraud),
                "is_invited_fraud": of_user(population.is_invited_fraud),
                "inviter_id": pa.array(
                    population.inviter[user].astype(np.int64) + FIRST_USER, mask=nobody | (population.inviter[user] < 0)
                ),
                "excluded_as": coded(kind, EXCLUDED, nobody | (kind == 0)).cast(pa.string()),
            }
        )

    def _devices(self, people: npt.NDArray[np.int64], population: Population) -> pa.Table:
        """One row per device and person who may use it."""
        count = population.device_count[people].astype(np.int64)
        person = np.repeat(people, count)
        slot = np.arange(len(person)) - np.repeat(np.cumsum(count) - count, count)
        family = population.shares_with_partner[person] & (slot == 1)
        owner = np.where(family, person ^ 1, population.owner[person])
        known = person < population.users
        return pa.table(
            {
                "device_id": pa.array(device_numbers(owner, np.where(family, 0, slot))),
                "person_id": pa.array(population.human[person].astype(np.int64)),
                "user_id": pa.array(person + FIRST_USER, mask=~known),
                "owner_id": pa.array(owner.astype(np.int64)),
            }
        )


def _behaviours() -> pa.Table:
    """One row per event name: what doing it changes, as a share added to the rate of later visits and of later purchases."""
    names = list(dict.fromkeys(name for name, _, _ in STEPS.values()))
    visits = np.array([FOLLOW_LIFT if name == "follow" else 0.0 for name in names])
    return pa.table({"event_name": pa.array(names), "visit_effect": pa.array(visits), "purchase_effect": pa.array(np.zeros(len(names)))})
