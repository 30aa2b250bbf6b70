"""A membership as its billing tells it: members who try, pay by the week or month, change plan, come late, cancel, are refunded, come back.

Here lives what makes a subscription's row change from night to night. Add a turn that billing tools tell and this does not.
Must not know how a paid period is counted: the seed makes the files, and nothing else.
"""

from __future__ import annotations

import csv
import json
import random
from datetime import date, datetime, timedelta
from pathlib import Path

from userops_pipeline.intake.source import Source, load_source

FIRST = date(2026, 1, 1)
USERS = ("user_id", "registered_at", "channel")
SUBSCRIPTIONS = (
    "subscription_id", "user_id", "plan", "period_unit", "period_count", "price", "currency",
    "started_at", "trial_ends_at", "renews_at", "cancelled_at", "ended_at",
)  # fmt: skip
PLANS = {"weekly": ("week", 7, "9.90"), "monthly": ("month", 30, "29.00")}


def members(folder: Path, *, count: int, nights: int, seed: int) -> Source:
    """Write the files of every night and the source that reads them, into an empty folder."""
    chance = random.Random(seed)
    told: dict[str, dict[int, list[dict[str, str]]]] = {"users": {}, "subscriptions": {}}
    for number in range(count):
        joined = chance.randrange(nights // 2)
        user = {"user_id": f"m{number}", "registered_at": _moment(joined, 8), "channel": chance.choice(["ad", "friend"])}
        told["users"].setdefault(joined, []).append(user)
        night = joined + chance.randrange(5)
        for again in range(chance.choice([1, 1, 2])):
            night = _subscription(told["subscriptions"], chance, f"m{number}", f"s{number}-{again}", night, nights) + chance.randrange(
                3, 12
            )
    for night in range(nights):
        place = folder / "files" / str(FIRST + timedelta(days=night))
        place.mkdir(parents=True)
        for name, columns in (("users", USERS), ("subscriptions", SUBSCRIPTIONS)):
            with (place / f"{name}.csv").open("w", encoding="utf-8", newline="") as out:
                writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
                writer.writeheader()
                writer.writerows(told[name].get(night, []))
    document = {
        "about": "A membership whose billing tells a row again whenever it changes",
        "business_zone": "UTC",
        "zone": "UTC",
        "first_night": str(FIRST),
        "last_night": str(FIRST + timedelta(days=nights - 1)),
        "root": {"path": str(folder / "files")},
        "files": {
            name: {"path": f"{{night}}/{name}.csv", "columns": list(columns)}
            for name, columns in (("users", USERS), ("subscriptions", SUBSCRIPTIONS))
        },
        "tables": {name: {"each": name} for name in told},
    }
    (folder / "source.yml").write_text(json.dumps(document), encoding="utf-8")
    for name, columns in (("users", USERS), ("subscriptions", SUBSCRIPTIONS)):
        (folder / f"{name}.sql").write_text(f"select {', '.join(columns)}, _file, _row, _night from {name}\n", encoding="utf-8")
    return load_source(str(folder))


def _subscription(told: dict[int, list[dict[str, str]]], chance: random.Random, user: str, name: str, night: int, nights: int) -> int:
    """One subscription from its first row to its last; gives the night on which nothing of it is paid any more."""
    plan = chance.choice(sorted(PLANS))
    trial = chance.choice([0, 0, 5])
    row = {"subscription_id": name, "user_id": user, "started_at": _moment(night, 9), "currency": "CNY", "period_count": "1"}
    row |= {"trial_ends_at": _moment(night + trial, 9)} if trial else {}
    due = night + trial
    while night < nights:
        unit, days, price = PLANS[plan]
        due += days
        row |= {"plan": plan, "period_unit": unit, "price": price, "renews_at": _moment(due, 9)}
        told.setdefault(night + chance.choice([0, 0, 0, 2]), []).append(dict(row))  # now and then the bill is told late
        turn = chance.choice(["renew", "renew", "renew", "change", "late", "cancel", "refund"])
        if turn == "change":
            plan = chance.choice(sorted(PLANS))
        elif turn == "cancel":
            told.setdefault(due - 3, []).append(row | {"cancelled_at": _moment(due - 3, 11)})
            return due
        elif turn == "refund":
            told.setdefault(due - 2, []).append(row | {"cancelled_at": _moment(due - 2, 11), "ended_at": _moment(due - 2, 11)})
            return due - 2
        elif turn == "late":
            due += 4  # the payment failed for four days; the next period begins when it is paid
        night = due
    return due


def _moment(night: int, hour: int) -> str:
    """An hour of a night's date in UTC."""
    return str(datetime(FIRST.year, FIRST.month, FIRST.day, hour) + timedelta(days=night))
