"""Promises of what the value models are fitted on and of their scores: any split of nights gives the same, and each group is who it says.

Add a kind of late knowledge to the shop when a version could miss it. The models' own SQL runs here on purchases made up beside it, for
what a shop may declare a purchase and the beginning of a history to be; the chain before them is proved elsewhere. Must not know a parameter.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from tests.changed_project import GROCER
from userops_pipeline.build import declared
from userops_pipeline.conclude import score
from userops_pipeline.conclude.scored import ValueRules
from userops_pipeline.rulebook.current import described
from userops_pipeline.simulate import Settings, simulate

FIRST = date(2026, 1, 10)  # in the middle of a month, with a history before it
LAST = date(2026, 7, 3)
VIEWS = ("int_value_version", "int_buyer_month")
WINDOWED = ("int_value_history", "int_value_spend", "int_value_tracking")
VERSIONS = [FIRST] + [date(2026, month, 1) for month in range(2, 8)]
HOLDOUT = 3
PAPERS = ("first_purchase", "day")  # origin and purchase
SETTINGS = [PAPERS, ("registration", "order"), ("first_purchase", "order")]

Purchase = tuple[str, date, Decimal, date]  # user, business date, amount, arrival


def purchases() -> list[Purchase]:
    """600 buyers: some with a history from before the first night, one in ten days with two orders, one in twenty orders some days late."""
    rng = np.random.default_rng(4)
    found: list[Purchase] = []
    for number in range(600):
        begun = FIRST + timedelta(days=int(rng.integers(-60, 150)))
        rate, chance = rng.gamma(1.0, 1 / 12), rng.beta(1.0, 4.0)
        on = begun
        while on <= LAST:
            for _ in range(1 + (rng.random() < 0.1)):
                late = int(rng.integers(1, 20)) if rng.random() < 0.05 else 0
                amount = Decimal(int(rng.gamma(4, 1000)) + 1) / 100
                found.append((f"u{number:03d}", on, amount, max(on + timedelta(days=late), FIRST)))
            if rng.random() < chance:
                break
            on += timedelta(days=1 + int(rng.exponential(1 / max(rate, 1e-3))))
    return found


Span = tuple[date, date | None, date]  # nights known from and to, and the registration told


def known_users(rows: list[Purchase]) -> dict[str, list[Span]]:
    """Everybody registers up to 39 days before the first purchase, one in seven after it; 60 more never buy; three are not simply known."""
    firsts: dict[str, date] = {}
    for user, on, _, _ in rows:
        firsts[user] = min(on, firsts.get(user, on))
    registered = {
        user: on + timedelta(days=10 if number % 7 == 0 else -(number % 40)) for number, (user, on) in enumerate(sorted(firsts.items()))
    }
    registered |= {f"visitor{number}": FIRST + timedelta(days=3 * number - 30) for number in range(60)}
    return {user: [(max(FIRST, on), None, on)] for user, on in registered.items()} | {
        "u001": [(FIRST, date(2026, 4, 10), date(2026, 1, 2))],  # found to be a test account
        "u002": [(date(2026, 3, 5), None, date(2026, 1, 3))],  # known long after the first purchase
        "u003": [(FIRST, date(2026, 3, 1), date(2026, 1, 4)), (date(2026, 3, 1), None, date(2026, 2, 4))],  # changed on a version's night
    }


class Shop:
    """The tables around the models in question, for any night; the models' own tables are kept from build to build."""

    def __init__(self, compiled: dict[str, str], rows: list[Purchase], rules: dict[str, Any], tables: dict[str, Any]) -> None:
        self.con = duckdb.connect()
        self.con.execute("attach ':memory:' as userops; use userops")  # where compiled SQL looks for its tables
        self.con.execute("create schema intermediate; create schema marts; create schema raw")
        self.con.execute("create table rows (user_id varchar, activity_on date, amount decimal(18,2), arrived_on date)")
        self.con.executemany("insert into rows values (?, ?, ?, ?)", rows)
        self.con.execute("create table versions_of_users (user_id varchar, known_from_on date, known_to_on date, registered_on date)")
        self.con.executemany(
            "insert into versions_of_users values (?, ?, ?, ?)",
            [(user, *span) for user, spans in known_users(rows).items() for span in spans],
        )
        self.compiled, self.rules, self.tables = compiled, ValueRules.model_validate(rules), tables

    def build(self, as_of: date, facts_from: date | None) -> score.Scored:
        """One night: `facts_from` None builds everything anew."""
        con, start = self.con, facts_from or date.min
        con.execute(
            "create or replace table intermediate.int_clock as select cast(? as date) as as_of, cast(? as date) as first_on, cast(? as date) as facts_from",
            [as_of, FIRST, start],
        )
        con.execute("create or replace table intermediate.int_night as select cast(unnest(generate_series(?, ?, interval 1 day)) as date) as night_on", [FIRST, as_of])  # fmt: skip
        con.execute(
            "create or replace table intermediate.int_user_day as select user_id, activity_on, count(*) as order_count, sum(amount) as spend_amount, 0 as unpriced_order_count "
            "from rows where arrived_on <= ? group by all union all select 'u000', date '2025-12-01', 0, 0, 0",
            [as_of],
        )
        con.execute(
            "create or replace table intermediate.int_user as select user_id, known_from_on, case when known_to_on <= ? then known_to_on end as known_to_on, "
            "registered_on from versions_of_users where known_from_on <= ?",
            [as_of, as_of],
        )
        con.execute(
            "create or replace table marts.user_profile as select user_id, false as is_paid_up from intermediate.int_user where known_to_on is null"
        )
        for name in VIEWS:
            con.execute(f"create or replace view intermediate.{name} as {self.compiled[name]}")
        con.execute(f"create or replace table intermediate.int_buyer as {self.compiled['int_buyer']}")
        for name in WINDOWED:
            if facts_from is None:
                con.execute(f"create or replace table intermediate.{name} as {self.compiled[name]}")
            else:
                con.execute(f"create or replace temp table tonight as {self.compiled[name]}")
                con.execute(f"delete from intermediate.{name} where version_on >= ?", [start])
                con.execute(f"insert into intermediate.{name} by name select * from tonight")
        return score.score(con, self.rules, self.tables, as_of)

    def night(self, as_of: date) -> score.Scored:
        """The night after others: back to the earliest date that what arrived tonight touches."""
        touched = self.con.execute("select min(activity_on) from rows where arrived_on = ?", [as_of]).fetchone()
        earliest = touched[0] if touched and touched[0] else as_of
        return self.build(as_of, min(earliest, as_of))

    def contents(self) -> dict[str, Any]:
        names = [f"marts.{name}" for name in self.tables] + [f"intermediate.{name}" for name in WINDOWED]
        return {name: self.con.execute(f"select count(*), sum(hash(t)) from (select * from {name}) as t").fetchone() for name in names}


@pytest.fixture(scope="module")
def compiled_as(compiled: dict[str, str], compiled_with: Any) -> Any:
    """The SQL of the models under what is declared at user_value."""

    @cache
    def under(origin: str, purchase: str) -> dict[str, str]:
        if (origin, purchase) == PAPERS:
            return compiled
        changes = {"value": {"origin": origin, "purchase": purchase}}
        return compiled_with(changes, ("int_buyer", *VIEWS, *WINDOWED))

    return under


@pytest.fixture(scope="module")
def rows() -> list[Purchase]:
    return purchases()


@pytest.fixture(scope="module")
def new_shop(compiled_as: Any, manifest: dict[str, Any], rows: list[Purchase]) -> Iterator[Any]:
    scored = declared.scored_tables(manifest)
    meta = {**described(GROCER).rules_of("user_value"), "min_buyers": 100, "min_repeat_buyers": 50, "min_history_days": 90}
    tables = {name: declared.columns_of(node) for name, node in scored.items()}

    def make(settings: tuple[str, str] = PAPERS, **rules: Any) -> Shop:
        told = dict(zip(("origin", "purchase"), settings, strict=True))
        return Shop(compiled_as(*settings), rows, {**meta, **told, **rules}, tables)

    yield make


@pytest.mark.parametrize(
    ("settings", "begun"),
    [
        pytest.param(PAPERS, date(2026, 2, 20), id="papers"),
        pytest.param(SETTINGS[1], date(2026, 4, 27), id="sign_ups", marks=pytest.mark.soak),
    ],
)
def test_nights_in_any_split_give_the_same_fits_and_scores(new_shop: Any, settings: tuple[str, str], begun: date) -> None:
    whole = new_shop(settings)
    whole.build(LAST, None)
    assert whole.con.execute("select count(*) from marts.value_model_fits where eligibility = 'eligible'").fetchone()[0] >= 5
    assert whole.con.execute("select count(distinct version_on) from marts.value_calibration").fetchone()[0] >= 3
    nightly = new_shop(settings)
    nightly.build(begun, None)
    before: dict[str, Any] = {}
    for day in range(1, (LAST - begun).days + 1):
        as_of = begun + timedelta(days=day)
        outcome = nightly.night(as_of)
        if as_of == date(2026, 5, 1):
            before = nightly.contents()
        if as_of.day == 1:
            assert as_of in outcome.fitted
    assert nightly.contents() == whole.contents()
    nightly.build(date(2026, 5, 1), date(2026, 4, 20))  # a past night again: later versions are gone
    assert nightly.contents() == before


def test_a_version_is_fitted_once_while_its_purchases_are_what_they_were(new_shop: Any) -> None:
    shop = new_shop()
    assert list(shop.build(date(2026, 6, 10), None).fitted) == VERSIONS[:-1]
    assert shop.build(date(2026, 6, 10), date(2026, 6, 10)).fitted == ()
    shop.con.execute("insert into rows values ('u007', date '2026-04-20', 9.99, date '2026-06-11')")
    assert list(shop.build(date(2026, 6, 11), date(2026, 4, 20)).fitted) == [date(2026, 5, 1), date(2026, 6, 1)]


History = tuple[date, list[date], Decimal]  # where it begins, the repeats, and what was paid for them


def histories(rows: list[Purchase], settings: tuple[str, str], cut: date, counted_on: date, as_of: date) -> dict[str, History]:
    """What is known before `cut` of users counted on a night; worked out order by order."""
    origin, purchase = settings
    orders: dict[str, dict[date, list[Decimal]]] = defaultdict(lambda: defaultdict(list))
    for user, on, amount, arrived in rows:
        if on < cut and arrived <= as_of:
            orders[user][on].append(amount)
    found: dict[str, History] = {}
    for user, spans in known_users(rows).items():
        days = orders[user]
        if not (spans[0][0] <= counted_on and (spans[-1][1] is None or counted_on < spans[-1][1])):
            continue
        repeats = sorted(day for day, amounts in days.items() for _ in (amounts if purchase == "order" else [None]))
        paid = sum(map(sum, days.values()), Decimal(0))
        if origin == "registration":
            begun = min([spans[0][2], *repeats])
            if begun < cut:
                found[user] = (begun, repeats, paid)
        elif repeats:
            first = days[repeats[0]]
            alone = sum(first) if purchase == "day" else (sum(first) / len(first)).quantize(Decimal("0.01"), ROUND_HALF_UP)
            found[user] = (repeats[0], repeats[1:], paid - alone)
    return found


@pytest.mark.parametrize("settings", SETTINGS, ids="-".join)
def test_every_group_holds_the_users_with_its_history(new_shop: Any, rows: list[Purchase], settings: tuple[str, str]) -> None:
    shop = new_shop(settings)
    shop.build(LAST, None)
    for number, version in enumerate(VERSIONS):
        expected: Counter[tuple[int, ...]] = Counter()
        now = histories(rows, settings, version, version, LAST)
        for begun, repeats, _ in now.values():
            expected[len(repeats), (max([begun, *repeats]) - begun).days, (version - begun).days - 1] += 1
        found = shop.con.execute(
            "select repeat_sum // customer_count, recency_days_sum // customer_count, age_days_sum // customer_count, customer_count "
            "from intermediate.int_value_history where version_on = ? and purpose = 'fit'",
            [version],
        ).fetchall()
        assert {tuple(row[:3]): row[3] for row in found} == dict(expected), version
        spend = Counter((len(repeats), amount) for _, repeats, amount in now.values() if repeats and amount > 0)
        found = shop.con.execute(
            "select repeat_sum // customer_count, exact_amount, customer_count from intermediate.int_value_spend where version_on = ?",
            [version],
        ).fetchall()
        assert {(x, amount): count for x, amount, count in found} == dict(spend), version
        if number < HOLDOUT:
            continue
        earlier = VERSIONS[number - HOLDOUT]
        seen = {user: (begun, repeats) for user, (begun, repeats, _) in now.items() if begun < earlier}
        later: Counter[tuple[int, ...]] = Counter()
        for begun, repeats in seen.values():
            before = [day for day in repeats if day < earlier]
            later[len(before), (max([begun, *before]) - begun).days, (earlier - begun).days - 1, len(repeats) - len(before)] += 1
        found = shop.con.execute(
            "select repeat_sum // customer_count, recency_days_sum // customer_count, age_days_sum // customer_count, later_count, customer_count "
            "from intermediate.int_value_history where version_on = ? and purpose = 'backtest' and seen_on = ?",
            [version, earlier],
        ).fetchall()
        assert {tuple(row[:4]): row[4] for row in found} == dict(later), version
        tracked = Counter(day for _, repeats in seen.values() for day in repeats)
        found = shop.con.execute("select purchased_on, repeat_count from intermediate.int_value_tracking where version_on = ?", [version])
        assert dict(found.fetchall()) == dict(tracked), version
    tonight = {
        user: (len(repeats), (max([begun, *repeats]) - begun).days, (LAST - begun).days, amount)
        for user, (begun, repeats, amount) in histories(rows, settings, LAST + timedelta(days=1), LAST, LAST).items()
    }
    found = shop.con.execute("select user_id, repeat_count, recency_days, age_days, repeat_amount from intermediate.int_buyer").fetchall()
    assert {row[0]: row[1:] for row in found if row[0] in tonight} == tonight


def test_groups_of_many_keep_their_sums(new_shop: Any, compiled: dict[str, str]) -> None:
    exact, coarse = new_shop(), new_shop()
    for name in ("int_value_history", "int_value_spend"):
        assert "<= 100000" in compiled[name]
        coarse.compiled = {**coarse.compiled, name: coarse.compiled[name].replace("<= 100000", "<= 100").replace("/ 128.0", "/ 16.0")}
    exact.build(LAST, None)
    outcome = coarse.build(LAST, None)
    sums = (
        "select version_on, purpose, sum(customer_count), sum(repeat_sum), sum(recency_days_sum), sum(age_days_sum), sum(customer_count * later_count) "
        "from intermediate.int_value_history group by all order by all",
        "select version_on, sum(customer_count), sum(repeat_sum), sum(repeat_amount), sum(log_mean_sum) from intermediate.int_value_spend group by all order by all",
    )
    for query in sums:
        assert coarse.con.execute(query).fetchall() == exact.con.execute(query).fetchall()
    size = "select count(*) from intermediate.int_value_history"
    assert coarse.con.execute(size).fetchone()[0] < 0.8 * exact.con.execute(size).fetchone()[0]
    assert outcome.eligibility == "eligible"
    parameters = "select r, alpha, a, b, r_error, alpha_error, a_error, b_error from marts.value_model_fits where version_on = ?"
    one, other = (np.array(shop.con.execute(parameters, [VERSIONS[-1]]).fetchone()) for shop in (exact, coarse))
    assert (np.abs(one[:4] - other[:4]) / one[4:]).max() < 0.5  # far within what is not known anyway


def test_the_order_of_rows_and_the_number_of_threads_do_not_matter(new_shop: Any, compiled: dict[str, str]) -> None:
    shop = new_shop()
    shop.build(LAST, None)
    other = new_shop()
    other.con.execute("set threads = 1")
    other.con.execute("create or replace table rows as select * from rows order by hash(activity_on), amount, user_id desc")
    other.build(LAST, None)
    assert other.contents() == shop.contents()


def test_alive_is_calibrated_where_a_history_is_what_the_shops_story_says(new_shop: Any, tmp_path: Path) -> None:
    """The demo shop's users may be lost at the registration already and after every order (simulate), so that is declared. Chance alone moves a tenth of 1,600 users by 0.012, so this shop may be
    that much further off than the 0.03 asked of the larger one (tests/value, in the soak)."""
    as_of = date(2026, 5, 1)
    days = (as_of - FIRST).days + 1
    simulate(Settings(users=16_000, days=days, seed=1, out=tmp_path, start=FIRST, events_per_user=38.0, orders_per_user=4.0))
    shop = new_shop(("registration", "order"))
    told = f"read_parquet('{tmp_path}/drops/*/%s*.parquet', union_by_name = true)"
    day = "cast(%s + interval 8 hour as date)"
    shop.con.execute(
        f"delete from rows; insert into rows select cast(user_id as varchar), {day % 'ordered_at'}, amount, date '{FIRST}' from {told % 'orders'} "
        "where status not in ('cancelled', 'refunded', 'void') and amount > 0 qualify row_number() over (partition by order_id order by status) = 1;"
        "delete from versions_of_users; insert into versions_of_users "
        f"select cast(user_id as varchar), date '{FIRST}', null, {day % 'min(registered_at)'} from {told % 'users'} group by user_id"
    )
    assert shop.build(as_of, None).eligibility == "eligible"
    said, alive = shop.con.execute(
        "select cast(alive_probability as double) as said, cast(is_alive as double) as alive from marts.user_value "
        f"inner join read_parquet('{tmp_path}/truth/people.parquet') as people on user_value.user_id = cast(people.user_id as varchar) order by said, user_value.user_id"
    ).fetchnumpy().values()  # fmt: skip
    assert len(said) == shop.con.execute("select count(*) from marts.user_value where eligibility = 'eligible'").fetchone()[0] >= 15_990
    off = [float(tenth.mean()) for tenth in np.array_split(said - alive, 10)]
    print(
        [f"{gap:+.3f}" for gap in off],
        shop.con.execute("select r, alpha, a, b from marts.value_model_fits where version_on = ?", [as_of]).fetchone(),
    )
    assert max(map(abs, off)) <= 0.03 + 0.012, off
