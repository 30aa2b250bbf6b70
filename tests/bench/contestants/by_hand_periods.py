"""What users do period by period, by hand: the period lifecycle and retention, from the users and days that `by_hand_users` has numbered.

Add a table here when it counts who came back when. Must not open a connection.
"""

from itertools import pairwise
from pathlib import Path

import duckdb

from tests.bench.contestants.definitions import AGE_BOUNDS, CHURNED_AFTER, DIMENSIONS, IDLE_FROM, RETENTIONS

FOREVER = "date '9999-12-31'"
STARTS = {"day": "{}", "week": "date_trunc('week', {})::date", "month": "date_trunc('month', {})::date"}
ENDS = {"day": "{}", "week": "{} + 6", "month": "({} + interval 1 month)::date - 1"}  # of a period that starts then
NUMBERS = {"day": "datediff('day', date '1970-01-01', {})", "week": "(datediff('day', date '1970-01-05', {}) // 7)"}
NUMBERS["month"] = "datediff('month', date '1970-01-01', {})"


def _banded() -> str:
    bounds = [f"when day < (birth_date + interval {bound} year)::date then '" for bound in AGE_BOUNDS]
    bands = [f"under {AGE_BOUNDS[0]}", *(f"{low}-{high - 1}" for low, high in pairwise(AGE_BOUNDS))]
    cases = " ".join(f"{bound}{band}'" for bound, band in zip(bounds, bands, strict=True))
    return f"case when birth_date is null then coalesce(age_band, 'unknown') {cases} else '{AGE_BOUNDS[-1]}+' end"


def periods(con: duckdb.DuckDBPyConnection, outputs: Path) -> None:
    """New, returning and resurrecting are counted where an active period begins; who is silent for an age or longer is a stock, to which
    users come when they reach it and which they leave with the next active period. Ages between two of them are differences of stocks."""
    # A row per active day with the one before it: that is all there is to know of who returned and of who was silent how long.
    con.execute(
        f"""create table steps as
        with spans as (
            select who, registered_on, max(coalesce(known_to_on, {FOREVER})) as to_on from known group by all
        ), active as (
            select who, day from days
            where is_active and exists (from spans where spans.who = days.who and day >= registered_on and day < to_on)
        )
        select who, day, lag(day) over (partition by who order by day) as before from active"""
    )
    # What a user was on the first active day, as small numbers: one per dimension, the last for everybody.
    values = ", ".join(f"coalesce({name}, 'unknown') as {name}" for name in DIMENSIONS)
    con.execute(
        f"""create table firsts as
        select who, {values}, {_banded()} as age_band, 'total' as total
        from (select who, day from steps where before is null) join known using (who) where from_on <= day and day < to_on"""
    )
    names = (*DIMENSIONS, "age_band", "total")
    con.execute(
        "create table places as select (row_number() over ())::utinyint as place, * from ("
        + " union all ".join(f"select distinct '{name}' as dimension, {name} as value from firsts" for name in names)
        + ")"
    )
    lookups = ", ".join(f"{name}.place as {name}" for name in names)
    joins = " ".join(f"join places as {name} on {name}.dimension = '{name}' and {name}.value = firsts.{name}" for name in names)
    con.execute(f"create table faces as select who, {lookups} from firsts {joins}")
    moves = []
    for grain, number in NUMBERS.items():
        ages = sorted({*IDLE_FROM, CHURNED_AFTER[grain]})
        # The greatest age that the silence between two active periods reached; 0 where there was none.
        age = "case {} else 0 end::utinyint".format(" ".join(f"when {{0}} > {age} then {age}" for age in reversed(ages)))
        now, then, last = number.format("day"), number.format("before"), number.format("getvariable('night')")
        stepped = f"(select who, {now} as now, {then} as before from steps where before is null or {now} <> {then})"
        ended = f"(select who, {number.format('max(day)')} as now from steps group by who)"
        found = f"select '{grain}' as grain, {{}} as is_start, {{}}::integer as now, {{}} as age, {{}} as is_new, who from {{}}"
        moves += [
            found.format("true", "now", age.format("now - before"), "before is null", stepped),
            found.format("false", "before", age.format("now - before"), "false", f"{stepped} where now > before + 1"),
            found.format("false", "now", age.format(f"{last} + 1 - now"), "false", f"{ended} where now < {last}"),
        ]
    con.execute(
        "create table counted (grain varchar, is_start boolean, now integer, age utinyint, is_new boolean, place utinyint, n bigint)"
    )
    for move in moves:
        sets = ", ".join(f"(grain, is_start, now, age, is_new, {name})" for name in names)
        con.execute(
            f"insert into counted select grain, is_start, now, age, is_new, coalesce({', '.join(names)}), count(*) "
            f"from ({move}) join faces using (who) group by grouping sets ({sets})"
        )
    calendar = " union all ".join(
        f"select distinct '{grain}' as grain, {number.format('day')} as now, {STARTS[grain].format('day')} as period_on, "
        f"{ENDS[grain].format(STARTS[grain].format('day'))} as ends_on, {CHURNED_AFTER[grain]} as churned_after from nights"
        for grain, number in NUMBERS.items()
    )
    stocks = {f"idle_{age}": f"age >= {age}" for age in IDLE_FROM} | {"churned": "age >= churned_after"}
    delays = {name: test.removeprefix("age >= ") for name, test in stocks.items()}
    summed = ", ".join(f"coalesce(sum({name}) over w, 0) as {name}" for name in stocks)
    con.execute(
        f"""copy (
        with nights as (
            select unnest(generate_series(min(day), getvariable('night'), interval 1 day))::date as day from steps where before is null
        ), calendar as ({calendar}), places as (
            select place, dimension, value from places
        ), spine as (
            from calendar cross join places
        ), flows as (
            select grain, now, place, sum(n) filter (where is_new) as new, sum(n) filter (where not is_new and age = 0) as returning_,
                sum(n) filter (where age > 0) as resurrecting
            from counted where is_start group by all
        ), churns as (
            select distinct grain, churned_after from calendar
        ), edges as (
            {
            " union all ".join(
                f"select grain, case when is_start then now else now + {delays[name]} end as now, place, '{name}' as stock, "
                f"case when is_start then -n else n end as n from counted join churns using (grain) where {test}"
                for name, test in stocks.items()
            )
        }
        ), changes as (
            select grain, now, place, {", ".join(f"sum(n) filter (where stock = '{name}') as {name}" for name in stocks)}
            from edges group by all
        ), stocks as (
            select grain, now, place, {summed} from spine left join changes using (grain, now, place)
            window w as (partition by grain, place order by now)
        )
        select grain, period_on, ends_on, dimension, value, coalesce(returning_, 0) + idle_1 - idle_2 as opening_count,
            coalesce(new, 0) as new_count, coalesce(returning_, 0) as returning_count, coalesce(resurrecting, 0) as resurrecting_count,
            idle_1 - idle_2 as dormant_count, new_count + returning_count + resurrecting_count as active_count, 0 as late_start_count,
            idle_1 as dormant_stock_count, idle_2 - idle_4 as idle_2_3_count, idle_4 - idle_8 as idle_4_7_count,
            idle_8 - idle_16 as idle_8_15_count, idle_16 as idle_16_count, stocks.churned as churned_count,
            ends_on <= getvariable('night') as is_complete
        from spine join stocks using (grain, now, place) left join flows using (grain, now, place)
        where active_count + idle_1 > 0
        ) to '{outputs}/periods.parquet'"""
    )
    con.execute("drop table steps; drop table counted")


def retention(con: duckdb.DuckDBPyConnection, outputs: Path) -> None:
    """Of each user the periods they came back in, as bits; what is counted is how many have which bits after which start."""
    con.execute(
        "create table users as select who, registered_on from known where known_to_on is null and registered_on <= getvariable('night')"
    )
    month, week = NUMBERS["month"], NUMBERS["week"]
    con.execute(
        f"""create table starts as
        with bought as (
            select who, {month.format("day")} as period, min(day) as day from days semi join users using (who)
            where order_count > 0 group by all
        ), months as (
            select who, min(day) as day, bit_or(1::hugeint << (period - low)::integer) as bits
            from bought cross join (select min(period) as low from bought) group by who
        ), visited as (
            select who, {week.format("day")} as period, min(day) as day from days semi join users using (who) where is_active group by all
        ), lowest as (
            select min(period) as low from visited
        ), weeks as (
            select who, bit_or(1::hugeint << (period - low)::integer) as bits from visited cross join lowest group by who
        ), signed_up as (
            select who, registered_on as day, coalesce(sum(1::hugeint << (days.day - registered_on)::integer), 0) as bits
            from users left join days using (who) where is_active and days.day between registered_on and registered_on + 30 group by all
        )
        select 'months' as what, day, coalesce(channel, 'unknown') as channel,
            bits >> ({month.format("day")} - (select min(period) from bought))::integer as bits, count(*) as n
        from months join known using (who) where from_on <= day and day < to_on group by all
        union all
        select 'weeks', {STARTS["week"].format("visited.day")}, coalesce(channel, 'unknown'),
            (bits >> (period - low)::integer) & ((1::hugeint << 13) - 1), count(*)
        from visited join weeks using (who) cross join lowest join known using (who)
        where from_on <= visited.day and visited.day < to_on group by all
        union all
        select 'days', day, coalesce(channel, 'unknown'), coalesce(bits, 0), count(*)
        from (select who, registered_on as day, bits from users left join signed_up using (who)) join known using (who)
        where from_on <= day and day < to_on group by all"""
    )
    cells, asked = [], []
    for name, rule in RETENTIONS.items():
        grain, last = rule["grain"], rule["periods"]
        firsts = rule.get("firsts", range(last + 1))
        for place, first in enumerate(firsts):
            through = last if rule["kind"] == "on_or_after" else firsts[place + 1] - 1 if place + 1 < len(firsts) else last
            mask = (1 << through + 1) - (1 << first)
            cells.append(f"('{name}', {first}, {through}, {mask}::hugeint, {first * {'week': 7}.get(grain, 1)})")
        asked.append(
            f"('{name}', '{rule['label']}', '{grain}', '{rule['kind']}', '{rule['entry']}', '{rule['what']}', {rule['by_channel']})"
        )
    con.execute(
        f"""copy (
        with cells (retention, first_period, last_period, mask, days_later) as (
            values {", ".join(cells)}
        ), asked (retention, label, grain, kind, entry, what, by_channel) as (
            values {", ".join(asked)}
        ), grouped as (
            select retention, case when grain = 'month' then date_trunc('month', day)::date else day end as cohort_on, channel, bits, sum(n) as n
            from asked join starts using (what) group by all
        ), sizes as (
            select retention, cohort_on, case when channel is null then 'total' else 'channel' end as dimension,
                coalesce(channel, 'total') as value, sum(n) as cohort_size
            from grouped group by grouping sets ((retention, cohort_on), (retention, cohort_on, channel))
        ), returned as (
            select retention, cohort_on, first_period, case when channel is null then 'total' else 'channel' end as dimension,
                coalesce(channel, 'total') as value, sum(n) as returned_count
            from grouped join cells using (retention) where bits & mask <> 0
            group by grouping sets ((retention, cohort_on, first_period), (retention, cohort_on, first_period, channel))
        ), joined as (
            select *, coalesce(returned.returned_count, 0) as came,
                case when grain = 'month' then (cohort_on + to_months(first_period))::date else cohort_on + days_later end as begins_on,
                case grain
                    when 'day' then cohort_on + last_period when 'week' then cohort_on + last_period * 7 + 6
                    else (cohort_on + to_months(last_period + 1))::date - 1
                end as ends_on
            from sizes join asked using (retention) join cells using (retention)
            left join returned using (retention, cohort_on, dimension, value, first_period)
            where dimension = 'total' or by_channel
        )
        select retention, label, grain, kind, entry, cohort_on, dimension, value, first_period, last_period, ends_on, cohort_size,
            came as returned_count, came::double / cohort_size as retention_share,
            came::double / nullif(lag(came) over (partition by retention, cohort_on, dimension, value order by first_period), 0)
                as share_of_previous, ends_on <= getvariable('night') as is_complete
        from joined where begins_on <= getvariable('night')
        ) to '{outputs}/retention.parquet'"""
    )
    con.execute("drop table starts")
