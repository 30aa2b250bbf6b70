"""DuckDB again, the tables of customers: who came back when, what buyers and cohorts are worth, which tags a user carries.

Add a table as a function and its name in `USERS` of the package. Must not read what ours make of these tables; taken as given are the tables of events,
which the other hands make as well (a user's days, purchases with refunds), what was known of whom since when, what agents said, and the
columns that tags are rules over (features, stage, level, contribution, next step): of the tags only the rules are measured.

Like the build beside them, these statements hold for tables whose first night is the night itself: everything known by then holds for the
time before, and no spell is older than one night.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb

from tests.bench.contestants import by_hand_periods, by_hand_tags
from tests.bench.contestants.by_hand_periods import ENDS, FOREVER, NUMBERS, STARTS
from tests.bench.contestants.definitions import COHORTS, DIMENSIONS, RFM_DAYS, RFM_GROUPS, USER_INPUTS


def tables(inputs: Path, outputs: Path, as_of: date) -> Iterator[str]:
    """Write the tables; a table's name when it is written."""
    with duckdb.connect() as con:
        con.execute("set preserve_insertion_order = false; set memory_limit = '8GB'")
        con.execute(f"set temp_directory = '{outputs}/spill'; set variable night = date '{as_of}'")
        for table in USER_INPUTS:
            con.execute(f"create view {table} as from '{inputs}/{table}.parquet'")
        _people(con)
        by_hand_periods.periods(con, outputs)
        yield "periods"
        by_hand_periods.retention(con, outputs)
        yield "retention"
        _rfm(con, outputs)
        yield "rfm"
        _cohort_value(con, outputs)
        yield "cohort_value"
        by_hand_tags.tags(con, outputs)
        yield "tags"
        by_hand_tags.history(con, outputs)
        yield "tag_history"


def _people(con: duckdb.DuckDBPyConnection) -> None:
    """Users by number, what was known of them when, and their days as few and narrow columns; these are seconds of the first table."""
    con.execute("create table people as select user_id, row_number() over ()::integer as who from (select distinct user_id from versions)")
    con.execute(
        f"""create table known as
        select who, registered_on, known_to_on, birth_date, age_band, {", ".join(DIMENSIONS)},
            case when lag(known_from_on) over w is null then date '0001-01-01' else known_from_on end as from_on,
            coalesce(lead(known_from_on) over w, {FOREVER}) as to_on
        from versions join people using (user_id) window w as (partition by who order by known_from_on)"""
    )
    con.execute(
        """create table days as
        select who, activity_on as day, qualifying_count > 0 as is_active, order_count::integer as order_count,
            spend_amount - purchase_refund_amount as net_amount
        from user_days join people using (user_id) where activity_on <= getvariable('night')"""
    )


def _rfm(con: duckdb.DuckDBPyConnection, outputs: Path) -> None:
    # Equals are counted first: what is sorted is a few hundred days, counts and amounts, not buyers.
    scores = "\n".join(
        f"""), {letter}_scores as (
            select {measure}, ceil(5 * (2 * (sum(count(*)) over (order by {measure} {order}) - count(*)) + count(*) + 1)::double
                / (2 * sum(count(*)) over ()))::integer as {letter}
            from buyers group by {measure}"""
        for letter, measure, order in (("r", "recency_days", "desc"), ("f", "frequency", ""), ("m", "monetary_amount", ""))
    )
    groups = " ".join(f"when {test} then '{name}'" for name, (_, test) in RFM_GROUPS.items() if test)
    labels = " ".join(f"when '{name}' then '{label}'" for name, (label, test) in RFM_GROUPS.items() if test)
    con.execute(
        f"""copy (
        with tonight as (
            select who, user_id from known join people using (who) where known_to_on is null and registered_on <= getvariable('night')
        ), buyers as (
            select who, getvariable('night') - max(day) filter (where order_count > 0) as recency_days, sum(order_count) as frequency,
                sum(net_amount) as monetary_amount
            from days semi join tonight using (who) where day > getvariable('night') - {RFM_DAYS} group by who having sum(order_count) > 0
        {scores}
        ), graded as (
            select *, floor((f + m + 1) / 2.0)::integer as fm
            from buyers join r_scores using (recency_days) join f_scores using (frequency) join m_scores using (monetary_amount)
        ), bins as (
            select (select count(distinct r) from r_scores) as r_bins, (select count(distinct f) from f_scores) as f_bins,
                (select count(distinct m) from m_scores) as m_bins
        )
        select user_id, recency_days, coalesce(frequency, 0) as frequency, coalesce(monetary_amount, 0) as monetary_amount, r, f, m, fm,
            case when r is null then 'prospect' {groups} end as rfm_group,
            case rfm_group {labels} else '{RFM_GROUPS["prospect"][0]}' end as label,
            case when r is not null then r_bins end as r_bins, case when r is not null then f_bins end as f_bins,
            case when r is not null then m_bins end as m_bins,
            case when r is not null then least(bins.r_bins, bins.f_bins, bins.m_bins) < 5 end as has_fewer_bins
        from tonight left join graded using (who) cross join bins
        ) to '{outputs}/rfm.parquet'"""
    )


def _cohort_value(con: duckdb.DuckDBPyConnection, outputs: Path) -> None:
    start, number = STARTS[COHORTS].format, NUMBERS[COHORTS].format
    cells = "case when channel is null then 'total' else 'channel' end as dimension, coalesce(channel, 'total') as value"
    con.execute(
        f"""copy (
        with bought as (
            select who, {start("ordered_on")} as period_on, min(ordered_on) as first_on, count(*) as order_count,
                sum(amount + discount_amount) as gross, sum(discount_amount) as discount, sum(refund_amount) as refund
            from purchases join people using (user_id) semi join users using (who) where ordered_on <= getvariable('night') group by all
        ), entered as (
            select who, {start("day")} as cohort_on, coalesce(channel, 'unknown') as channel
            from (select who, min(first_on) as day from bought group by who) join known using (who) where from_on <= day and day < to_on
        ), sizes as (
            select cohort_on, {cells}, count(*) as cohort_size from entered group by grouping sets ((cohort_on), (cohort_on, channel))
        ), amounts as (
            select cohort_on, period_on, {cells}, sum(order_count) as order_count, sum(gross) as gross, sum(discount) as discount,
                sum(refund) as refund
            from bought join entered using (who) group by grouping sets ((cohort_on, period_on), (cohort_on, period_on, channel))
        ), calendar as (
            select distinct {start("day")} as period_on
            from (select unnest(generate_series(min(first_on), getvariable('night'), interval 1 day))::date as day from bought)
        )
        select cohort_on, dimension, value, {number("period_on")} - {number("cohort_on")} as period, cohort_size,
            coalesce(order_count, 0) as order_count, coalesce(gross, 0) as gross_amount, coalesce(discount, 0) as discount_amount,
            coalesce(refund, 0) as refund_amount, coalesce(gross - discount - refund, 0) as net_amount,
            coalesce(sum(gross) over w, 0) as cumulative_gross_amount,
            coalesce(sum(gross - discount - refund) over w, 0) as cumulative_net_amount,
            cumulative_net_amount::double / cohort_size as cumulative_net_per_user,
            {ENDS[COHORTS].format("period_on")} <= getvariable('night') as is_complete
        from sizes join calendar on cohort_on <= period_on left join amounts using (cohort_on, dimension, value, period_on)
        window w as (partition by cohort_on, dimension, value order by period_on)
        ) to '{outputs}/cohort_value.parquet'"""
    )
