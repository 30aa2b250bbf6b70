"""Messages: who is written to on which channel, what they do with it, how they tire of it, and what they consent to.

Add a channel or a reaction here. Must not know the orders; the lift a message gives is handed to purchases.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from userops_pipeline.simulate.behaviour import FIRST_USER
from userops_pipeline.simulate.catalogue import TOUCH_CHANNELS, Campaigns
from userops_pipeline.simulate.commerce import Coupons
from userops_pipeline.simulate.population import Population, device_numbers
from userops_pipeline.simulate.purchases import Purchases
from userops_pipeline.simulate.registry import Registry
from userops_pipeline.simulate.season import Season
from userops_pipeline.simulate.settings import DAY, Settings
from userops_pipeline.simulate.writer import Outbox, coded, joined, times

CONSENT_SHARES = (0.75, 0.6, 0.55, 0.45, 0.9, 0.4)  # by TOUCH_CHANNELS
DELIVERED = (0.93, 0.97, 0.98, 0.99, 1.0, 0.95)
OPENED = (0.08, 0.2, 0.0, 0.3, 0.25, 0.0)  # at openness 1 and no pressure; of SMS and letters an opening is not seen
CLICKED = (0.35, 0.15, 0.05, 0.2, 0.3, 0.01)  # of the opened, or where that is not seen of the delivered
CONVERTS = 0.07  # of the clicks buy at once
FATIGUE = 0.22  # response falls by exp(-FATIGUE * pressure)
PRESSURE_DAYS = 7.0
UNSUBSCRIBES = 0.0015
COMPLAINS = 0.0002
LIFT_DAYS = 3.0
TOUCHES_PER_EVENT = 0.1
CHANGES_OF_MIND = 0.0004  # of users a day
COUPON_CENTS = 1000
STATES = ("subscribed", "unsubscribed", "did_not_subscribe")
HELPERS_SHARE = 0.35  # of users agree to be asked what others want to know
BASES = ("consent_checkbox", "preference_centre", "unsubscribe_link")


class Messages:
    """Consent and pressure per user, and the messages of a day."""

    def __init__(
        self, settings: Settings, population: Population, registry: Registry, campaigns: Campaigns, coupons: Coupons, season: Season
    ) -> None:
        self._settings, self._population, self._registry = settings, population, registry
        self._campaigns, self._coupons = campaigns, coupons
        self._next_id = 1
        self.agreed = np.zeros(population.users, np.uint8)  # one bit per channel
        self.pressure = np.zeros(population.users, np.float32)
        self._pressed_on = np.zeros(population.users, np.int16)
        self._carried = (np.empty(0, np.int32), np.empty(0), np.empty(0, np.int32), np.empty(0, bool))
        present = np.maximum(season.starts[-1] - population.registers[: population.users], 0).mean()
        wanted = TOUCHES_PER_EVENT * settings.events_per_user / max(present, 1.0)
        self._daily_share = wanted / ((1 - 0.1) * float(np.mean(CONSENT_SHARES)))

    # -- consent ---------------------------------------------------------------------------------------------------

    def _consents(
        self,
        users: npt.NDArray[np.integer],
        channel: int,
        state: npt.NDArray[np.int8],
        basis: int,
        seconds: npt.NDArray[np.float64],
        purpose: str = "marketing",
    ) -> pa.Table:
        number = pa.array(users.astype(np.int64) + FIRST_USER).cast(pa.string())
        match TOUCH_CHANNELS[channel]:
            case "email":
                point = self._registry.emails(users)
            case "sms":
                point = joined("+86", self._registry.phones(users))
            case "push":
                token = device_numbers(users, np.zeros(len(users), np.int64))
                point = joined("token-", pa.array(token).cast(pa.string()))
            case name:
                point = joined(f"{name}-", number)
        return pa.table(
            {
                "user_id": pa.array(users.astype(np.int64) + FIRST_USER),
                "contact_point": point,
                "channel": coded(np.full(len(users), channel, np.int8), TOUCH_CHANNELS),
                "purpose": coded(np.zeros(len(users), np.int8), (purpose,)),
                "state": coded(state, STATES),
                "basis": coded(np.full(len(users), basis, np.int8), BASES),
                "changed_at": times(self._settings, seconds),
            }
        )

    def ask(self, day: int, users: npt.NDArray[np.int32], seconds: npt.NDArray[np.float64], outbox: Outbox) -> None:
        """The choices made at registration: every agreement, and a refusal where the form asked (e-mail, SMS)."""
        rng = self._settings.stream("consents", day)
        for channel, name in enumerate(TOUCH_CHANNELS):
            agrees = rng.random(len(users)) < CONSENT_SHARES[channel]
            reachable = self._registry.has_email(users) if name == "email" else np.ones(len(users), dtype=bool)
            agrees &= reachable
            self.agreed[users[agrees]] |= 1 << channel
            told = np.flatnonzero(agrees | (reachable & (name in ("email", "sms"))))
            outbox.add(
                day, "consents", self._consents(users[told], channel, np.where(agrees[told], 0, 2).astype(np.int8), 0, seconds[told])
            )

    def ask_for_help(self, day: int, users: npt.NDArray[np.int32], seconds: npt.NDArray[np.float64], outbox: Outbox) -> None:
        """Who agrees at registration to be asked other users' questions in the app: a purpose of its own, which nobody is assumed to share."""
        willing = self._settings.stream("helpers", day).random(len(users)) < HELPERS_SHARE
        state = np.zeros(int(willing.sum()), np.int8)
        outbox.add(
            day, "consents", self._consents(users[willing], TOUCH_CHANNELS.index("in_app"), state, 0, seconds[willing], purpose="service")
        )

    def change_minds(self, day: int, registered_before: int, outbox: Outbox) -> None:
        """Some users open the preference centre and turn one channel off, or on again."""
        rng = self._settings.stream("preferences", day)
        if registered_before == 0:
            return
        users = np.unique(rng.integers(0, registered_before, rng.binomial(registered_before, CHANGES_OF_MIND)))
        channel = rng.integers(0, len(TOUCH_CHANNELS), len(users))
        second = day * DAY + rng.uniform(8, 22, len(users)) * 3600
        for number, name in enumerate(TOUCH_CHANNELS):
            of = channel == number
            if name == "email":
                of &= self._registry.has_email(users)
            chosen = users[of]
            agreed = (self.agreed[chosen] >> number & 1).astype(bool)
            self.agreed[chosen] ^= np.uint8(1 << number)
            outbox.add(day, "consents", self._consents(chosen, number, agreed.astype(np.int8), 1, second[of]))

    # -- messages --------------------------------------------------------------------------------------------------

    def of_day(
        self, day: int, registered_before: int, season: Season, purchases: Purchases, outbox: Outbox
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64], npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
        """Send the day's messages of up to two running campaigns; returns the clicks as visits: person, second, campaign, buys."""
        clicks = [self._carried]
        touched = np.empty(0, np.int64)
        for back in (0, 3):
            campaign = day - back
            if campaign < 0:
                continue
            users = self._audience(day, back, campaign, registered_before)
            users = users[~np.isin(users, touched)]
            touched = np.concatenate([touched, users])
            clicks.append(self._send(day, campaign, users, season, purchases, outbox))
        who, when, campaigns, buys = (np.concatenate(parts) for parts in zip(*clicks, strict=True))
        later = when >= (day + 1) * DAY
        self._carried = (who[later], when[later], campaigns[later], buys[later])
        return who[~later], when[~later], campaigns[~later], buys[~later]

    def _audience(self, day: int, back: int, campaign: int, registered_before: int) -> npt.NDArray[np.int64]:
        rng = self._settings.stream(f"audience {back}", day)
        channel = Campaigns.channel(campaign)
        wanted = min(self._daily_share / 2, 1.5) * registered_before
        users = np.unique(rng.integers(0, max(registered_before, 1), rng.poisson(wanted)))
        population = self._population
        free = ~population.held_out[users] & (population.account[users] == users)
        users = users[free]
        return users[(self.agreed[users] >> channel & 1).astype(bool) & (self._registry.registered[users] < day * DAY)]

    def _send(self, day, campaign, users, season, purchases, outbox):
        settings, population = self._settings, self._population
        rng = settings.stream(f"touches {campaign}", day)
        channel, count = Campaigns.channel(campaign), len(users)
        self.pressure[users] *= np.exp(-(day - self._pressed_on[users]) / PRESSURE_DAYS).astype(np.float32)
        self._pressed_on[users] = day
        pressure = self.pressure[users]
        keen = population.openness[users] * np.exp(-FATIGUE * pressure)
        keen = np.where(population.left_at[users] < season.starts[day], 0.05 * keen, keen)
        keen[population.is_invited_fraud[users]] = 0  # accounts nobody uses
        sent = day * DAY + np.floor(rng.uniform(9.0, 19.0)) * 3600 + rng.uniform(0, 1800, count)
        delivered = rng.random(count) < DELIVERED[channel]
        seen = OPENED[channel] > 0
        opened = delivered & (rng.random(count) < OPENED[channel] * keen)
        clicked = (opened if seen else delivered) & (rng.random(count) < np.minimum(CLICKED[channel] * (1 if seen else keen), 0.9))
        open_second = sent + 20 + rng.exponential(2.5 * 3600, count)
        click_second = np.where(seen, open_second, sent + rng.exponential(2.5 * 3600, count)) + 3 + rng.exponential(60, count)
        buys = clicked & (rng.random(count) < CONVERTS)
        tired = UNSUBSCRIBES * (1 + pressure**2)
        leaves = delivered & (rng.random(count) < tired)
        complains = delivered & (rng.random(count) < COMPLAINS * (1 + pressure**2))
        leave_second = sent + 60 + rng.exponential(3600, count)
        for second in (open_second, click_second, leave_second):
            np.minimum(second, (day + 2) * DAY - 3600, out=second)
        self.pressure[users] = pressure + 1
        lifted = users[delivered]
        lift = population.uplift[lifted] * np.exp(-FATIGUE * pressure[delivered])
        purchases.lift[lifted] = lift
        purchases.lift_until[lifted] = season.starts[day + 1] + LIFT_DAYS  # from tonight on

        variant = (users % 2).astype(np.int8)
        number = self._next_id + np.arange(count)
        self._next_id += count

        def rows(chosen: npt.NDArray[np.integer], until: float) -> pa.Table:
            def at(second, happened):
                return times(settings, second[chosen], ~(happened[chosen] & (second[chosen] < until)))

            return pa.table(
                {
                    "touch_id": pa.array(number[chosen]),
                    "user_id": pa.array(users[chosen].astype(np.int64) + FIRST_USER),
                    "campaign_id": coded(np.full(len(chosen), campaign, np.int32), self._campaigns.ids),
                    "channel": coded(np.full(len(chosen), channel, np.int8), TOUCH_CHANNELS),
                    "variant": coded(variant[chosen], ("A", "B")),
                    "sent_at": times(settings, sent[chosen]),
                    "delivered_at": at(sent + 5, delivered),
                    "opened_at": at(open_second, opened),
                    "clicked_at": at(click_second, clicked),
                    "converted_at": at(click_second + 900, buys),
                    "unsubscribed_at": at(leave_second, leaves),
                    "complained_at": at(leave_second + 30, complains),
                }
            )

        midnight = (day + 1) * DAY
        outbox.add(day, "touches", rows(np.arange(count), midnight))
        later = (opened & (open_second >= midnight)) | (clicked & (click_second + 900 * buys >= midnight))
        later |= (leaves | complains) & (leave_second + 30 >= midnight)
        outbox.add(day + 1, "touches", rows(np.flatnonzero(later), midnight + DAY))

        gone = np.flatnonzero(leaves | complains)
        self.agreed[users[gone]] &= np.uint8(255 ^ (1 << channel))
        gone_consents = self._consents(users[gone], channel, np.ones(len(gone), np.int8), 2, leave_second[gone])
        outbox.add_by_night((leave_second[gone] // DAY).astype(np.int64), "consents", gone_consents)
        if Campaigns.has_coupon(campaign):
            self._coupons.issue(day, users[delivered], sent[delivered], COUPON_CENTS, 0, campaign, outbox)
        come = np.flatnonzero(clicked)
        return users[come].astype(np.int32), click_second[come], np.full(len(come), campaign, np.int32), buys[come]
