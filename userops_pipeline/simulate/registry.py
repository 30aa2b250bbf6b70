"""The registry: user records, device links and experiment arms, as the shop's account system writes them.

Add here what is recorded about a user when registering, logging in, or changing the profile. Must not decide who registers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from userops_pipeline.simulate.behaviour import FIRST_USER, NEVER_KNOWN, EventsOfDay, VisitsOfDay
from userops_pipeline.simulate.population import CHANNEL_COST, CHANNELS, LEAST_DEVICE, Population
from userops_pipeline.simulate.settings import DAY, Settings
from userops_pipeline.simulate.writer import Outbox, coded, joined, times

SURNAMES = tuple("王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗")
GIVEN = (
    "伟",
    "芳",
    "娜",
    "敏",
    "静",
    "丽",
    "强",
    "磊",
    "洋",
    "艳",
    "勇",
    "军",
    "杰",
    "娟",
    "涛",
    "明",
    "超",
    "秀兰",
    "霞",
    "平",
    "子涵",
    "梓轩",
    "一诺",
    "浩然",
)
REGIONS = ("广东", "江苏", "山东", "浙江", "河南", "四川", "湖北", "福建", "上海", "北京", "陕西", "辽宁")
REGION_SHARES = (0.16, 0.12, 0.1, 0.11, 0.09, 0.09, 0.07, 0.06, 0.07, 0.07, 0.04, 0.02)
LANGUAGES = ("zh-CN", "zh-HK", "en", "ja")
PLANS = ("basic", "plus", "gold")
GUESTS = 7  # every seventh user begins without a plan
TRIALS = 3  # every third user begins with a free trial, which changes nothing else
TRIAL_DAYS = 14
EXCLUDED = ("", "test", "bot", "internal")
FIRST_PHONE = 13_000_000_000
EXPERIMENTS = ("marketing_holdout", "welcome_offer", "checkout_button")
ARMS = ("control", "treatment", "holdout")


class Registry:
    """Profiles, and what of them has been written so far."""

    def __init__(self, settings: Settings, population: Population) -> None:
        rng = settings.stream("profiles")
        self._settings, self._population = settings, population
        users = population.users
        self._gender = rng.choice(3, users, p=(0.54, 0.44, 0.02)).astype(np.int8)
        ages = np.clip(rng.normal(32, 9, users), 15, 78)
        self._birth = (-(ages * 365.25) + rng.integers(0, 365, users)).astype(np.int32)  # days from the start
        self._region = rng.choice(len(REGIONS), users, p=REGION_SHARES).astype(np.int8)
        self._tier = (1 + rng.binomial(4, 0.4, users)).astype(np.int8)
        self._language = rng.choice(len(LANGUAGES), users, p=(0.95, 0.02, 0.02, 0.01)).astype(np.int8)
        self._name = rng.integers(0, len(SURNAMES) * len(GIVEN), users).astype(np.int16)
        self._names = pa.array([surname + given for surname in SURNAMES for given in GIVEN], pa.string())
        self._plan = np.zeros(users, np.int8)
        self._phone_version = np.zeros(users, np.int8)
        self._has_email = rng.random(users, dtype=np.float32) < 0.7
        self._merged_into = np.full(users, -1, np.int32)
        self.registered = np.full(users, np.inf)  # second of the register event, once it happened
        self._linked = np.full((population.people, 3), -1, np.int32)  # second a device slot was first seen with its person
        self._carried: tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]] = (np.empty(0, np.int32), np.empty(0))

    def phones(self, users: npt.NDArray[np.integer]) -> pa.Array:
        """The number each user has now, which no other user has or had."""
        number = FIRST_PHONE + users.astype(np.int64) * 8 + self._phone_version[users]
        return pa.array(number).cast(pa.string())

    def emails(self, users: npt.NDArray[np.integer]) -> pa.Array:
        address = joined("u", pa.array(users.astype(np.int64)).cast(pa.string()), "@mail.example")
        return pc.call_function("if_else", [pa.array(self._has_email[users]), address, pa.scalar(None, pa.string())])

    def has_email(self, users: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        return self._has_email[users]

    def rows(self, users: npt.NDArray[np.integer]) -> pa.Table:
        """The profiles of these users as they are now."""
        population, settings = self._population, self._settings
        kind, merged = population.excluded_as[users], self._merged_into[users]
        born = np.datetime64(settings.start, "D") + self._birth[users].astype("timedelta64[D]")
        country = joined("+86", self.phones(users))
        registered_day = np.floor(self.registered[users] / DAY).astype("timedelta64[D]")
        last_day = np.datetime64(settings.start, "D") + registered_day + np.timedelta64(TRIAL_DAYS, "D")
        return pa.table(
            {
                "user_id": pa.array(users.astype(np.int64) + FIRST_USER),
                "registered_at": times(settings, self.registered[users]),
                "name": coded(self._name[users], self._names).cast(pa.string()),
                "email": self.emails(users),
                "phone": country,
                "gender": coded(self._gender[users], ("female", "male", "other"), users % 17 == 0),
                "birth_date": pa.array(born.astype("datetime64[D]")).cast(pa.string()),
                "region": coded(self._region[users], REGIONS),
                "city_tier": pa.array(self._tier[users]),
                "language": coded(self._language[users], LANGUAGES),
                "channel": coded(population.channel[users], CHANNELS),
                "plan": coded(self._plan[users], PLANS, (users % GUESTS == 0) & (self._plan[users] == 0)),
                "trial_ends_on": pa.array(last_day.astype("datetime64[D]"), mask=users % TRIALS != 0).cast(pa.string()),
                "excluded_as": coded(kind, EXCLUDED, kind == 0),
                "merged_into": pa.array(merged.astype(np.int64) + FIRST_USER, mask=merged < 0),
            }
        )

    def registrations(
        self, day: int, users: npt.NDArray[np.int32], seconds: npt.NDArray[np.float64], outbox: Outbox
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """Write who registered on this day (a visit may register after midnight: that counts for the next day); returns who and when."""
        self.registered[users] = seconds
        users, seconds = np.concatenate([self._carried[0], users]), np.concatenate([self._carried[1], seconds])
        later = seconds >= (day + 1) * DAY
        self._carried = users[later], seconds[later]
        users, seconds = users[~later], seconds[~later]
        outbox.add(day, "users", self.rows(users))
        population = self._population
        arms = (
            np.where(population.held_out[users], 2, 1),
            np.where(population.welcomed[users], 1, 0),
            np.where(population.new_button[users], 1, 0),
        )
        for number, arm in enumerate(arms):
            outbox.add(
                day,
                "assignments",
                pa.table(
                    {
                        "experiment_id": coded(np.full(len(users), number, np.int8), EXPERIMENTS),
                        "user_id": pa.array(users.astype(np.int64) + FIRST_USER),
                        "arm": coded(arm.astype(np.int8), ARMS),
                        "assigned_at": times(self._settings, seconds),
                    }
                ),
            )
        return users, seconds

    def changes(self, day: int, registered_before: int, outbox: Outbox) -> None:
        """Profile changes and merged accounts, both of users registered on an earlier day."""
        rng, population = self._settings.stream("profile changes", day), self._population
        if registered_before == 0:
            return
        changed = np.unique(rng.integers(0, registered_before, rng.binomial(registered_before, 0.0008)))
        new_phone = rng.random(len(changed)) < 0.4
        phones, plans = changed[new_phone], changed[~new_phone]
        self._phone_version[phones] = np.minimum(self._phone_version[phones] + 1, 7)
        self._plan[plans] = np.minimum(self._plan[plans] + 1, len(PLANS) - 1)
        due = (population.merged_at <= day) & (self._merged_into[population.merged] < 0) & (self.registered[population.merged] < day * DAY)
        merging = population.merged[due]
        if len(merging):
            into = population.merged_into[np.searchsorted(population.merged, merging)]
            self._merged_into[merging] = into
            population.account[merging] = into
            self._linked[merging] = -1
        someone = np.union1d(changed, merging)
        someone = someone[self.registered[someone] < day * DAY]
        outbox.add(day, "users", self.rows(someone))

    def links(self, day: int, visits: VisitsOfDay, events: EventsOfDay, outbox: Outbox) -> None:
        """A link when a device is first used logged in, and a newer version of it about once a week."""
        logged_in = np.flatnonzero(visits.known_from < NEVER_KNOWN)
        second = events.second[events.first[logged_in] + visits.known_from[logged_in]]
        logged_in, second = logged_in[second < (day + 1) * DAY], second[second < (day + 1) * DAY]
        link = (visits.device[logged_in] - LEAST_DEVICE) << 24 | (visits.user[logged_in] - FIRST_USER)
        _, once = np.unique(link, return_index=True)
        at, second = logged_in[once], second[once]
        person, slot = visits.person[at], visits.slot[at]
        fresh = self._linked[person, slot] < 0
        self._linked[person[fresh], slot[fresh]] = second[fresh]
        told = fresh | ((person + day) % 7 == 0)
        person, slot, second, at = person[told], slot[told], second[told], at[told]
        first = self._linked[person, slot].astype(np.float64)  # the account system writes whole seconds
        outbox.add(
            day,
            "identities",
            pa.table(
                {
                    "device_id": pa.array(visits.device[at]),
                    "user_id": pa.array(visits.user[at]),
                    "first_seen_at": times(self._settings, first),
                    "last_seen_at": times(self._settings, np.floor(second)),
                }
            ),
        )


def channel_costs(settings: Settings, day: int, brought: npt.NDArray[np.int64], campaign: str | None) -> pa.Table:
    """What each acquisition channel cost on a day: per person brought, with some noise; free channels cost nothing and are stated so."""
    noise = settings.stream("costs", day).uniform(0.85, 1.2, len(CHANNELS))
    amounts = [f"{count * cost * factor:.2f}" for count, cost, factor in zip(brought, CHANNEL_COST, noise, strict=True)]
    names = [*CHANNELS, *(["campaigns"] if campaign else [])]
    return pa.table(
        {
            "channel": pa.array(names, pa.string()),
            "campaign_id": pa.array(["none"] * len(CHANNELS) + ([campaign] if campaign else []), pa.string()),
            "spent_on": pa.array([settings.date_of(day).isoformat()] * len(names), pa.string()),
            "amount": pa.array([*amounts, *([f"{200 + 50 * (day % 7)}.00"] if campaign else [])], pa.string()),
            "currency": pa.array(["CNY"] * len(names), pa.string()),
        }
    )
