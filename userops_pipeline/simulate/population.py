"""Population: who there is, each person's own parameters, devices and accounts, as one array per attribute.

Add an attribute here when it belongs to a person for good; what changes from day to day belongs to the process that changes it.
Persons 0..users-1 are the registered ones in the order they register, the rest never do. Must not loop over persons.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from userops_pipeline.simulate.paths import Library
from userops_pipeline.simulate.season import Season
from userops_pipeline.simulate.settings import Settings

VISITORS = 0.2  # persons who never register, per registered user
RATE_SHAPE = 0.8
DROPOUT = (1.2, 8.0)
LINGER_DAYS = 14.0  # visits after dropout, before somebody is gone
VISITOR_DAYS = 20.0
CHANNELS = ("organic", "referral", "search_ads", "social_ads", "video_ads", "app_store", "kol", "offline")
CHANNEL_SHARES = (0.26, 0.1, 0.16, 0.16, 0.1, 0.1, 0.07, 0.05)
CHANNEL_COST = (0.0, 0.0, 18.0, 14.0, 11.0, 8.0, 22.0, 30.0)  # per person brought, CNY
CHANNEL_QUALITY = (1.15, 1.25, 1.1, 0.8, 0.75, 0.95, 0.95, 1.0)  # multiplies the purchase rate
REFERRAL = CHANNELS.index("referral")
WELCOME_EFFECT = 0.4  # times price sensitivity, on the purchase rate, for WELCOME_DAYS
WELCOME_DAYS = 30.0
HOLDOUT_SHARE = 0.1
LEAST_DEVICE = 1 << 40
READING_KINDS = ("browse", "search", "read", "leave_cart", "fail")
READING_SHARES = (0.5, 0.18, 0.2, 0.09, 0.03)
NOBODY = -1

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


def device_numbers(owner: npt.NDArray[np.integer], slot: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """The number of a person's device, which does not tell whose it is: a one-to-one scramble of (owner, slot)."""
    plain = owner.astype(np.int64) * 4 + slot
    return LEAST_DEVICE + (plain * 0x9E3779B1) % (1 << 36)


class Population:
    """All persons. Times are operational days."""

    def __init__(self, settings: Settings, season: Season, library: Library) -> None:
        rng = settings.stream("population")
        self.users = settings.users
        self.visitors = max(2, round(settings.users * VISITORS))
        self.people = self.users + self.visitors
        end = float(season.starts[-1])
        users, people = self.users, self.people

        self.registers = np.full(people, np.inf)
        self.registers[:users] = np.sort(_arrivals(rng, users, season))
        self.arrives = self.registers.copy()
        anonymous_first = rng.random(users, dtype=np.float32) < 0.5
        ahead = rng.standard_exponential(users, dtype=np.float32) * 3.0
        self.arrives[:users] -= np.where(anonymous_first, ahead, 0)
        np.maximum(self.arrives, 1e-4, out=self.arrives)
        np.maximum(self.registers, self.arrives, out=self.registers)
        self.arrives[users:] = np.sort(_arrivals(rng, self.visitors, season))

        self.channel = rng.choice(len(CHANNELS), size=people, p=CHANNEL_SHARES).astype(np.int8)
        self.price_sensitivity = rng.beta(2.0, 3.0, users).astype(np.float32)
        self.openness = (rng.beta(2.0, 4.0, users) * 3.0).astype(np.float32)
        self.uplift = (0.3 * rng.beta(2.0, 2.0, users)).astype(np.float32)
        self.dropout_chance = rng.beta(*DROPOUT, users).astype(np.float32)
        rate = rng.standard_gamma(RATE_SHAPE, users, dtype=np.float32) / np.float32(RATE_SHAPE)
        rate *= np.array(CHANNEL_QUALITY, dtype=np.float32)[self.channel[:users]]

        experiments = settings.stream("experiments")
        self.held_out = experiments.random(users, dtype=np.float32) < HOLDOUT_SHARE
        self.welcomed = experiments.random(users, dtype=np.float32) < 0.5
        self.new_button = experiments.random(users, dtype=np.float32) < 0.5
        self.welcome_effect = np.float32(WELCOME_EFFECT) * self.price_sensitivity

        self._invite(settings)
        rate[self.is_invited_fraud] = 0
        self.rate = rate
        self.dropped_at = np.full(users, np.inf)
        self.left_at = np.full(people, np.inf)
        lost_at_once = rng.random(users, dtype=np.float32) < self.dropout_chance
        lost_at_once |= self.is_invited_fraud
        self.dropped_at[:users][lost_at_once] = self.registers[:users][lost_at_once]
        linger = rng.standard_exponential(people, dtype=np.float32)
        self.left_at[:users] = np.where(lost_at_once, self.registers[:users] + LINGER_DAYS * linger[:users], np.inf)
        self.left_at[users:] = self.arrives[users:] + VISITOR_DAYS * linger[users:]

        self.visit_rate = rng.standard_gamma(1.2, people, dtype=np.float32) / np.float32(1.2)
        self.visit_rate[:users] *= np.power(np.maximum(rate, 1e-3), np.float32(0.3))
        self._scale_rates(settings, library, end)

        self.category = rng.integers(0, 256, people, dtype=np.uint8)  # favourite, modulo the number of categories
        self.device_count = (
            1 + (rng.random(people, dtype=np.float32) > 0.62).astype(np.uint8) + (rng.random(people, dtype=np.float32) > 0.85)
        ).astype(np.uint8)
        self.owner = np.arange(people, dtype=np.int32)
        self.owner[:users][self.is_invited_fraud] = self.inviter[self.is_invited_fraud]
        shares = rng.random(people // 2) < 0.03  # families: the second device of one is the first of the other
        self.shares_with_partner = np.zeros(people, dtype=bool)
        self.shares_with_partner[: len(shares) * 2 : 2] = shares
        self.device_count[self.shares_with_partner] = 2
        self._make_accounts(settings, season)

    def _invite(self, settings: Settings) -> None:
        """Who invited whom, always somebody who registered before; some inviters do it for the rewards, with accounts nobody uses."""
        rng = settings.stream("referrals")
        users = self.users
        invited = (self.channel[:users] == REFERRAL) & (np.arange(users) > 0)
        picked = (np.arange(users) * rng.beta(0.8, 1.6, users)).astype(np.int32)
        self.is_inviting_fraud = rng.random(users, dtype=np.float32) < 0.002
        self.is_invited_fraud = np.zeros(users, dtype=bool)
        gangs = np.flatnonzero(self.is_inviting_fraud)
        if len(gangs):
            slot = np.searchsorted(gangs, np.arange(users)) - 1  # the latest fraudulent inviter before each user
            led = invited & (slot >= 0) & (rng.random(users) < 0.15)
            picked[led] = gangs[slot[led]]
            self.is_invited_fraud = led
        self.inviter = np.where(invited, picked, NOBODY).astype(np.int32)
        self.inviter[self.inviter >= np.arange(users)] = NOBODY
        self.generation = np.zeros(users, dtype=np.int8)
        for _ in range(40):  # as deep as invitations of invited go
            parents = np.where(self.inviter >= 0, self.generation[self.inviter] + 1, 0).astype(np.int8)
            if np.array_equal(parents, self.generation):
                break
            self.generation = parents

    def _scale_rates(self, settings: Settings, library: Library, end: float) -> None:
        """Scale purchase and visit rates so that the means asked for come out; tried on a sample of 20,000 persons."""
        rng = settings.stream("scale")
        some = np.linspace(0, self.users - 1, min(self.users, 20_000)).astype(np.int64)
        copies = max(1, 20_000 // len(some))
        some = np.tile(some, copies)
        exposed = np.maximum(end - self.registers[some], 0)
        alive = self.dropped_at[some] > self.registers[some]
        lives = np.where(alive, rng.geometric(np.maximum(self.dropout_chance[some], 1e-3)), 0)
        low, high = 0.0, 50.0
        for step in range(40):
            middle = (low + high) / 2
            buys = np.minimum(settings.stream("scale", step + 1).poisson(self.rate[some] * middle * exposed), lives)
            low, high = (middle, high) if buys.mean() < settings.orders_per_user else (low, middle)
        self.rate *= np.float32(low)
        # How long people come: to the end, or until some time after the purchase that was their last.
        until_death = np.where(
            alive, rng.standard_gamma(np.maximum(lives, 1)) / np.maximum(self.rate[some], 1e-9), 0
        ) + LINGER_DAYS * rng.standard_exponential(len(some))
        stays = np.minimum(np.minimum(end, self.registers[some] + until_death) - self.arrives[some], end)
        # twice the rate in the first two weeks, as in visits
        time = stays + 0.5 * np.minimum(stays, 14.0)
        per_user = float((self.visit_rate[some] * time).mean())
        others = np.arange(self.users, self.people)
        stay = np.minimum(end, self.left_at[others]) - self.arrives[others]
        per_user += float((self.visit_rate[others] * (stay + 0.5 * np.minimum(stay, 14.0))).sum()) / self.users
        length = sum(share * library.mean_length(kind) for kind, share in zip(READING_KINDS, READING_SHARES, strict=True))
        fixed = (
            settings.orders_per_user * library.mean_length("buy") + library.mean_length("register") + 0.5 * library.mean_length("arrive")
        )
        rest = max(settings.events_per_user - fixed, 0.02 * settings.events_per_user)
        self.visit_rate *= np.float32(rest / (per_user * length))

    def _make_accounts(self, settings: Settings, season: Season) -> None:
        """Dirt among the people: accounts that are no customers, and second accounts that are merged into the first later on."""
        rng = settings.stream("accounts")
        users = self.users
        draw = rng.random(users, dtype=np.float32)
        dirt = settings.dirt
        self.excluded_as = np.zeros(users, dtype=np.int8)  # 0 nobody's, 1 test, 2 bot, 3 internal
        self.excluded_as[draw < 0.6 * dirt] = 1
        self.excluded_as[(draw >= 0.6 * dirt) & (draw < 0.75 * dirt)] = 2
        self.excluded_as[(draw >= 0.75 * dirt) & (draw < dirt)] = 3
        self.account = np.arange(users, dtype=np.int32)  # the account a person uses now
        second = np.flatnonzero(
            (rng.random(users) < 0.3 * dirt) & (self.registers[:users] + 3 < season.starts[-1]) & (self.excluded_as == 0)
        )
        first = (second * rng.random(len(second))).astype(np.int32)
        plain = (self.excluded_as[first] == 0) & ~np.isin(first, second) & (first != second)
        self.merged, self.merged_into = second[plain].astype(np.int32), first[plain]
        self.human = np.arange(self.people, dtype=np.int32)  # who is behind each account: of merged ones, the first account's person
        self.human[self.merged] = self.merged_into
        wait = 2.0 + rng.exponential(10.0, len(self.merged))
        self.merged_at = self.registers[self.merged] + wait


def _arrivals(rng: np.random.Generator, count: int, season: Season) -> npt.NDArray[np.float64]:
    """Operational times at which people turn up: a launch wave, then growth by half over the time simulated."""
    days = len(season.weight)
    day = np.arange(days)
    density = season.weight * (1 + 0.5 * day / days + 8 * np.exp(-day / (0.04 * days)))
    share = np.concatenate([[0.0], np.cumsum(density) / density.sum()])
    return np.interp(rng.random(count), share, season.starts)
