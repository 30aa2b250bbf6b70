"""Promises of the counts of users: every night's numbers are those of a plain walk over each user's days, whatever the definitions.

Add a kind of user to the shop when a corner has none yet. Must not repeat the SQL: the walk asks every user every night.
Small single edges are dbt unit tests beside the models; nights in splits and bad cases are in test_nights.py.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.changed_project import project_with
from tests.dbt_runs import run_dbt
from userops_pipeline.build.warehouse import EVERYTHING, Clock, write_clock
from userops_pipeline.ground import contract

PROJECT = Path(__file__).parents[2] / "dbt_project"
FIRST_ON, AS_OF = date(2024, 1, 1), date(2024, 5, 10)
MODELS = ["+user_counts_daily", "+user_structure_daily", "+user_behaviour"]


@dataclass(frozen=True)
class Definition:
    activities: list[str] | str = "own"
    minimum_count: int = 1
    within_days: int = 1
    dormant_after: int = 30
    churned_after: int = 90
    unpaid_after: int = 180


@dataclass
class Version:
    """What was known of a user from a night on."""

    known_on: date
    registered_on: date
    plan: str | None
    channel: str | None
    birth_on: date | None
    is_excluded: bool = False


@dataclass
class User:
    name: str
    versions: list[Version] = field(default_factory=list)
    activities: list[tuple[date, str]] = field(default_factory=list)

    def known(self, on: date) -> Version | None:
        """The version in force, where the user counts; what the first night tells holds for the time before it."""
        at = [version for version in self.versions if version.known_on <= max(on, FIRST_ON)]
        return at[-1] if at and not at[-1].is_excluded and at[-1].registered_on <= on else None

    def did(self) -> list[tuple[date, str]]:
        """What counts of the activities: nobody looks at events of who is left out at the time, but purchases stay purchases."""
        return [(on, name) for on, name in self.activities if name == "purchase" or not self._is_excluded(on)]

    def _is_excluded(self, on: date) -> bool:
        at = [version for version in self.versions if version.known_on <= max(on, self.versions[0].known_on)]
        return at[-1].is_excluded

    def active_days(self, of: Definition) -> list[date]:
        counts = Counter(on for on, name in self.did() if of.activities == "own" or name in of.activities)
        return sorted(on for on in counts if sum(counts[on - timedelta(days=back)] for back in range(of.within_days)) >= of.minimum_count)


def users(seed: int) -> list[User]:
    """Users of every kind, most of them with long breaks; the dates spread from before the first night to the last."""
    chance = random.Random(seed)
    found = []
    for number in range(50):
        user = User(f"u{number}")
        known = FIRST_ON + timedelta(days=chance.choice([0, 0, 0, chance.randrange(120)]))
        registered = known - timedelta(days=chance.choice([0, 0, chance.randrange(5), chance.randrange(200)]))
        birth = date(chance.choice([1960, 1999, 2000, 2006, 2012]), chance.choice([1, 2, 2, 3]), chance.randrange(1, 29))
        first = Version(known, registered, chance.choice(["free", "paid", None]), chance.choice(["ad", "friend", None]),
                        chance.choice([birth, date(2008, 2, 29), date(2006, 2, 28), None]))  # fmt: skip
        user.versions.append(first)
        for _ in range(chance.choice([0, 0, 1, 3])):
            since = user.versions[-1].known_on + timedelta(days=chance.randrange(1, 60))
            moved = registered + timedelta(days=chance.choice([0, 0, 0, 20]))
            user.versions.append(
                Version(since, moved, chance.choice(["free", "paid", None]), first.channel, first.birth_on, chance.random() < 0.3)
            )
        user.versions = [version for version in user.versions if version.known_on <= AS_OF]
        on = max(registered, FIRST_ON - timedelta(days=160)) + timedelta(days=chance.randrange(30))
        while on <= AS_OF and chance.random() < 0.93:
            for _ in range(chance.randrange(1, 4)):
                user.activities.append((on, chance.choice(["view", "view", "like", "purchase", "search"])))
            on += timedelta(days=chance.choice([1, 1, 2, 6, 7, 8, 29, 30, 31, 60, 90, 91]))
        found.append(user)
    return found


def write_raw(path: Path, everybody: list[User]) -> None:
    rows: dict[str, list[dict[str, Any]]] = {"users": [], "events": [], "orders": []}
    for user in everybody:
        for version in user.versions:
            rows["users"].append({"user_id": user.name, "registered_at": f"{version.registered_on} 12:00:00", "plan": version.plan,
                                  "channel": version.channel, "birth_date": version.birth_on, "excluded_as": "test" if version.is_excluded else None,
                                  "arrived_on": version.known_on})  # fmt: skip
        for number, (on, name) in enumerate(user.activities):
            row = {"user_id": user.name, "arrived_on": max(on, FIRST_ON)}
            if name == "purchase":
                rows["orders"].append({**row, "order_id": f"{user.name}-{number}", "ordered_at": f"{on} 12:00:00", "status": "paid", "amount": 5,
                                       "currency": "CNY"})  # fmt: skip
            else:
                rows["events"].append({**row, "event_id": f"{user.name}-{number}", "event_at": f"{on} 12:00:00", "event_name": name})
    with duckdb.connect(str(path)) as con:
        con.execute("create schema raw")
        for table in contract.tables().values():
            con.execute(f"create table raw.{table.name} as {contract.empty_select(table)}")
        con.execute("create table raw.load_accounting (source_name varchar, table_name varchar, arrived_on date, rows_in bigint, rows_kept bigint, rows_quarantined bigint, rows_duplicate bigint)")  # fmt: skip
        write_clock(con, Clock(AS_OF, EVERYTHING, EVERYTHING, FIRST_ON, "UTC", full=True))
        for name, table_rows in rows.items():
            for number, row in enumerate(table_rows):
                full = {**row, "source_name": "shop", "source_file": "f", "source_row": number}
                con.execute(f"insert into raw.{name} ({', '.join(full)}) values ({', '.join('?' * len(full))})", list(full.values()))


def build(
    folder: Path, everybody: list[User], of: Definition, models: list[str] = MODELS, more: Mapping[str, Mapping[str, Any]] | None = None
) -> Path:
    """The tables of a shop whose settings have this definition, and what `more` says by section."""
    warehouse = folder / "userops.duckdb"
    active = {"activities": of.activities, "minimum_count": of.minimum_count, "within_days": of.within_days}
    churned = {"active": of.churned_after, "purchase": of.unpaid_after}
    settings = {"activity": {"active": active, "dormant_after_days": of.dormant_after}, "churn": {"after_days": churned}}
    project = project_with(folder, {**settings, **(more or {})})
    write_raw(warehouse, everybody)
    chosen = ["--select", *models, "--exclude", "resource_type:unit_test", "--indirect-selection", "cautious"]
    run_dbt(warehouse, "build", *chosen, target=folder, project=project)
    return warehouse


def standing(user: User, days: list[date], on: date, of: Definition) -> str | None:
    if user.known(on) is None:
        return None
    before = [day for day in days if day <= on]
    idle = (on - before[-1]).days if before else -1
    return "unactivated" if not before else "active" if idle < of.dormant_after else "dormant" if idle < of.churned_after else "churned"


def age_band(version: Version, on: date) -> str:
    birth = version.birth_on
    if birth is None:
        return "unknown"
    leap_day = (birth.month, birth.day) == (2, 29) and (on + timedelta(days=1)).day == 1  # celebrated on the last of February
    age = on.year - birth.year - ((on.month, on.day) < (birth.month, birth.day) and not (leap_day and on.month == 2))
    bounds = [18, 25, 35, 45, 55, 65]
    low = max([bound for bound in bounds if bound <= age], default=None)
    if low is None:
        return "under 18"
    return f"{low}-{bounds[bounds.index(low) + 1] - 1}" if low < 65 else "65+"


def walk(everybody: list[User], of: Definition) -> tuple[dict[tuple[date, str], int], dict[tuple[date, str, str, str], int]]:
    """Counts by night and name, and by night, dimension, value and name."""
    total: Counter[tuple[date, str]] = Counter()
    by_value: Counter[tuple[date, str, str, str]] = Counter()
    for user in everybody:
        days, first_purchase = user.active_days(of), min((on for on, name in user.activities if name == "purchase"), default=None)
        own = {on: {name for day, name in user.did() if day == on} for on, _ in user.did()}
        earlier = [FIRST_ON - timedelta(days=back) for back in range(500, 0, -1)]
        was_known = any(user.known(on) for on in earlier)
        before = standing(user, days, FIRST_ON - timedelta(days=1), of)
        for number in range((AS_OF - FIRST_ON).days + 1):
            on = FIRST_ON + timedelta(days=number)
            now, version = standing(user, days, on, of), user.known(on)
            names = Counter()
            if now:
                names[f"{now}_count"] += 1
                names["registered_count"] += 1
                for window, name in ((1, "dau"), (7, "wau"), (30, "mau")):
                    names[f"{name}_count"] += any(on - timedelta(days=window) < day <= on for day in days)
                did = own.get(on, set())
                names["using_count"] += bool(did)
                names["paying_first_count"] += "purchase" in did and on == first_purchase
                names["paying_repeat_count"] += "purchase" in did and on != first_purchase
                names["reached_count"] += "view" in did
                names["engaged_count"] += "like" in did
                names["converted_count"] += "purchase" in did
                names["registered_new_count"] += before is None
                if now == "active" and before != "active":
                    is_new = before == "unactivated" or (before is None and not was_known)
                    names["new_active_count" if is_new else "resurrected_count"] += 1
                names["won_back_count"] += now == "active" and before == "churned"
                names["newly_dormant_count"] += before == "active" and now == "dormant"
                names["newly_churned_count"] += now == "churned" and before != "churned"
            elif before:
                names["registered_removed_count"] += 1
                names["active_removed_count"] += before == "active"
                names["churned_removed_count"] += before == "churned"
            for name, count in names.items():
                total[on, name] += count
                if version is not None:  # who was removed counts at the value they had; asked of the totals only
                    for dimension, value in (("plan", version.plan), ("channel", version.channel), ("age_band", age_band(version, on))):
                        by_value[on, dimension, value or "unknown", name] += count
            was_known, before = was_known or now is not None, now
    return dict(total), dict(by_value)


CASES = {
    "as delivered": (1, Definition()),
    "views, thrice within five days, two and seven weeks": (2, Definition(["view"], 3, 5, 14, 49)),
    "twice a day, and a week": (3, Definition(["view", "like", "search"], 2, 1, 7, 30)),
}


@pytest.mark.parametrize(
    ("seed", "of"),
    [pytest.param(*case, id=name, marks=[] if name == "as delivered" else pytest.mark.soak) for name, case in CASES.items()],
)
def test_every_night_counts_the_users_one_by_one(seed: int, of: Definition, tmp_path: Path) -> None:
    everybody = users(seed)
    warehouse = build(tmp_path, everybody, of)
    total, by_value = walk(everybody, of)
    names = sorted({name for _, name in total})
    with duckdb.connect(str(warehouse), read_only=True) as con:
        counts = con.execute(f"select night_on, {', '.join(names)} from marts.user_counts_daily").fetchall()
        structure = con.execute(
            f"select night_on, dimension, value, {', '.join(names)} from marts.user_structure_daily where dimension in ('plan', 'channel', 'age_band')"
        ).fetchall()
    assert len(counts) == (AS_OF - FIRST_ON).days + 1
    found = {(row[0], name): count for row in counts for name, count in zip(names, row[1:], strict=True)}
    assert {key: count for key, count in found.items() if count != total.get(key, 0)} == {}
    assert {name for (_, name), count in found.items() if count} >= set(names) - {"churned_removed_count", "active_removed_count"}
    asked = {(*row[:3], name): count for row in structure for name, count in zip(names, row[3:], strict=True) if "removed" not in name}
    assert {key: count for key, count in asked.items() if count != by_value.get(key, 0)} == {}
    assert {key: count for key, count in by_value.items() if count and "removed" not in key[3] and key not in asked} == {}
