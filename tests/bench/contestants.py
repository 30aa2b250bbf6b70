"""The same four tables by three other hands: straight-line DuckDB SQL (the limit), pandas, and Polars streaming.

`python -m tests.bench.contestants <name> <inputs> <outputs> <as_of>` reads the Parquet files of INPUTS, writes one per table of TABLES
and the CPU seconds of each, and is measured from outside. Add a contestant as a function of WRITERS that yields a table's name when it is
written; every column of ours is to be made. Must not be quicker by being wrong: `scale` compares every table with ours and refuses a difference.

The definitions are those of the models' YAML: a session ends after 30 minutes without an event, goes on over one midnight and ends at the
next, and what it was by the first midnight belongs to the day it began on, the rest to the next; heartbeats are not counted; a window of n days ends with the night; purchases are numbered by time, then order.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

INPUTS = ("events", "orders", "lines", "activities", "users")
TABLES = ("sessions", "user_days", "features", "purchases")
# What a contestant cannot make without a package more: pandas and Polars hash no text, and a session is as well told by its other columns.
WITHOUT = {"pandas": {"sessions": ("session_id",)}, "Polars streaming": {"sessions": ("session_id",)}}

TIMEOUT_MINUTES = 30
HEARTBEAT_SECONDS = 10
VIEWS = ("view", "list", "detail")
STEPS = ("list", "detail", "cart", "checkout", "pay")
# Columns of a user's day that count activities of the user's own by name …
OWN = {
    "reached_count": VIEWS,
    "engaged_count": ("like", "comment", "share", "content_post", "content_comment", "content_like", "content_answer", "content_share"),
    "followed_count": ("follow",),
    "unfollowed_count": ("unfollow",),
    "converted_count": ("purchase", "pay"),
    "search_count": ("search",),
}
# … and those that count what no event is.
OTHER = {
    "touch_count": "touch_sent",
    "open_count": "touch_opened",
    "click_count": "touch_clicked",
    "unsubscribe_count": "touch_unsubscribed",
    "complaint_count": "touch_complained",
    "redemption_count": "incentive_used",
    "payment_failure_count": "payment_failure",
    "cancelled_order_count": "order_cancelled",
    "ticket_count": "ticket_opened",
}
SOURCES = {"referral_count": "referrals", "feedback_count": "feedback", "content_count": "content"}
# Windows in days of a user's features beside the sum of all days.
WINDOWS = {
    "order_count": (7, 30, 90, 365),
    "spend_amount": (7, 30, 90, 365),
    "item_count": (30, 90, 365),
    "discount_amount": (90, 365),
    "refund_amount": (90, 365),
    "active_days": (7, 30, 90, 365),
    "event_count": (7, 30, 90),
    "session_count": (7, 30, 90),
    "engaged_session_count": (30, 90),
    "session_seconds": (30, 90),
    "touch_count": (30, 90),
    "open_count": (90,),
    "click_count": (90,),
    "redemption_count": (30, 90, 365),
    "payment_failure_count": (30,),
    "cancelled_order_count": (90,),
    "ticket_count": (90,),
    "referral_count": (90,),
    "feedback_count": (90,),
    "content_count": (90,),
    "unsubscribe_count": (),
    "complaint_count": (),
}
# Features that are one sum divided by another.
RATIOS = {
    "average_order_amount": ("spend_amount", "order_count"),
    "average_order_amount_90d": ("spend_amount_90d", "order_count_90d"),
    "average_item_count": ("item_count", "order_count"),
    "weekend_share": ("weekend_order_count", "order_count"),
    "evening_share": ("evening_order_count", "order_count"),
}
DISCOUNT_SHARES = {"discount_share_90d": "_90d", "discount_share_365d": "_365d", "discount_share": ""}
RENAMED = {"new_store_count": "store_count", "new_category_count": "category_count", "new_campaign_count": "campaign_count"}


def by_hand(inputs: Path, outputs: Path, as_of: date) -> Iterator[str]:
    """DuckDB, a few statements per table, nothing incremental, nothing tested: what the engine can do at best."""
    import duckdb

    def names(values: tuple[str, ...]) -> str:
        return ", ".join(f"'{value}'" for value in values)

    steps = {f"has_{step}": f"event_name = '{step}'" for step in STEPS}
    by_midnight = {"at": "max(last_at)", "views": "sum(view_count)", "beats": "sum(heartbeat_count)", "pay": "bool_or(has_pay)"}
    own = {name: f"activity in ({names(activities)})" for name, activities in OWN.items()}
    counted = ", ".join(f"count(*) filter (where is_own and {test}) as {name}" for name, test in own.items() if name != "search_count")
    other = {name: f"activity = '{activity}'" for name, activity in OTHER.items()}
    other |= {name: f"source_table = '{table}'" for name, table in SOURCES.items()}
    sums = ", ".join(
        f"sum(case when activity_on > date '{as_of}' - {days} then {measure} else 0 end) as {measure}_{days}d"
        for measure, lengths in WINDOWS.items()
        for days in lengths
    )
    counts = [f"{measure}{suffix}" for measure, lengths in WINDOWS.items() for suffix in ("", *(f"_{days}d" for days in lengths))]
    with duckdb.connect() as con:
        con.execute("set preserve_insertion_order = false; set memory_limit = '8GB'")
        con.execute(f"set temp_directory = '{outputs}/spill'")
        for table in INPUTS:
            con.execute(f"create view {table} as from '{inputs}/{table}.parquet'")
        # Half hours do not hold two sessions, so they are added up before anything is sorted.
        con.execute(
            f"""create table sessions as
            with stretches as (
                select device_id, user_id, visit_id, event_on, epoch_us(event_at) // {TIMEOUT_MINUTES * 60_000_000} as stretch,
                    min(event_at) as first_at, max(event_at) as last_at,
                    count(*) filter (where event_name <> 'heartbeat') as event_count,
                    count(*) filter (where event_name in ({names(VIEWS)})) as view_count,
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
        yield "sessions"
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
        yield "user_days"
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
        yield "features"
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
        yield "purchases"


def in_pandas(inputs: Path, outputs: Path, as_of: date) -> Iterator[str]:
    """pandas on Arrow files: everything in memory, money added up in whole cents."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    night, epoch = pd.Timestamp(as_of), pd.Timestamp(0)

    def read(name: str, *columns: str) -> Any:
        """Dates as timestamps and money as cents: objects of Python would take minutes."""
        table = pq.read_table(inputs / f"{name}.parquet", columns=list(columns) or None)
        for place, field in enumerate(table.schema):
            if pa.types.is_date(field.type):
                table = table.set_column(place, field.name, table[place].cast(pa.timestamp("s")))
            elif pa.types.is_decimal(field.type):
                table = table.set_column(place, field.name, table[place].cast(pa.float64()))
        frame = table.to_pandas()
        for field in ("amount", "discount_amount", "value"):
            if field in frame:
                frame[field] = (frame[field].fillna(0) * 100).round().astype("int64")
        return frame

    def write(frame: Any, name: str) -> None:
        for column in frame:
            if "_amount" in column or column == "amount":
                frame[column] = frame[column] / 100
        frame.to_parquet(outputs / f"{name}.parquet", index=False)

    keys = ["device_id", "user_id", "visit_id"]
    events = read("events", "event_id", *keys, "event_at", "event_on", "event_name", "page", "campaign_id")
    events["event_name"] = events["event_name"].astype("category")
    counted = events["event_name"] != "heartbeat"
    seen = events.loc[
        counted & events["user_id"].notna() & (events["event_on"] <= night), ["user_id", "event_at", "event_on", "event_name"]
    ]
    events = events.sort_values([*keys, "event_at", "event_id"], ignore_index=True)
    part = events.groupby(keys, dropna=False, sort=False).ngroup()
    new = part.ne(part.shift()) | (events["event_at"].diff() >= pd.Timedelta(minutes=TIMEOUT_MINUTES))
    begun = events["event_on"].where(new).ffill()
    gone = (events["event_on"] - begun).dt.days
    cut = np.maximum(gone - 1, 0)
    events["session"] = (new | cut.ne(cut.shift())).cumsum()
    events["is_event"] = events["event_name"] != "heartbeat"
    events["is_view"] = events["event_name"].isin(VIEWS)
    for step in STEPS:
        events[f"has_{step}"] = events["event_name"] == step
    by_session = events.groupby("session", sort=False)
    ends = events.drop_duplicates("session")[["session", *keys, "event_on", "event_at"]].set_index("session")
    sessions = ends.rename(columns={"event_on": "started_on", "event_at": "started_at"})
    sessions["ended_at"] = events.drop_duplicates("session", keep="last").set_index("session")["event_at"]
    sums = by_session[["is_event", "is_view", *(f"has_{step}" for step in STEPS)]].sum()
    sessions["event_count"], sessions["view_count"] = sums["is_event"], sums["is_view"]
    sessions["heartbeat_count"] = by_session.size() - sums["is_event"]
    for step in STEPS:
        sessions[f"has_{step}"] = sums[f"has_{step}"] > 0
    for column, source, keep in (("entry_page", "page", "first"), ("exit_page", "page", "last"), ("campaign_id", "campaign_id", "first")):
        named = events.loc[events[source].notna(), ["session", source]].drop_duplicates("session", keep=keep)
        sessions[column] = named.set_index("session")[source]
    sessions["is_engaged"] = (sessions["view_count"] >= 2) | (sessions["heartbeat_count"] >= 2) | sessions["has_pay"]
    sessions["duration_seconds"] = (sessions["ended_at"] - sessions["started_at"]) // pd.Timedelta(seconds=1)
    sessions["heartbeat_seconds"] = sessions["heartbeat_count"] * HEARTBEAT_SECONDS
    # Few sessions go on over midnight: what came after it is taken off, and only they are asked for their last event before it.
    after = events.loc[gone == 1, ["session", "is_event", "is_view", "has_pay"]].assign(is_beat=lambda frame: ~frame["is_event"])
    after = after.groupby("session").sum()
    before = events.loc[(gone != 1) & events["session"].isin(after.index), ["session", "event_at"]].drop_duplicates("session", keep="last")
    midnight_at = before.set_index("session")["event_at"].reindex(sessions.index).fillna(sessions["ended_at"])
    after = after.reindex(sessions.index, fill_value=0)
    at_once = sessions["view_count"] - after["is_view"] >= 2
    at_once |= (sessions["heartbeat_count"] - after["is_beat"] >= 2) | (sums["has_pay"] - after["has_pay"] > 0)
    engaged_on = sessions["started_on"].where(at_once, sessions["started_on"] + pd.Timedelta(days=1))
    sessions["engaged_on"] = engaged_on.where(sessions["is_engaged"])
    sessions["first_day_seconds"] = (midnight_at - sessions["started_at"]) // pd.Timedelta(seconds=1)
    write(sessions, "sessions")
    first = sessions[["user_id", "started_on"]].assign(
        session_count=1,
        engaged_session_count=sessions["engaged_on"] == sessions["started_on"],
        session_seconds=sessions["first_day_seconds"],
    )
    second = sessions[["user_id"]].assign(
        started_on=sessions["started_on"] + pd.Timedelta(days=1),
        session_count=0,
        engaged_session_count=sessions["engaged_on"] > sessions["started_on"],
        session_seconds=sessions["duration_seconds"] - sessions["first_day_seconds"],
    )
    second = second[second["engaged_session_count"] | (second["session_seconds"] > 0)]
    session_days = pd.concat([first, second]).groupby(["user_id", "started_on"]).sum().rename_axis(["user_id", "activity_on"])
    del (
        events,
        part,
        new,
        begun,
        gone,
        cut,
        by_session,
        ends,
        sessions,
        sums,
        after,
        before,
        midnight_at,
        at_once,
        engaged_on,
        first,
        second,
    )
    yield "sessions"

    day = ["user_id", "activity_on"]
    seen = seen.rename(columns={"event_on": "activity_on"})
    for name, activities in OWN.items():
        seen[name] = seen["event_name"].isin(activities)
    grouped = seen.groupby(day)
    event_days = grouped[list(OWN)].sum()
    event_days["event_count"] = event_days["qualifying_count"] = grouped.size()
    event_days["first_active_at"] = grouped["event_at"].min()
    event_days["active_days"] = 1
    del seen, grouped

    every = read("activities")
    acts = every[every["user_id"].notna() & (every["activity_on"] <= night)].copy()
    for name, activities in OWN.items():
        if name != "search_count":
            acts[name] = acts["is_own"] & acts["activity"].isin(activities)
    for name, activity in OTHER.items():
        acts[name] = acts["activity"] == activity
    for name, table in SOURCES.items():
        acts[name] = acts["source_table"] == table
    acts["refund_amount"] = acts["value"].where(acts["activity"] == "refund", 0)
    acts["qualifying_count"] = acts["is_own"]
    acts["own_at"] = acts["activity_at"].where(acts["is_own"])
    grouped = acts.groupby(day)
    other_days = grouped[[*(name for name in OWN if name != "search_count"), *OTHER, *SOURCES, "refund_amount", "qualifying_count"]].sum()
    other_days["first_active_at"] = grouped["own_at"].min()
    other_days["active_days"] = (other_days["qualifying_count"] > 0).astype("int64")
    del acts, grouped

    orders = read("orders")
    bought = orders[orders["is_purchase"] & orders["user_id"].notna()].rename(columns={"ordered_on": "activity_on"})
    bought["is_weekend"], bought["is_evening"] = bought["weekday"] >= 6, bought["hour_of_day"] >= 18
    order_days = bought.groupby(day).agg(
        order_count=("amount", "size"),
        spend_amount=("amount", "sum"),
        discount_amount=("discount_amount", "sum"),
        largest_order_amount=("amount", "max"),
        weekend_order_count=("is_weekend", "sum"),
        evening_order_count=("is_evening", "sum"),
    )
    on = order_days.index.to_frame(index=False)
    order_days["gap_days"] = on.groupby("user_id")["activity_on"].diff().dt.days.to_numpy()
    lines = read("lines")
    bought_lines = lines.merge(bought[["order_id", *day]], on="order_id")
    order_days["item_count"] = bought_lines[~bought_lines["is_return"]].groupby(day).size()
    paid = bought_lines[bought_lines["category"].notna() & (bought_lines["amount"] > 0)]
    paid = paid.groupby([*day, "category"])["amount"].sum().reset_index()
    paid["so_far"] = paid.groupby(["user_id", "category"])["amount"].cumsum()
    paid["is_new"] = paid["so_far"] == paid["amount"]
    paid["rank"] = paid["so_far"].astype("str").str.zfill(18) + paid["category"]
    tops = paid.groupby(day).agg(category_spend_amount=("amount", "sum"), new_category_count=("is_new", "sum"))
    tops["top_category_rank"] = paid.sort_values("rank").drop_duplicates(day, keep="last").set_index(day)["rank"]
    stores = bought[bought["merchant_id"].notna()].groupby(["user_id", "merchant_id"])["activity_on"].min().reset_index()
    sent = every[(every["activity"] == "touch_sent") & every["campaign_id"].notna()]
    campaigns = sent.groupby(["user_id", "campaign_id"])["activity_on"].min().reset_index()

    days = event_days.join(other_days, how="outer", rsuffix="_other")
    for name in [name for name in days if f"{name}_other" in days]:
        here, there = days[name], days.pop(f"{name}_other")
        if name == "first_active_at":
            days[name] = pd.concat([here, there], axis=1).min(axis=1)
        else:
            days[name] = here.fillna(0) + there.fillna(0)
    days["active_days"] = days["active_days"].clip(upper=1)
    days = days.join([order_days, tops, session_days])
    days["new_store_count"] = stores.groupby(day).size()
    days["new_campaign_count"] = campaigns.groupby(day).size()
    kept = ["first_active_at", "largest_order_amount", "gap_days", "top_category_rank"]
    whole = [column for column in days if column not in kept]
    days[whole] = days[whole].fillna(0).astype("int64")
    days = days.reset_index()
    days["day_number"] = (days["activity_on"] - epoch).dt.days
    write(days.copy(), "user_days")
    del event_days, other_days, order_days, bought_lines, paid, tops, stores, sent, campaigns, session_days
    yield "user_days"

    by_user = days.groupby("user_id")
    features = (
        by_user[[*WINDOWS, "weekend_order_count", "evening_order_count", "category_spend_amount", *RENAMED]].sum().rename(columns=RENAMED)
    )
    for length in (7, 30, 90, 365):
        measures = [measure for measure, lengths in WINDOWS.items() if length in lengths]
        recent = days[days["activity_on"] > night - timedelta(days=length)].groupby("user_id")[measures].sum()
        features = features.join(recent.add_suffix(f"_{length}d"))
    features["largest_order_amount"] = by_user["largest_order_amount"].max()
    ranked = days.loc[days["top_category_rank"].notna(), ["user_id", "top_category_rank"]].sort_values("top_category_rank")
    rank = ranked.drop_duplicates("user_id", keep="last").set_index("user_id")["top_category_rank"]
    ordered = days[days["order_count"] > 0].groupby("user_id")
    features["purchase_day_count"] = ordered.size()
    features["first_order_on"], features["last_order_on"] = ordered["activity_on"].min(), ordered["activity_on"].max()
    features["last_gap_days"] = ordered["gap_days"].last()
    features["active_on"] = days[days["active_days"] > 0].groupby("user_id")["activity_on"].max()
    features["touch_on"] = days[days["touch_count"] > 0].groupby("user_id")["activity_on"].max()
    users = read("users").set_index("user_id")
    sums = [
        column for column in features if features[column].dtype.kind in "if" and column not in ("largest_order_amount", "last_gap_days")
    ]
    features = users.join(features)
    features[sums] = features[sums].fillna(0).astype("int64")
    features["night_on"] = night
    for name, column in {
        "days_since_registered": "registered_on",
        "days_since_first_order": "first_order_on",
        "days_since_order": "last_order_on",
        "days_since_active": "active_on",
        "days_since_touch": "touch_on",
    }.items():
        features[name] = (night - features[column]).dt.days
    # Shares are of money, not of cents: a decimal's floating point is what our rounding sees.
    cents = features[[column for column in features if "_amount" in column]]
    features[list(cents)] = cents / 100

    def ratio(part: Any, whole: Any) -> Any:
        return part.astype("float64") / whole.where(whole != 0)

    for name, (part, whole) in RATIOS.items():
        features[name] = ratio(features[part], features[whole])
    for name, window in DISCOUNT_SHARES.items():
        discount = cents[f"discount_amount{window}"]
        features[name] = ratio(discount / 100, (discount + cents[f"spend_amount{window}"]) / 100)
    features["top_category"] = rank.str[18:]
    features["top_category_share"] = ratio(rank.str[:18].astype("int64") / 100, features["category_spend_amount"])
    features["response_share"] = ratio(np.minimum(features["redemption_count"], features["touch_count"]), features["touch_count"])
    begun = features["session_count_90d"]
    features["engaged_session_share_90d"] = ratio(np.minimum(features["engaged_session_count_90d"], begun), begun)
    lasted = (features["last_order_on"] - features["first_order_on"]).dt.days
    features["average_gap_days"] = ratio(lasted, features["purchase_day_count"] - 1)
    features.reset_index().to_parquet(outputs / "features.parquet", index=False)
    del days, features, cents
    yield "features"

    mine = orders[orders["is_purchase"] & orders["user_id"].notna()].sort_values(["user_id", "ordered_at", "order_id"])
    orders["purchase_number"] = mine.groupby("user_id").cumcount() + 1
    orders["days_since_previous_purchase"] = mine.groupby("user_id")["ordered_on"].diff().dt.days
    orders = orders.drop(columns=["weekday", "hour_of_day"]).set_index("order_id")
    lines["item_count"], lines["returned_amount"] = ~lines["is_return"], -lines["amount"].clip(upper=0)
    orders = orders.join(lines.groupby("order_id")[["item_count", "returned_amount"]].sum())
    orders["refund_amount"] = every[every["activity"] == "refund"].groupby("object_id")["value"].sum()
    late = ["item_count", "returned_amount", "refund_amount"]
    orders[late] = orders[late].fillna(0)
    write(orders.reset_index(), "purchases")
    yield "purchases"


def in_polars(inputs: Path, outputs: Path, as_of: date) -> Iterator[str]:
    """Polars, lazy, on its streaming engine; the order of events by session is the only full sort."""
    import polars as pl

    col = pl.col

    def write(frame: pl.LazyFrame, name: str) -> None:
        frame.sink_parquet(outputs / f"{name}.parquet", engine="streaming")

    def count(test: pl.Expr, name: str) -> pl.Expr:
        return test.sum().cast(pl.Int64).alias(name)

    def divided(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
        return part.cast(pl.Float64) / pl.when(whole != 0).then(whole.cast(pl.Float64))

    events, orders, lines, activities, users = (pl.scan_parquet(inputs / f"{name}.parquet") for name in INPUTS)
    keys = ["device_id", "user_id", "visit_id"]
    part = pl.struct(keys)
    is_new = (part != part.shift()).fill_null(True) | (col("event_at").diff() >= timedelta(minutes=TIMEOUT_MINUTES)).fill_null(True)
    marked = (
        events.select("event_id", *keys, "event_at", "event_on", "event_name", "page", "campaign_id")
        .sort(*keys, "event_at", "event_id")
        .with_columns(is_new.alias("new"))
        .with_columns(col("new").cast(pl.Int64).cum_sum().alias("chain"), pl.when("new").then("event_on").forward_fill().alias("begun"))
        .with_columns((col("event_on") - col("begun")).dt.total_days().alias("gone"))
        .with_columns((col("gone") - 1).clip(lower_bound=0).alias("cut"))
    )
    name, beats, by_midnight = col("event_name"), col("heartbeat_count"), col("gone") != 1
    sessions = (
        marked.group_by("chain", "cut")
        .agg(
            *(col(key).first() for key in keys),
            col("event_at").min().alias("started_at"),
            col("event_at").max().alias("ended_at"),
            col("event_on").min().alias("started_on"),
            count(name != "heartbeat", "event_count"),
            count(name.is_in(VIEWS), "view_count"),
            count(name == "heartbeat", "heartbeat_count"),
            col("page").drop_nulls().first().alias("entry_page"),
            col("page").drop_nulls().last().alias("exit_page"),
            col("campaign_id").drop_nulls().first(),
            *((name == step).any().alias(f"has_{step}") for step in STEPS),
            col("event_at").filter(by_midnight).max().alias("midnight_at"),
            ((name.is_in(VIEWS) & by_midnight).sum() >= 2).alias("seen_by_midnight"),
            (((name == "heartbeat") & by_midnight).sum() >= 2).alias("stayed_by_midnight"),
            ((name == "pay") & by_midnight).any().alias("paid_by_midnight"),
        )
        .with_columns(
            ((col("view_count") >= 2) | (beats >= 2) | col("has_pay")).alias("is_engaged"),
            pl.when(col("seen_by_midnight") | col("stayed_by_midnight") | col("paid_by_midnight"))
            .then("started_on")
            .when((col("view_count") >= 2) | (beats >= 2) | col("has_pay"))
            .then(col("started_on") + timedelta(days=1))
            .alias("engaged_on"),
            (col("ended_at") - col("started_at")).dt.total_seconds().alias("duration_seconds"),
            (col("midnight_at") - col("started_at")).dt.total_seconds().alias("first_day_seconds"),
            (beats * HEARTBEAT_SECONDS).alias("heartbeat_seconds"),
        )
        .drop("chain", "cut", "^.*midnight.*$")
    )
    write(sessions, "sessions")
    yield "sessions"

    day = ["user_id", "activity_on"]
    known = events.filter(col("user_id").is_not_null(), name != "heartbeat", col("event_on") <= as_of)
    event_days = known.group_by("user_id", col("event_on").alias("activity_on")).agg(
        pl.lit(1, pl.Int64).first().alias("active_days"),
        col("event_at").min().alias("first_active_at"),
        pl.len().cast(pl.Int64).alias("qualifying_count"),
        pl.len().cast(pl.Int64).alias("event_count"),
        *(count(name.is_in(names), column) for column, names in OWN.items()),
    )
    act, own = col("activity"), col("is_own")
    other_days = (
        activities.filter(col("user_id").is_not_null(), col("activity_on") <= as_of)
        .group_by(day)
        .agg(
            own.any().cast(pl.Int64).alias("active_days"),
            col("activity_at").filter(own).min().alias("first_active_at"),
            count(own, "qualifying_count"),
            *(count(own & act.is_in(names), column) for column, names in OWN.items() if column != "search_count"),
            *(count(act == activity, column) for column, activity in OTHER.items()),
            *(count(col("source_table") == table, column) for column, table in SOURCES.items()),
            col("value").filter(act == "refund").sum().alias("refund_amount"),
        )
    )
    bought = orders.filter("is_purchase", col("user_id").is_not_null()).rename({"ordered_on": "activity_on"})
    order_days = (
        bought.group_by(day)
        .agg(
            pl.len().cast(pl.Int64).alias("order_count"),
            col("amount").sum().alias("spend_amount"),
            col("discount_amount").sum(),
            col("amount").max().alias("largest_order_amount"),
            count(col("weekday") >= 6, "weekend_order_count"),
            count(col("hour_of_day") >= 18, "evening_order_count"),
        )
        .sort(day)
        .with_columns(pl.when(col("user_id") == col("user_id").shift()).then(col("activity_on").diff().dt.total_days()).alias("gap_days"))
    )
    order_lines = lines.join(bought.select("order_id", *day), on="order_id")
    item_days = order_lines.filter(~col("is_return")).group_by(day).agg(pl.len().cast(pl.Int64).alias("item_count"))
    top_days = (
        order_lines.filter(col("category").is_not_null(), col("amount") > 0)
        .group_by(*day, "category")
        .agg(col("amount").sum())
        .sort("user_id", "category", "activity_on")
        .with_columns(col("amount").cum_sum().over("user_id", "category").alias("so_far"))
        .with_columns(
            (col("so_far") == col("amount")).alias("is_new"),
            ((col("so_far") * 100).cast(pl.Int64).cast(pl.String).str.zfill(18) + col("category")).alias("rank"),
        )
        .group_by(day)
        .agg(
            col("amount").sum().alias("category_spend_amount"),
            count(col("is_new"), "new_category_count"),
            col("rank").max().alias("top_category_rank"),
        )
    )

    def firsts(frame: pl.LazyFrame, thing: str, column: str) -> pl.LazyFrame:
        first = frame.filter(col(thing).is_not_null()).group_by("user_id", thing).agg(col("activity_on").min())
        return first.group_by(day).agg(pl.len().cast(pl.Int64).alias(column))

    of_users = pl.scan_parquet(outputs / "sessions.parquet").filter(col("user_id").is_not_null())
    first, engaged_on, started_on = col("first_day_seconds"), col("engaged_on"), col("started_on")
    session_parts = [
        of_users.select(
            "user_id",
            started_on.alias("activity_on"),
            pl.lit(1, pl.Int64).alias("session_count"),
            (engaged_on == started_on).fill_null(False).cast(pl.Int64).alias("engaged_session_count"),
            first.alias("session_seconds"),
        ),
        of_users.filter((engaged_on > started_on).fill_null(False) | (col("duration_seconds") > first)).select(
            "user_id",
            (started_on + timedelta(days=1)).alias("activity_on"),
            pl.lit(0, pl.Int64).alias("session_count"),
            (engaged_on > started_on).fill_null(False).cast(pl.Int64).alias("engaged_session_count"),
            (col("duration_seconds") - first).alias("session_seconds"),
        ),
    ]
    session_days = pl.concat(session_parts).group_by(day).agg(pl.all().sum())
    days = event_days.join(other_days, on=day, how="full", coalesce=True, suffix="_other")
    both = ["qualifying_count", *(column for column in OWN if column != "search_count")]
    days = days.with_columns(
        pl.max_horizontal("active_days", "active_days_other").alias("active_days"),
        pl.min_horizontal("first_active_at", "first_active_at_other").alias("first_active_at"),
        *((col(column).fill_null(0) + col(f"{column}_other").fill_null(0)).alias(column) for column in both),
    ).drop("active_days_other", "first_active_at_other", *(f"{column}_other" for column in both))
    for more in (
        order_days,
        item_days,
        top_days,
        firsts(bought, "merchant_id", "new_store_count"),
        firsts(activities.filter(act == "touch_sent"), "campaign_id", "new_campaign_count"),
        session_days,
    ):
        days = days.join(more, on=day, how="left")
    kept = [*day, "first_active_at", "largest_order_amount", "gap_days", "top_category_rank"]
    write(
        days.with_columns(pl.all().exclude(kept).fill_null(0), (col("activity_on") - date(1970, 1, 1)).dt.total_days().alias("day_number")),
        "user_days",
    )
    yield "user_days"

    days = pl.scan_parquet(outputs / "user_days.parquet")
    on = col("activity_on")
    features = days.group_by("user_id").agg(
        *(col(measure).sum() for measure in (*WINDOWS, "weekend_order_count", "evening_order_count", "category_spend_amount")),
        *(col(measure).sum().alias(column) for measure, column in RENAMED.items()),
        *(
            col(measure).filter(on > as_of - timedelta(days=length)).sum().alias(f"{measure}_{length}d")
            for measure, lengths in WINDOWS.items()
            for length in lengths
        ),
        count(col("order_count") > 0, "purchase_day_count"),
        on.filter(col("order_count") > 0).min().alias("first_order_on"),
        on.filter(col("order_count") > 0).max().alias("last_order_on"),
        on.filter(col("active_days") > 0).max().alias("active_on"),
        on.filter(col("touch_count") > 0).max().alias("touch_on"),
        # The greatest (day, gap) in one number, so that it needs no order.
        (col("day_number") * 100_000 + col("gap_days")).max().alias("last_gap"),
        col("largest_order_amount").max(),
        col("top_category_rank").max(),
    )
    sums = pl.all().exclude("user_id", "registered_on", "^.*_on$", "last_gap", "largest_order_amount", "top_category_rank")
    rank = col("top_category_rank")
    since = {
        "days_since_registered": "registered_on",
        "days_since_first_order": "first_order_on",
        "days_since_order": "last_order_on",
        "days_since_active": "active_on",
        "days_since_touch": "touch_on",
    }
    write(
        users.join(features, on="user_id", how="left")
        .with_columns(sums.fill_null(0), pl.lit(as_of).alias("night_on"))
        .with_columns(
            *((pl.lit(as_of) - col(column)).dt.total_days().alias(name) for name, column in since.items()),
            *(divided(col(part), col(whole)).alias(name) for name, (part, whole) in RATIOS.items()),
            *(
                divided(col(f"discount_amount{window}"), col(f"discount_amount{window}") + col(f"spend_amount{window}")).alias(name)
                for name, window in DISCOUNT_SHARES.items()
            ),
            divided((col("last_order_on") - col("first_order_on")).dt.total_days(), col("purchase_day_count") - 1).alias(
                "average_gap_days"
            ),
            (col("last_gap") % 100_000).alias("last_gap_days"),
            rank.str.slice(18).alias("top_category"),
            divided(rank.str.slice(0, 18).cast(pl.Int64) / 100, col("category_spend_amount")).alias("top_category_share"),
            divided(pl.min_horizontal("redemption_count", "touch_count"), col("touch_count")).alias("response_share"),
            divided(pl.min_horizontal("engaged_session_count_90d", "session_count_90d"), col("session_count_90d")).alias(
                "engaged_session_share_90d"
            ),
        ),
        "features",
    )
    yield "features"

    same_user = (col("user_id") == col("user_id").shift()).fill_null(False)
    numbered = (
        bought.select("order_id", "user_id", "ordered_at", col("activity_on").alias("on"))
        .sort("user_id", "ordered_at", "order_id")
        .with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("place"), same_user.alias("same_user"))
        .select(
            "order_id",
            (col("place") - pl.when(~col("same_user")).then("place").forward_fill() + 1).alias("purchase_number"),
            pl.when("same_user").then(col("on").diff().dt.total_days()).alias("days_since_previous_purchase"),
        )
    )
    contents = lines.group_by("order_id").agg(
        count(~col("is_return"), "item_count"), (-col("amount").filter(col("amount") < 0).sum()).alias("returned_amount")
    )
    refunds = activities.filter(act == "refund").group_by(col("object_id").alias("order_id")).agg(col("value").sum().alias("refund_amount"))
    made = orders.drop("weekday", "hour_of_day")
    for more in (contents, refunds, numbered):
        made = made.join(more, on="order_id", how="left")
    write(made.with_columns(col("item_count", "returned_amount", "refund_amount").fill_null(0)), "purchases")
    yield "purchases"


WRITERS: dict[str, Callable[[Path, Path, date], Iterator[str]]] = {
    "DuckDB by hand": by_hand,
    "pandas": in_pandas,
    "Polars streaming": in_polars,
}


def run(name: str, inputs: Path, outputs: Path, as_of: date) -> None:
    """Write every table, and `cpu.json`: the CPU seconds of each."""
    seconds, begun = {}, time.process_time()
    for table in WRITERS[name](inputs, outputs, as_of):
        ended = time.process_time()
        seconds[table], begun = round(ended - begun, 2), ended
    (outputs / "cpu.json").write_text(json.dumps(seconds), encoding="utf-8")


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), date.fromisoformat(sys.argv[4]))
