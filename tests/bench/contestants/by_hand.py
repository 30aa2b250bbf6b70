"""DuckDB, a few statements per table, nothing incremental, nothing tested: what the engine can do at best.

Add a column in the statement of its table. Must not read what ours have made.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb

from tests.bench.contestants.definitions import (
    DISCOUNT_SHARES,
    HEARTBEAT_SECONDS,
    INPUTS,
    OTHER,
    OWN,
    RATIOS,
    RENAMED,
    SOURCES,
    STEPS,
    TIMEOUT_MINUTES,
    VIEWS,
    WINDOWS,
)


def tables(inputs: Path, outputs: Path, as_of: date) -> Iterator[str]:
    """Write the tables; a table's name when it is written."""
    with duckdb.connect() as con:
        con.execute("set preserve_insertion_order = false; set memory_limit = '8GB'")
        con.execute(f"set temp_directory = '{outputs}/spill'")
        for table in INPUTS:
            con.execute(f"create view {table} as from '{inputs}/{table}.parquet'")
        _sessions(con, outputs)
        yield "sessions"
        _user_days(con, outputs, as_of)
        yield "user_days"
        _features(con, outputs, as_of)
        yield "features"
        _purchases(con, outputs)
        yield "purchases"


def _names(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _sessions(con: duckdb.DuckDBPyConnection, outputs: Path) -> None:
    steps = {f"has_{step}": f"event_name = '{step}'" for step in STEPS}
    by_midnight = {"at": "max(last_at)", "views": "sum(view_count)", "beats": "sum(heartbeat_count)", "pay": "bool_or(has_pay)"}
    # Half hours do not hold two sessions, so they are added up before anything is sorted.
    con.execute(
        f"""create table sessions as
        with stretches as (
            select device_id, user_id, visit_id, event_on, epoch_us(event_at) // {TIMEOUT_MINUTES * 60_000_000} as stretch,
                min(event_at) as first_at, max(event_at) as last_at,
                count(*) filter (where event_name <> 'heartbeat') as event_count,
                count(*) filter (where event_name in ({_names(VIEWS)})) as view_count,
                count(*) filter (where event_name = 'heartbeat') as heartbeat_count,
                arg_min(page, (event_at, event_id)) filter (where page is not null) as entry_page,
                arg_max(page, (event_at, event_id)) filter (where page is not null) as exit_page,
                arg_min(campaign_id, (event_at, event_id)) filter (where campaign_id is not null) as campaign_id,
                {", ".join(f"bool_or({test}) as {name}" for name, test in steps.items())}
            from events group by all
        ), gaps as (
            select *, coalesce(first_at - lag(last_at) over w >= interval {TIMEOUT_MINUTES} minute, true) as is_break
            from stretches window w as (partition by device_id, user_id, visit_id order by first_at, event_on)
        ), chains as (
            select *, sum(is_break::int) over w as chain, max(case when is_break then event_on end) over w as chain_from_on
            from gaps
            window w as (partition by device_id, user_id, visit_id order by first_at, event_on rows unbounded preceding)
        ), sessions as (
            select user_id, device_id, visit_id, min(first_at) as started_at, max(last_at) as ended_at, min(event_on) as started_on,
                {", ".join(f"{what} filter (where event_on - chain_from_on <> 1) as first_day_{name}" for name, what in by_midnight.items())},
                sum(event_count)::bigint as event_count, sum(view_count)::bigint as view_count,
                sum(heartbeat_count)::bigint as heartbeat_count,
                arg_min(entry_page, first_at) filter (where entry_page is not null) as entry_page,
                arg_max(exit_page, first_at) filter (where exit_page is not null) as exit_page,
                arg_min(campaign_id, first_at) filter (where campaign_id is not null) as campaign_id,
                {", ".join(f"bool_or({name}) as {name}" for name in steps)}
            from chains group by device_id, user_id, visit_id, chain, greatest(event_on - chain_from_on - 1, 0)
        )
        select md5(concat_ws('|', coalesce(device_id, ''), coalesce(user_id, ''), coalesce(visit_id, ''), epoch_us(started_at)))
                as session_id, * exclude (first_day_at, first_day_views, first_day_beats, first_day_pay),
            view_count >= 2 or heartbeat_count >= 2 or has_pay as is_engaged,
            case
                when first_day_views >= 2 or first_day_beats >= 2 or first_day_pay then started_on when is_engaged then started_on + 1
            end as engaged_on,
            (epoch_us(first_day_at) - epoch_us(started_at)) // 1000000 as first_day_seconds,
            (epoch_us(ended_at) - epoch_us(started_at)) // 1000000 as duration_seconds,
            heartbeat_count * {HEARTBEAT_SECONDS} as heartbeat_seconds
        from sessions"""
    )
    con.execute(f"copy sessions to '{outputs}/sessions.parquet'")


def _user_days(con: duckdb.DuckDBPyConnection, outputs: Path, as_of: date) -> None:
    own = {name: f"activity in ({_names(activities)})" for name, activities in OWN.items()}
    counted = ", ".join(f"count(*) filter (where is_own and {test}) as {name}" for name, test in own.items() if name != "search_count")
    other = {name: f"activity = '{activity}'" for name, activity in OTHER.items()}
    other |= {name: f"source_table = '{table}'" for name, table in SOURCES.items()}
    con.execute(
        f"""create table days as
        with event_days as (
            select user_id, event_on as activity_on, 1 as active_days, min(event_at) as first_active_at,
                count(*) as qualifying_count, count(*) as event_count,
                {", ".join(f"count(*) filter (where {test.replace('activity', 'event_name')}) as {name}" for name, test in own.items())}
            from events where user_id is not null and event_name <> 'heartbeat' and event_on <= date '{as_of}'
            group by user_id, event_on
        ), other_days as (
            select user_id, activity_on, bool_or(is_own)::int as active_days, min(activity_at) filter (where is_own) as first_active_at,
                count(*) filter (where is_own) as qualifying_count, {counted},
                sum(value) filter (where activity = 'refund') as refund_amount,
                {", ".join(f"count(*) filter (where {test}) as {name}" for name, test in other.items())}
            from activities where user_id is not null and activity_on <= date '{as_of}'
            group by user_id, activity_on
        ), bought as (
            select * from orders where is_purchase and user_id is not null
        ), order_days as (
            select user_id, ordered_on as activity_on, count(*) as order_count, sum(amount) as spend_amount,
                sum(discount_amount) as discount_amount, max(amount) as largest_order_amount,
                count(*) filter (where weekday >= 6) as weekend_order_count,
                count(*) filter (where hour_of_day >= 18) as evening_order_count,
                ordered_on - lag(ordered_on) over (partition by user_id order by ordered_on) as gap_days
            from bought group by user_id, ordered_on
        ), line_days as (
            select user_id, ordered_on as activity_on, count(*) as item_count
            from bought join lines using (order_id) where not is_return group by all
        ), category_days as (
            select user_id, ordered_on as activity_on, category, sum(lines.amount) as spend_amount
            from bought join lines using (order_id) where category is not null and lines.amount > 0 group by all
        ), so_far as (
            select *, sum(spend_amount) over (partition by user_id, category order by activity_on) as cumulative_amount
            from category_days
        ), top_days as (
            select user_id, activity_on, sum(spend_amount) as category_spend_amount,
                count(*) filter (where cumulative_amount = spend_amount) as new_category_count,
                max(lpad((cumulative_amount * 100)::bigint::varchar, 18, '0') || category) as top_category_rank
            from so_far group by user_id, activity_on
        ), store_days as (
            select user_id, first_on as activity_on, count(*) as new_store_count
            from (select user_id, min(ordered_on) as first_on from bought where merchant_id is not null group by user_id, merchant_id)
            group by all
        ), campaign_days as (
            select user_id, first_on as activity_on, count(*) as new_campaign_count
            from (
                select user_id, min(activity_on) as first_on from activities
                where activity = 'touch_sent' and campaign_id is not null group by user_id, campaign_id
            ) group by all
        ), session_days as (
            select user_id, activity_on, sum(begun) as session_count, sum(engaged) as engaged_session_count, sum(seconds) as session_seconds
            from (
                select user_id, started_on as activity_on, 1 as begun, coalesce(engaged_on = started_on, false)::int as engaged,
                    first_day_seconds as seconds
                from sessions where user_id is not null
                union all
                select user_id, started_on + 1, 0, coalesce(engaged_on > started_on, false)::int, duration_seconds - first_day_seconds
                from sessions where user_id is not null and (engaged_on > started_on or duration_seconds > first_day_seconds)
            ) group by user_id, activity_on
        )
        select user_id, activity_on, epoch_us(activity_on) // 86400000000 as day_number,
            greatest(event_days.active_days, other_days.active_days)::bigint as active_days,
            least(event_days.first_active_at, other_days.first_active_at) as first_active_at,
            {
            ", ".join(
                f"coalesce(event_days.{name}, 0) + coalesce(other_days.{name}, 0) as {name}"
                for name in ("qualifying_count", *own)
                if name != "search_count"
            )
        },
            {
            ", ".join(
                f"coalesce({name}, 0)::bigint as {name}"
                for name in (
                    "search_count",
                    "order_count",
                    "item_count",
                    "weekend_order_count",
                    "evening_order_count",
                    "new_store_count",
                    "new_category_count",
                    "event_count",
                    "session_count",
                    "engaged_session_count",
                    "session_seconds",
                    "new_campaign_count",
                    *other,
                )
            )
        },
            {
            ", ".join(
                f"coalesce({name}, 0)::decimal(18, 2) as {name}"
                for name in ("spend_amount", "discount_amount", "category_spend_amount", "refund_amount")
            )
        },
            largest_order_amount, gap_days, top_category_rank
        from event_days full join other_days using (user_id, activity_on)
        left join order_days using (user_id, activity_on) left join line_days using (user_id, activity_on)
        left join top_days using (user_id, activity_on) left join store_days using (user_id, activity_on)
        left join campaign_days using (user_id, activity_on) left join session_days using (user_id, activity_on)"""
    )
    con.execute(f"copy days to '{outputs}/user_days.parquet'")


def _features(con: duckdb.DuckDBPyConnection, outputs: Path, as_of: date) -> None:
    sums = ", ".join(
        f"sum(case when activity_on > date '{as_of}' - {days} then {measure} else 0 end) as {measure}_{days}d"
        for measure, lengths in WINDOWS.items()
        for days in lengths
    )
    counts = [f"{measure}{suffix}" for measure, lengths in WINDOWS.items() for suffix in ("", *(f"_{days}d" for days in lengths))]
    con.execute(
        f"""copy (
        with sums as (
            select user_id, {", ".join(f"sum({measure}) as {measure}" for measure in WINDOWS)}, {sums},
                sum(weekend_order_count) as weekend_order_count, sum(evening_order_count) as evening_order_count,
                sum(category_spend_amount) as category_spend_amount,
                {", ".join(f"sum({measure}) as {name}" for measure, name in RENAMED.items())},
                count(*) filter (where order_count > 0) as purchase_day_count,
                min(activity_on) filter (where order_count > 0) as first_order_on,
                max(activity_on) filter (where order_count > 0) as last_order_on,
                max(activity_on) filter (where active_days > 0) as last_active_on,
                max(activity_on) filter (where touch_count > 0) as last_touch_on,
                arg_max(gap_days, activity_on) filter (where gap_days is not null) as last_gap_days,
                max(largest_order_amount) as largest_order_amount, max(top_category_rank) as top_category_rank
            from days group by user_id
        )
        select user_id, date '{as_of}' as night_on, registered_on, date '{as_of}' - registered_on as days_since_registered,
            first_order_on, last_order_on, date '{as_of}' - first_order_on as days_since_first_order,
            date '{as_of}' - last_order_on as days_since_order, date '{as_of}' - last_active_on as days_since_active,
            date '{as_of}' - last_touch_on as days_since_touch, coalesce(purchase_day_count, 0) as purchase_day_count,
            ((last_order_on - first_order_on) / nullif(purchase_day_count - 1, 0))::decimal(9, 2) as average_gap_days, last_gap_days,
            {
            ", ".join(
                f"coalesce({name}, 0)::{'decimal(18, 2)' if '_amount' in name else 'bigint'} as {name}"
                for name in (*counts, *RENAMED.values())
            )
        },
            {
            ", ".join(
                f"({part}::double / nullif({whole}, 0))::decimal(18, {6 if name.endswith('_share') else 2}) as {name}"
                for name, (part, whole) in RATIOS.items()
            )
        },
            {
            ", ".join(
                f"(discount_amount{window}::double / nullif(discount_amount{window} + spend_amount{window}, 0))::decimal(9, 6) as {name}"
                for name, window in DISCOUNT_SHARES.items()
            )
        },
            largest_order_amount, top_category_rank[19:] as top_category,
            ((top_category_rank[:18]::bigint / 100)::decimal(18, 2)::double / nullif(category_spend_amount, 0))::decimal(9, 6)
                as top_category_share,
            (least(redemption_count, touch_count)::double / nullif(touch_count, 0))::decimal(9, 6) as response_share,
            (least(engaged_session_count_90d, session_count_90d)::double / nullif(session_count_90d, 0))::decimal(9, 6)
                as engaged_session_share_90d
        from users left join sums using (user_id)
        ) to '{outputs}/features.parquet'"""
    )


def _purchases(con: duckdb.DuckDBPyConnection, outputs: Path) -> None:
    con.execute(
        f"""copy (
        with refunds as (
            select object_id as order_id, sum(value) as refund_amount from activities where activity = 'refund' group by all
        ), contents as (
            select order_id, count(*) filter (where not is_return) as item_count, -sum(least(amount, 0)) as returned_amount
            from lines group by all
        ), numbered as (
            select order_id, row_number() over w as purchase_number, ordered_on - lag(ordered_on) over w as days_since_previous_purchase
            from orders where is_purchase and user_id is not null window w as (partition by user_id order by ordered_at, order_id)
        )
        select orders.* exclude (weekday, hour_of_day), purchase_number, days_since_previous_purchase,
            coalesce(refund_amount, 0) as refund_amount, coalesce(returned_amount, 0) as returned_amount,
            coalesce(item_count, 0) as item_count
        from orders left join contents using (order_id) left join refunds using (order_id) left join numbered using (order_id)
        ) to '{outputs}/purchases.parquet'"""
    )
