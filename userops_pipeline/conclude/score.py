"""Score: the tables that are not SQL, written into the warehouse from the tables the build left there.

Here lives how versions of the value models are fitted once, users are scored every night, and what must hold of both.
Add here a table that a model of stats makes of a model of dbt; its columns are declared in dbt's YAML as a table of source `scored`.
Must not hold a formula (stats), nor whether a version may be used (value_models), nor pull a table of customers into Python.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from userops_pipeline.conclude.scored import BY_VERSION, CALIBRATION, CHECKS, FITS, TRACKING, USERS, ValueRules
from userops_pipeline.conclude.value_models import (
    ELIGIBLE,
    PURCHASE,
    Backtest,
    Row,
    VersionData,
    fitted,
    purchase_model,
    shop_reason,
    spend_model,
    tested,
)
from userops_pipeline.ground.faults import crash_point
from userops_pipeline.ground.home import UserOpsError
from userops_pipeline.ground.sql import identifier
from userops_pipeline.ground.verdicts import CheckResult
from userops_pipeline.stats.btyd import Histories, PurchaseModel
from userops_pipeline.stats.spend import RepeatSpend, SpendModel

Columns = Mapping[str, str]  # SQL type by column, in the order of the table
AT_ONCE = 200_000  # histories scored together
DISCOUNT_STEPS = 4  # of the horizon; what is expected in one is discounted from its middle


@dataclass(frozen=True)
class Scored:
    """What a run of the step did: versions fitted anew, rows by table, the version in force and what became of the checks."""

    fitted: tuple[date, ...]
    rows: dict[str, int]
    in_force: Row | None
    eligibility: str
    checks: tuple[CheckResult, ...]


def score(
    warehouse: duckdb.DuckDBPyConnection,
    rules: ValueRules,
    tables: Mapping[str, Columns],
    as_of: date,
    say: Callable[[str], None] = lambda _: None,
) -> Scored:
    """Write the four tables, all or none. A version whose data are what they were is kept, others are fitted; users are scored anew.

    Args:
        warehouse: the warehouse of a finished build of `as_of`, to be written.
        rules: declared at user_value.
        tables: declared columns of each of the four tables.
        as_of: the night.
        say: told of what takes time.
    """
    warehouse.begin()
    try:
        _prepare(warehouse, tables)
        anew = _fit_versions(warehouse, rules, tables, say)
        in_force = _in_force(warehouse, as_of)
        eligibility = _score_users(warehouse, rules, tables[USERS], as_of, in_force, say)
        checks = tuple(_checked(warehouse))
        rows = {name: _one(warehouse, f"select count(*) from marts.{name}") for name in tables}
        crash_point("score:before_commit")
        warehouse.commit()
    except BaseException:
        warehouse.rollback()
        raise
    return Scored(tuple(anew), rows, in_force, eligibility, checks)


def _prepare(warehouse: duckdb.DuckDBPyConnection, tables: Mapping[str, Columns]) -> None:
    """The tables that are kept from night to night, and what each version in them was made of."""
    warehouse.execute("create table if not exists raw.value_versions (version_on date, fingerprint varchar)")
    for name in BY_VERSION:
        columns = ", ".join(f"{identifier(column)} {_type(data_type)}" for column, data_type in tables[name].items())
        warehouse.execute(f"create table if not exists marts.{name} ({columns})")


def _fit_versions(
    warehouse: duckdb.DuckDBPyConnection, rules: ValueRules, tables: Mapping[str, Columns], say: Callable[[str], None]
) -> list[date]:
    wanted = _fingerprints(warehouse, rules)
    known = dict(warehouse.execute("select version_on, fingerprint from raw.value_versions").fetchall())
    for gone in [version for version, fingerprint in known.items() if wanted.get(version) != fingerprint]:
        for name in (*(f"marts.{name}" for name in BY_VERSION), "raw.value_versions"):
            warehouse.execute(f"delete from {name} where version_on = ?", [gone])
    anew = [version for version, fingerprint in wanted.items() if known.get(version) != fingerprint]
    for version in anew:
        data = _read_version(warehouse, version)
        row = fitted(rules, data)
        model = purchase_model(_fit_of(warehouse, data.backtest.seen_on) or _NOT) if data.backtest else None
        if data.backtest and model:
            outcome = tested(version, data.backtest, model)
            row |= outcome.summary
            _insert(warehouse, CALIBRATION, tables[CALIBRATION], outcome.calibration)
            _insert(warehouse, TRACKING, tables[TRACKING], outcome.tracking)
        _insert(warehouse, FITS, tables[FITS], [row])
        warehouse.execute("insert into raw.value_versions values (?, ?)", [version, wanted[version]])
        say(f"value models of {version}: {row['customer_count']:,} buyers, {row['eligibility']}")
    return anew


_NOT: Row = {"eligibility": "not_eligible: there is no such version"}


def _fingerprints(warehouse: duckdb.DuckDBPyConnection, rules: ValueRules) -> dict[date, str]:
    """What each version is made of, oldest first; a version that tests another one is also made of that one's data."""
    content = dict(
        warehouse.execute(
            """
            with parts as (
                select version_on, 'history' as part, count(*) as lines, sum(hash(h)) as content
                from (select * from intermediate.int_value_history) as h group by version_on
                union all
                select version_on, 'spend', count(*), sum(hash(s)) from (select * from intermediate.int_value_spend) as s group by version_on
                union all
                select version_on, 'tracking', count(*), sum(hash(t)) from (select * from intermediate.int_value_tracking) as t group by version_on
            )
            select versions.version_on, coalesce(string_agg(part || ':' || lines || ':' || content, ' ' order by part), '')
            from intermediate.int_value_version as versions left join parts on versions.version_on = parts.version_on
            group by versions.version_on order by versions.version_on
            """
        ).fetchall()
    )
    tests = dict(warehouse.execute("select version_on, min(seen_on) from intermediate.int_value_history group by version_on").fetchall())
    stated = rules.model_dump_json()
    return {
        version: hashlib.sha256(f"{stated} {text} {content.get(tests.get(version), '')}".encode()).hexdigest()
        for version, text in content.items()
    }


def _read_version(warehouse: duckdb.DuckDBPyConnection, version: date) -> VersionData:
    def groups(purpose: str) -> dict[str, Any]:
        return warehouse.execute(
            "select customer_count, repeat_sum, recency_days_sum, age_days_sum, coalesce(later_count, 0) as later_count "
            "from intermediate.int_value_history where version_on = ? and purpose = ? "
            "order by step_count, repeat_step, recency_step, age_step, later_count",
            [version, purpose],
        ).fetchnumpy()

    fit, backtest = groups("fit"), groups("backtest")
    spenders = warehouse.execute(
        "select customer_count, repeat_sum, cast(repeat_amount as double) as repeat_amount, cast(log_mean_sum as double) as log_mean_sum "
        "from intermediate.int_value_spend where version_on = ? order by step_count, repeat_step, exact_amount, mean_step",
        [version],
    ).fetchnumpy()
    count, repeats = _floats(spenders["customer_count"]), _floats(spenders["repeat_sum"])
    spend = RepeatSpend(repeats / count, _floats(spenders["repeat_amount"]) / repeats, _floats(spenders["log_mean_sum"]) / count, count)
    seen = _one(
        warehouse, "select max(seen_on) from intermediate.int_value_history where purpose = 'backtest' and version_on = ?", [version]
    )
    if seen is None:
        return VersionData(version, _histories(fit), spend, None)
    repeats_on = dict(
        warehouse.execute(
            "select purchased_on, repeat_count from intermediate.int_value_tracking where version_on = ? order by purchased_on", [version]
        ).fetchall()
    )
    return VersionData(version, _histories(fit), spend, Backtest(seen, _histories(backtest), _floats(backtest["later_count"]), repeats_on))


def _histories(groups: Mapping[str, Any]) -> Histories:
    count = _floats(groups["customer_count"])
    repeats, recency, age = (_floats(groups[name]) / count for name in ("repeat_sum", "recency_days_sum", "age_days_sum"))
    return Histories(repeats, recency, age, count)


def _floats(values: Any) -> Any:
    return np.asarray(values, dtype=np.float64)


def _fit_of(warehouse: duckdb.DuckDBPyConnection, version: date | None) -> Row | None:
    found = warehouse.execute(f"select * from marts.{FITS} where version_on = ?", [version])
    names = [column[0] for column in found.description]
    row = found.fetchone()
    return dict(zip(names, row, strict=True)) if row else None


def _in_force(warehouse: duckdb.DuckDBPyConnection, as_of: date) -> Row | None:
    """The latest version that may be used."""
    return _fit_of(
        warehouse,
        _one(warehouse, f"select max(version_on) from marts.{FITS} where eligibility = '{ELIGIBLE}' and version_on <= ?", [as_of]),
    )


def _score_users(
    warehouse: duckdb.DuckDBPyConnection, rules: ValueRules, columns: Columns, as_of: date, in_force: Row | None, say: Callable[[str], None]
) -> str:
    users, buyers, history_days, most, silent = warehouse.execute(
        "select count(*), count(last_purchase_on), coalesce(max(age_days) + 1, 0), "
        f"coalesce(max({'order_count' if rules.purchase == 'order' else 'purchase_day_count'}), 0), "
        "coalesce(min(age_days - recency_days) filter (last_purchase_on is not null), 0) from intermediate.int_buyer"
    ).fetchone() or (0, 0, 0, 0, 0)
    shop = shop_reason(rules, buyers=buyers, history_days=history_days, most_orders=most, days_since_order=silent)
    if shop == ELIGIBLE and in_force is None:
        shop = "not_eligible: there is no version of the model yet that could be fitted"
    model = purchase_model(in_force) if in_force and shop == ELIGIBLE else None
    spending = spend_model(in_force) if in_force and model else None
    amounts = in_force["amount_eligibility"] if in_force and model else shop
    warehouse.register("value_scores", _scores(warehouse, rules, model))
    _replace(warehouse, USERS, columns, _users_sql(rules, as_of, shop, amounts, in_force, spending))
    warehouse.unregister("value_scores")  # not after an error: it would fail in the broken transaction and hide why
    say(f"{users:,} users scored by the version of {in_force['version_on']}" if in_force and model else f"no scores: {shop}")
    return shop


def _scores(warehouse: duckdb.DuckDBPyConnection, rules: ValueRules, model: PurchaseModel | None) -> pa.Table:
    """What the model says of every purchase history there is: many buyers share one."""
    histories = warehouse.execute(
        "select distinct repeat_count, recency_days, age_days from intermediate.int_buyer order by all"
        if model
        else "select repeat_count, recency_days, age_days from intermediate.int_buyer limit 0"
    ).fetchnumpy()
    keys = [np.asarray(histories[name], dtype=np.int64) for name in ("repeat_count", "recency_days", "age_days")]
    said: list[Any] = [np.empty(len(keys[0])) for _ in range(4)]
    for begin in range(0, len(keys[0]) if model else 0, AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        who = [_floats(key[part]) for key in keys]
        assert model is not None
        steps = [model.expected_purchases(rules.horizon_days * step / DISCOUNT_STEPS, *who) for step in range(DISCOUNT_STEPS + 1)]
        middles = [rules.horizon_days * (step + 0.5) / DISCOUNT_STEPS / 365 for step in range(DISCOUNT_STEPS)]
        said[0][part] = model.alive(*who)
        said[1][part] = steps[-1]
        said[2][part] = sum(
            (after - before) * (1 + rules.discount_rate) ** -middle
            for before, after, middle in zip(steps, steps[1:], middles, strict=False)
        )
        said[3][part] = np.minimum(np.ceil(model.likely_within(*who)), rules.horizon_days + 1)
    names = ("repeat_count", "recency_days", "age_days", "alive", "expected", "discounted", "likely_days")
    return pa.table(dict(zip(names, [*keys, *said], strict=True)))


def _users_sql(rules: ValueRules, as_of: date, shop: str, amounts: str, in_force: Row | None, spending: SpendModel | None) -> str:
    bands = " ".join(f"when alive >= {band.alive_from!r} then {_text(band.name)}" for band in rules.bands)
    amount = (
        f"{spending.p!r} * ({spending.v!r} + cast(repeat_amount as double)) / ({spending.p!r} * repeat_count + {spending.q!r} - 1)"
        if spending
        else "cast(null as double)"
    )
    nobody, only = "has not bought", f"one {PURCHASE[rules.purchase]}"
    # Who has a contract is alive until it ends; these models are of customers who come when they like (Fader and Hardie 2009).
    paid = "inside a paid period, of which models of free buying know nothing"
    if rules.origin == "registration":
        nobody, only = "when they registered is not known", "has not bought"
    alone = f"when buyers.repeat_count = 0 then 'not_eligible: {only}, of whom bg_nbd knows nothing'" if rules.model == "bg_nbd" else ""
    version = f"date '{in_force['version_on']}'" if in_force else "null"
    return f"""
        with known as (
            select
                users.user_id,
                case
                    when users.is_paid_up then 'not_eligible: {paid}'
                    when buyers.user_id is null then 'not_eligible: {nobody}'
                    when {_text(shop)} <> '{ELIGIBLE}' then {_text(shop)}
                    {alone}
                    else '{ELIGIBLE}'
                end as eligibility,
                buyers.* exclude (user_id),
                {amount} as expected_amount
            from marts.user_profile as users
            left join intermediate.int_buyer as buyers on users.user_id = buyers.user_id
        ),
        said as (
            select
                known.*,
                case
                    when known.eligibility <> '{ELIGIBLE}' then known.eligibility
                    when known.unpriced_order_count > 0 then 'not_eligible: a purchase without an amount'
                    else {_text(amounts)}
                end as amount_eligibility,
                scores.alive,
                scores.expected,
                scores.discounted,
                scores.likely_days
            from known
            left join value_scores as scores
                on known.eligibility = '{ELIGIBLE}'
                and known.repeat_count = scores.repeat_count
                and known.recency_days = scores.recency_days
                and known.age_days = scores.age_days
        ),
        amounts as (
            select *, case when amount_eligibility = '{ELIGIBLE}' then cast(discounted * expected_amount as decimal(18, 2)) end as predicted_amount
            from said
        )
        select
            user_id,
            eligibility,
            amount_eligibility,
            {version} as version_on,
            first_purchase_on,
            last_purchase_on,
            coalesce(order_count, 0) as order_count,
            coalesce(purchase_day_count, 0) as purchase_day_count,
            coalesce(spend_amount, 0) as historic_amount,
            cast(spend_amount as double) / nullif(order_count - unpriced_order_count, 0) as average_order_amount,
            (last_purchase_on - first_purchase_on) / nullif(purchase_day_count - 1, 0) as average_gap_days,
            coalesce(purchase_day_count = 1, false) as is_one_time_buyer,
            alive as alive_probability,
            case {bands} when alive is not null then {_text(rules.bands[-1].name)} end as churn_risk,
            expected as predicted_order_count,
            case when amount_eligibility = '{ELIGIBLE}' then expected_amount end as predicted_order_amount,
            predicted_amount,
            spend_amount + predicted_amount as total_amount,
            case when likely_days <= {rules.horizon_days} then date '{as_of}' + cast(likely_days as integer) end as next_order_on
        from amounts"""


def _checked(warehouse: duckdb.DuckDBPyConnection) -> Sequence[CheckResult]:
    failed = {name: _one(warehouse, f"select count(*) from ({query})") for name, query in CHECKS.items()}
    return [CheckResult(name=name, passed=rows == 0, rows_failed=rows) for name, rows in failed.items()]


# ---- tables ---------------------------------------------------------------------------------------------------------------------------


def _replace(warehouse: duckdb.DuckDBPyConnection, name: str, columns: Columns, query: str) -> None:
    listed = ", ".join(f"cast({identifier(column)} as {_type(data_type)}) as {identifier(column)}" for column, data_type in columns.items())
    warehouse.execute(f"create or replace table marts.{name} as select {listed} from ({query})")


def _insert(warehouse: duckdb.DuckDBPyConnection, name: str, columns: Columns, rows: Sequence[Row]) -> None:
    """Rows by column name; a column a row does not have is null.

    Raises:
        UserOpsError: a row has a column that is not declared.
    """
    foreign = sorted({key for row in rows for key in row} - columns.keys())
    if foreign:
        raise UserOpsError(f"Table {name} has no column {', '.join(foreign)}; declare it in the YAML of source `scored`.")
    marks = ", ".join(f"cast(? as {_type(data_type)})" for data_type in columns.values())
    for row in rows:
        warehouse.execute(f"insert into marts.{name} values ({marks})", [row.get(column) for column in columns])


def _type(data_type: str) -> str:
    return "varchar" if data_type == "string" else data_type


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _one(warehouse: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[Any] = ()) -> Any:
    row = warehouse.execute(query, list(parameters)).fetchone()
    return row[0] if row else None
