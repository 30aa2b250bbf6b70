"""Commerce: orders with their lines, payments and refunds, out of the visits in which something was bought, and the coupons used on them.

Add here a record that follows from an order. Must not decide who buys.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from userops_pipeline.simulate.behaviour import ERRORS, FIRST_USER, EventsOfDay, VisitsOfDay
from userops_pipeline.simulate.catalogue import Catalogue
from userops_pipeline.simulate.paths import KIND, STEP, Library
from userops_pipeline.simulate.population import Population
from userops_pipeline.simulate.settings import DAY, Settings
from userops_pipeline.simulate.writer import Outbox, coded, money, times

STATUSES = ("placed", "paid", "completed", "cancelled", "refunded")
PLACED, PAID, COMPLETED, CANCELLED, REFUNDED = range(5)
METHODS = ("wechat_pay", "alipay", "card", "balance")
REASONS = ("not_as_described", "damaged", "late_delivery", "changed_mind")
CAUSES = ("own", "message")
AT_ONCE = 0.6  # of orders are delivered the same day
REFUND_SHARE = 0.04
COUPON_DAYS = 14
COUPON_KINDS = ("coupon", "red_packet", "gift", "points")


class Coupons:
    """The one coupon each user may hold at a time; rows are written when it is issued and again when it is used."""

    def __init__(self, settings: Settings, users: int, campaign_ids: pa.Array) -> None:
        self._settings, self._campaign_ids = settings, campaign_ids
        self._next_id = 1
        self.number = np.zeros(users, np.int64)
        self.cents = np.zeros(users, np.int32)
        self.until = np.full(users, -1, np.int16)
        self.issued = np.zeros(users, np.float64)
        self.claimed = np.zeros(users, np.float32)  # seconds after issue; 0 for never
        self.campaign = np.full(users, -1, np.int32)
        self.kind = np.zeros(users, np.int8)

    def issue(
        self,
        day: int,
        users: npt.NDArray[np.integer],
        seconds: npt.NDArray[np.float64],
        cents: int,
        kind: int,
        campaign: int,
        outbox: Outbox,
    ) -> None:
        """Issue to those who hold none; a claim within minutes by most, on the same day."""
        free = self.until[users] < day
        users, seconds = users[free], seconds[free]
        users, once = np.unique(users, return_index=True)
        seconds = seconds[once]
        rng = self._settings.stream(f"coupons {kind} {campaign}", day)
        count = len(users)
        self.number[users] = self._next_id + np.arange(count)
        self._next_id += count
        self.cents[users], self.until[users], self.campaign[users], self.kind[users] = cents, day + COUPON_DAYS, campaign, kind
        self.issued[users] = seconds
        wait = np.minimum(rng.exponential(600, count) + 5, (day + 1) * DAY - 1 - seconds)
        self.claimed[users] = np.where((rng.random(count) < 0.8) & (wait > 0), wait, 0)
        outbox.add(day, "incentives", self._rows(users, None, None))

    def use(
        self, users: npt.NDArray[np.integer], day: int, most_cents: npt.NDArray[np.int64], wish: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.int64]:
        """Cents off for an order of each user; a coupon must be claimed, and is good from the day after its issue."""
        usable = (self.until[users] >= day) & (self.claimed[users] > 0) & (self.issued[users] < day * DAY)
        usable &= (self.cents[users] < most_cents) & (wish < 0.85)
        first = np.zeros(len(users), dtype=bool)
        first[np.unique(users, return_index=True)[1]] = True
        return np.where(usable & first, self.cents[users], 0).astype(np.int64)

    def used(
        self,
        nights: npt.NDArray[np.integer],
        users: npt.NDArray[np.integer],
        orders: npt.NDArray[np.int64],
        seconds: npt.NDArray[np.float64],
        outbox: Outbox,
    ) -> None:
        outbox.add_by_night(nights, "incentives", self._rows(users, seconds, orders))
        self.until[users] = -1

    def _rows(self, users: npt.NDArray[np.integer], used: npt.NDArray[np.float64] | None, orders: npt.NDArray[np.int64] | None) -> pa.Table:
        count = len(users)
        none = np.ones(count, dtype=bool)
        claimed, campaign = self.claimed[users], self.campaign[users]
        return pa.table(
            {
                "incentive_id": pa.array(self.number[users]),
                "user_id": pa.array(users.astype(np.int64) + FIRST_USER),
                "campaign_id": coded(np.maximum(campaign, 0), self._campaign_ids, campaign < 0),
                "kind": coded(self.kind[users], COUPON_KINDS),
                "issued_at": times(self._settings, self.issued[users]),
                "claimed_at": times(self._settings, self.issued[users] + claimed, claimed == 0),
                "used_at": times(self._settings, np.zeros(count) if used is None else used, none if used is None else None),
                "order_id": pa.array(np.zeros(count, np.int64) if orders is None else orders, mask=none if orders is None else None),
                "value": money(self.cents[users]),
                "cost": money(self.cents[users] if used is not None else np.zeros(count, np.int64)),
            }
        )


class Commerce:
    """Orders of a day, and what becomes of them on later nights."""

    def __init__(self, settings: Settings, population: Population, catalogue: Catalogue, library: Library, coupons: Coupons) -> None:
        self._settings, self._population, self._catalogue = settings, population, catalogue
        self._library, self._coupons = library, coupons
        self._next_order = self._next_line = self._next_payment = self._next_refund = 1
        self._merchants = pa.array([f"M{number:04}" for number in range(catalogue.merchants)], pa.string())
        self.paid_orders = 0

    def of_day(self, day: int, visits: VisitsOfDay, events: EventsOfDay, outbox: Outbox) -> tuple[npt.NDArray[np.integer], ...]:
        """Write the day's orders; returns (person, order number, first product, paid second, order night, cause) of those that were paid."""
        settings, rng = self._settings, self._settings.stream("orders", day)
        buys = (visits.kind == KIND["buy"]) | (visits.kind == KIND["click_buy"]) | (visits.kind == KIND["fail"])
        at = np.flatnonzero(buys)
        count = len(at)
        kind = visits.kind[at]
        order = self._next_order + np.arange(count)
        self._next_order += count
        person, user = visits.person[at], visits.user[at]
        path = visits.path[at]
        ordered_index = events.first[at] + self._library.checkout[path]
        ordered = events.second[ordered_index]
        is_paid = kind != KIND["fail"]
        paid = np.where(is_paid, events.second[events.first[at] + np.where(is_paid, self._library.pay[path], 0)], np.inf)
        ended = events.second[events.first[at] + events.length[at] - 1]
        night = (ended // DAY).astype(np.int64)
        product = events.product[ordered_index]

        # lines: the product of the visit, and often others of its category
        sensitivity = self._population.price_sensitivity[person]
        lines = 1 + rng.binomial(2, 0.22, count)
        of = np.repeat(np.arange(count), lines)
        begin = np.cumsum(lines) - lines
        catalogue = self._catalogue
        category = catalogue.category[product][of]
        item = catalogue.first[category] + (rng.random(len(of)) ** 2 * catalogue.size[category]).astype(np.int64)
        item[begin] = product
        quantity = 1 + (rng.random(len(of)) < 0.15)
        price = catalogue.price[item]
        on_sale = rng.random(count) < 0.1 + 0.6 * sensitivity
        cut = np.where(on_sale, rng.choice([0.05, 0.1, 0.2, 0.3], count), 0.0)
        gross = price * quantity
        off = np.round(gross * cut[of]).astype(np.int64)
        coupon = self._coupons.use(person, day, (gross - off)[begin], rng.random(count, dtype=np.float32))
        coupon[~is_paid] = 0
        off[begin] += coupon
        paid_for = gross - off
        amount = np.bincount(of, paid_for, minlength=count).astype(np.int64) if count else np.zeros(0, np.int64)
        discount = np.bincount(of, off, minlength=count).astype(np.int64) if count else np.zeros(0, np.int64)

        at_once = rng.random(count) < AT_ONCE
        status = np.where(~is_paid, PLACED, np.where(at_once, COMPLETED, PAID)).astype(np.int8)

        def rows(chosen: npt.NDArray[np.integer], states: npt.NDArray[np.int8]) -> pa.Table:
            return pa.table(
                {
                    "order_id": pa.array(order[chosen]),
                    "user_id": pa.array(user[chosen]),
                    "ordered_at": times(settings, ordered[chosen]),
                    "paid_at": times(settings, paid[chosen], ~is_paid[chosen]),
                    "status": coded(states, STATUSES),
                    "amount": money(amount[chosen]),
                    "discount_amount": money(discount[chosen]),
                    "currency": coded(np.zeros(len(chosen), np.int8), ("CNY",)),
                    "merchant_id": coded(catalogue.merchant[product[chosen]], self._merchants),
                }
            )

        everyone = np.arange(count)
        outbox.add_by_night(night, "orders", rows(everyone, status))
        # later: cancelled the next night, delivered within six, some sent back within ten
        failed = np.flatnonzero(~is_paid)
        outbox.add_by_night(night[failed] + 1, "orders", rows(failed, np.full(len(failed), CANCELLED, np.int8)))
        back = is_paid & (rng.random(count) < REFUND_SHARE)
        whole = rng.random(count) < 0.7
        back_night = night + rng.integers(3, 11, count)
        done_night = night + rng.integers(2, 7, count)
        done = np.flatnonzero(is_paid & ~at_once & ~(back & whole))
        outbox.add_by_night(done_night[done], "orders", rows(done, np.full(len(done), COMPLETED, np.int8)))
        refunded = np.flatnonzero(back & whole)
        outbox.add_by_night(back_night[refunded], "orders", rows(refunded, np.full(len(refunded), REFUNDED, np.int8)))

        outbox.add_by_night(
            night[of],
            "order_items",
            pa.table(
                {
                    "order_item_id": pa.array(self._next_line + np.arange(len(of))),
                    "order_id": pa.array(order[of]),
                    "ordered_at": times(settings, ordered[of]),
                    "product_id": pa.array((item + 1000).astype(np.int64)),
                    "quantity": pa.array(quantity.astype(np.int32)),
                    "price": money(price),
                    "amount": money(paid_for),
                    "discount_amount": money(off),
                    "merchant_id": coded(catalogue.merchant[item], self._merchants),
                }
            ),
        )
        self._next_line += len(of)
        self._refunds(np.flatnonzero(back), order, user, amount, whole, back_night, outbox, rng)
        self._payments(visits, events, at, order, user, amount, night, rng, outbox)
        used = np.flatnonzero(coupon > 0)
        self._coupons.used(night[used], person[used], order[used], ordered[used], outbox)
        good = np.flatnonzero(is_paid)
        self.paid_orders += len(good)
        cause = (kind == KIND["click_buy"]).astype(np.int8)
        return person[good], order[good], product[good], paid[good], night[good], cause[good]

    def _payments(self, visits, events, at, order, user, amount, night, rng, outbox) -> None:
        number = np.full(len(visits.person), -1, np.int64)
        number[at] = np.arange(len(at))
        tries = np.flatnonzero((events.step == STEP["pay"]) | (events.step == STEP["refused"]))
        of = number[events.visit[tries]]
        success = events.step[tries] == STEP["pay"]
        outbox.add_by_night(
            night[of],
            "payments",
            pa.table(
                {
                    "payment_id": pa.array(self._next_payment + np.arange(len(tries))),
                    "order_id": pa.array(order[of]),
                    "user_id": pa.array(user[of]),
                    "attempted_at": times(self._settings, events.second[tries]),
                    "method": coded(rng.choice(len(METHODS), len(tries), p=(0.5, 0.3, 0.15, 0.05)).astype(np.int8), METHODS),
                    "outcome": coded(success.astype(np.int8), ("failure", "success")),
                    "error_class": coded(events.error[tries], ERRORS, success),
                    "amount": money(amount[of]),
                }
            ),
        )
        self._next_payment += len(tries)

    def _refunds(self, back, order, user, amount, whole, night, outbox, rng) -> None:
        part = np.where(whole[back], 1.0, rng.uniform(0.2, 0.8, len(back)))
        second = night[back] * DAY + rng.uniform(9, 21, len(back)) * 3600
        cents = np.maximum(1, (amount[back] * part).astype(np.int64))
        outbox.add_by_night(
            night[back],
            "refunds",
            pa.table(
                {
                    "refund_id": pa.array(
                        [f"R{number:08}" for number in range(self._next_refund, self._next_refund + len(back))], pa.string()
                    ),
                    "order_id": pa.array(order[back]).cast(pa.string()),
                    "user_id": pa.array(user[back]).cast(pa.string()),
                    "refunded_at": iso(self._settings, second),
                    "amount": money(cents).cast(pa.string()),
                    "reason": coded(rng.integers(0, len(REASONS), len(back)).astype(np.int8), REASONS).cast(pa.string()),
                }
            ),
        )
        self._next_refund += len(back)


def iso(settings: Settings, seconds: npt.NDArray[np.float64], missing: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Local times as text with their offset, the way the shop's smaller systems write them."""
    clean = np.where(np.isfinite(seconds), seconds, 0).astype("timedelta64[s]")
    text = np.datetime_as_string(np.datetime64(settings.start, "s") + clean)
    return pa.array([f"{moment}+08:00" for moment in text], pa.string(), mask=missing)
