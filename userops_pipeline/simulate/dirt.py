"""Dirt: what goes wrong between a shop and its files, at a set rate, with a record of every dirty row and of what should become of it.

Add a kind of fault here with its verdict. Every fault is put beside the true rows, never instead of one, except that some arrive late:
so with any rate the rows that should be kept are the true ones. Dirt draws from its own streams. Must not read the pipeline's rules:
the verdicts restate what the contract and docs/decisions/intake.md promise, and a test compares them with what happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from userops_pipeline.simulate.behaviour import FIRST_USER
from userops_pipeline.simulate.population import LEAST_DEVICE
from userops_pipeline.simulate.settings import DAY, Settings
from userops_pipeline.simulate.writer import FILES, Outbox, coded

MOST_SHARE = 5  # at most every fifth row of a file is dirty, so that a night stays usable
STRANGE_KEYS = 7_000_000_000_000
BOT_GAP_MS = 2000


@dataclass(frozen=True)
class Kind:
    """A kind of dirty row: a copy of a true row, with a key of its own unless `same_key`, and changed values."""

    name: str
    verdict: str  # quarantined, duplicate or kept
    values: dict[str, Any] = field(default_factory=dict)
    same_key: bool = False
    shift_days: tuple[int, int] | None = None  # moves the `at` column, negative into the past


@dataclass(frozen=True)
class Spot:
    """Where dirt can fall in a table."""

    key: str
    at: str | None
    kinds: tuple[Kind, ...]
    late: int = 0  # true rows may arrive up to so many nights late


def _copy() -> Kind:
    return Kind("exact duplicate", "duplicate", same_key=True)


def _conflict(**values: Any) -> Kind:
    """The source states no version, so the greatest content counts: a wrong copy is less than the right row."""
    return Kind("conflicting duplicate", "quarantined", values, same_key=True)


def _without(column: str) -> Kind:
    return Kind(f"without {column}", "quarantined", {column: None})


_SKEW = Kind("clock ahead", "quarantined", shift_days=(2, 400))


def _too_late(lateness: int) -> Kind:
    return Kind("too late", "quarantined", shift_days=(-lateness - 40, -lateness - 2))


_STRANGER = Kind("unknown user", "kept", {"user_id": FIRST_USER * 9})
_NEGATIVE = Kind("negative amount", "quarantined", {"amount": -1})

SPOTS: dict[str, Spot] = {
    "events": Spot(
        "event_id",
        "event_at",
        (
            _copy(), _copy(), _conflict(page="!offline"), _SKEW, _too_late(3), _without("event_id"), _without("event_at"), _without("event_name"),
            Kind("neither user nor device", "quarantined", {"user_id": None, "device_id": None}),
            Kind("unknown name", "kept", {"event_name": "wishlist"}), _STRANGER,
            Kind("epoch time", "quarantined", {"event_at": datetime(1970, 1, 1)}),
        ),
        late=3,
    ),
    "orders": Spot(
        "order_id",
        "ordered_at",
        (
            _copy(), _conflict(currency="AUD"), _SKEW, _too_late(35), _without("order_id"), _without("amount"), _NEGATIVE,
            Kind("currency sign", "quarantined", {"currency": "¥"}), _STRANGER,
        ),
    ),
    "order_items": Spot("order_item_id", "ordered_at", (_copy(), _conflict(quantity=0), _without("order_id"), _without("quantity"), _NEGATIVE)),
    "payments": Spot("payment_id", "attempted_at", (_copy(), _conflict(method="!unknown"), _SKEW, _without("outcome"), _NEGATIVE), late=3),
    "touches": Spot("touch_id", "sent_at", (_copy(), _conflict(variant="0"), _SKEW, _too_late(7), _without("channel"), _STRANGER)),
    "incentives": Spot("incentive_id", "issued_at", (_copy(), _SKEW, _without("user_id"), Kind("negative value", "quarantined", {"value": -5}))),
    "content": Spot("content_id", "created_at", (_copy(), _SKEW, _too_late(7), _without("user_id"), _without("kind")), late=7),
    "users": Spot(
        "user_id",
        None,
        (
            _copy(), _without("user_id"), _without("registered_at"),
            Kind("no e-mail address", "quarantined", {"email": "li.na@@mail"}),
            Kind("no phone number", "quarantined", {"phone": "138-CALL-ME"}),
            Kind("no such date", "quarantined", {"birth_date": "1990-02-30"}),
            Kind("placeholder date", "quarantined", {"birth_date": "1900-01-01"}),
            Kind("hidden characters", "quarantined", {"name": "安\u202e全"}),
            Kind("messy but right", "kept", {"email": " Messy@Mail.EXAMPLE ", "phone": "+86 130-0000-0000", "name": "=SUM(1,2)😀", "excluded_as": "test"}),
        ),
    ),
    "identities": Spot("device_id", None, (_copy(), _without("user_id"), _without("first_seen_at"))),
    "assignments": Spot("user_id", None, (_copy(), _without("arm"), _without("user_id"))),
    "consents": Spot("user_id", None, (_copy(), _without("basis"), _without("contact_point"))),
    "products": Spot(
        "product_id",
        None,
        (
            _copy(), Kind("thousands separator", "quarantined", {"price": "1.280.00"}), Kind("exponent", "quarantined", {"price": "1e2"}),
            _without("product_id"),
        ),
    ),
    "refunds": Spot("refund_id", None, (_copy(), Kind("amount in words", "quarantined", {"amount": "12元"}), _without("order_id"))),
    "referrals": Spot("referral_id", None, (_copy(), Kind("american date", "quarantined", {"step_at": "03/12/2026 14:05"}), _without("step"))),
    "channel_costs": Spot("channel", None, (_copy(), Kind("not a number", "quarantined", {"amount": "NaN"}))),
    "manual_tags": Spot("user", None, (_copy(), _without("agent"), Kind("no such action", "quarantined", {"action": "maybe"}))),
    "campaigns": Spot("编号", None, (_copy(), Kind("no such date", "quarantined", {"开始": "2026-13-01"}), Kind("ends before it starts", "quarantined", {"结束": "2001-01-01"}))),
    "tickets": Spot("id", None, (_copy(), Kind("above the scale", "quarantined", {"satisfaction": "99"}), Kind("no such time", "quarantined", {"opened": "2026-01-01 25:00:00"}))),
    "feedback": Spot("id", None, (_copy(), Kind("score in words", "quarantined", {"score": "十"}), _without("kind"))),
}  # fmt: skip

TRUTH = pa.schema(
    [
        ("night", pa.string()), ("table_name", pa.string()), ("file", pa.string()), ("row", pa.int64()),
        ("kind", pa.string()), ("verdict", pa.string()), ("key", pa.string()),
    ]
)  # fmt: skip


class Dirt:
    """Soils the tables of a night before they are written; `truth` is one row per dirty row."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.truth: list[pa.Table] = []

    def soil(self, night: int, tables: dict[str, pa.Table], outbox: Outbox) -> dict[str, pa.Table]:
        """The night's tables with their share of dirt; rows that are late go back to the outbox."""
        if self._settings.dirt == 0:
            return tables
        return {name: self._soil(night, name, rows, outbox) if name in SPOTS else rows for name, rows in tables.items()}

    def _soil(self, night: int, name: str, rows: pa.Table, outbox: Outbox) -> pa.Table:
        spot, rng = SPOTS[name], self._settings.stream(f"dirt {name}", night)
        if spot.late and night > 0:
            rows = self._delay(night, name, rows, rng, outbox)
        count = min(int(rng.binomial(rows.num_rows, self._settings.dirt)), rows.num_rows // MOST_SHARE)
        if count == 0:
            return rows
        chosen = np.sort(rng.choice(rows.num_rows, count, replace=False))
        which = rng.integers(0, len(spot.kinds), count)
        dirty: list[pa.Table] = []
        row = rows.num_rows + 1
        for number, kind in enumerate(spot.kinds):
            picked = chosen[which == number]
            if len(picked) == 0 or (kind.name == "too late" and night == 0):
                continue
            copy = self._spoil(night, number, spot, kind, rows.take(pa.array(picked)), rng)
            dirty.append(copy)
            self._note(night, name, spot, kind.name, kind.verdict, copy, np.arange(row, row + copy.num_rows))
            row += copy.num_rows
        return pa.concat_tables([rows, *dirty]).unify_dictionaries()

    def _spoil(self, night: int, number: int, spot: Spot, kind: Kind, copy: pa.Table, rng: np.random.Generator) -> pa.Table:
        count = copy.num_rows
        values: dict[str, Any] = {}
        if not kind.same_key:
            fresh = STRANGE_KEYS + night * 1_000_000_000 + number * 10_000_000 + np.arange(count)
            values[spot.key] = fresh if pa.types.is_integer(copy.schema.field(spot.key).type) else [f"X{key}" for key in fresh]
        if kind.shift_days is not None:
            assert spot.at is not None
            days = rng.integers(kind.shift_days[0], kind.shift_days[1] + 1, count)
            moved = copy.column(spot.at).to_numpy() + (days * DAY).astype("timedelta64[s]")
            values[spot.at] = moved
            for column in ("paid_at", "claimed_at", "delivered_at", "opened_at", "clicked_at"):
                if column in copy.column_names:
                    values[column] = None
        values.update(kind.values)
        for column, value in values.items():
            copy = _replaced(copy, column, value)
        return copy

    def _delay(self, night: int, name: str, rows: pa.Table, rng: np.random.Generator, outbox: Outbox) -> pa.Table:
        """Some true rows of this day arrive within the lateness of their table."""
        spot = SPOTS[name]
        assert spot.at is not None
        today = rows.column(spot.at).to_numpy() >= np.datetime64(self._settings.epoch_ms + night * DAY * 1000, "ms")
        late = today & (rng.random(rows.num_rows) < self._settings.dirt / 2)
        at = np.flatnonzero(late)
        if len(at) == 0:
            return rows
        nights = night + rng.integers(1, spot.late + 1, len(at))
        delayed = rows.take(pa.array(at))
        outbox.add_by_night(nights, name, delayed)
        self._note(night, name, spot, "late", "kept", delayed, None)
        return rows.filter(pa.array(~late))

    def _note(self, night: int, name: str, spot: Spot, kind: str, verdict: str, rows: pa.Table, numbers: np.ndarray | None) -> None:
        count = rows.num_rows
        self.truth.append(
            pa.table(
                {
                    "night": pa.array([self._settings.date_of(night).isoformat()] * count, pa.string()),
                    "table_name": pa.array([name] * count, pa.string()),
                    "file": pa.array([FILES[name]] * count, pa.string()),
                    "row": pa.nulls(count, pa.int64()) if numbers is None else pa.array(numbers, pa.int64()),
                    "kind": pa.array([kind] * count, pa.string()),
                    "verdict": pa.array([verdict] * count, pa.string()),
                    "key": rows.column(spot.key).cast(pa.string()),
                },
                schema=TRUTH,
            )
        )


def _replaced(rows: pa.Table, column: str, value: Any) -> pa.Table:
    """The rows with one column set to a value, a list of values, or null."""
    field_ = rows.schema.field(column)
    count = rows.num_rows
    plain = field_.type.value_type if pa.types.is_dictionary(field_.type) else field_.type
    if value is None:
        new = pa.nulls(count, plain)
    elif isinstance(value, (list, np.ndarray)):
        new = pa.array(value).cast(plain)
    elif pa.types.is_decimal(plain):
        new = pa.array([Decimal(value)] * count, plain)
    else:
        new = pa.array([value] * count, plain)
    if pa.types.is_dictionary(field_.type):
        new = new.dictionary_encode().cast(field_.type)
    return rows.set_column(rows.schema.get_field_index(column), field_, new)


class Bots:
    """Robots that read the catalogue page by page; most declare themselves. They exist only where there is dirt."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.count = 0 if settings.dirt == 0 else max(2, round(settings.users * settings.dirt * 0.02))
        rng = settings.stream("bots")
        self.device = LEAST_DEVICE + (1 << 37) + rng.permutation(self.count)
        self.declared = rng.random(self.count) < 0.6
        self._next_id = 2_000_000_000_000

    def of_day(self, day: int, products: int, schema: pa.Schema, outbox: Outbox) -> None:
        """Runs of 60 to 200 pages at the same pace, by every bot about every fifth day."""
        rng = self._settings.stream("bots", day)
        awake = np.flatnonzero(rng.random(self.count) < 0.2)
        length = rng.integers(60, 200, len(awake))
        count = int(length.sum())
        if count == 0:
            return
        begin = np.floor(rng.uniform(0, DAY - 1000, len(awake))).astype(np.int64) * 1000
        bot = np.repeat(awake, length)
        place = np.arange(count) - np.repeat(np.cumsum(length) - length, length)
        moment = self._settings.epoch_ms + day * DAY * 1000 + np.repeat(begin, length) + place * BOT_GAP_MS
        product = 1000 + rng.integers(0, products, count)
        filled = {
            "event_id": pa.array(self._next_id + np.arange(count)),
            "device_id": pa.array(self.device[bot]),
            "event_at": pa.array(moment, pa.timestamp("ms")),
            "event_name": coded((place % 4 > 0).astype(np.int8), ("list", "detail")),
            "page": coded((place % 4 > 0).astype(np.int8), ("category", "product")),
            "product_id": pa.array(product, mask=place % 4 == 0),
            "is_bot": pa.array(np.ones(count, dtype=bool), mask=~self.declared[bot]),
        }
        self._next_id += count
        columns = [
            filled[name].cast(kind) if name in filled else pa.nulls(count, kind)
            for name, kind in zip(schema.names, schema.types, strict=True)
        ]
        outbox.add(day, "events", pa.Table.from_arrays(columns, schema=schema))
