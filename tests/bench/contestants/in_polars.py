"""Polars, lazy, on its streaming engine; the order of events by session is the only full sort.

Add a column where its table is put together: a function per table, frames in, frame out. Must not collect a frame.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import polars as pl
from polars import col

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

KEYS = ("device_id", "user_id", "visit_id")
DAY = ["user_id", "activity_on"]


def tables(inputs: Path, outputs: Path, as_of: date) -> Iterator[str]:
    """Write the tables; a table's name when it is written."""
    events, orders, lines, activities, users = (pl.scan_parquet(inputs / f"{name}.parquet") for name in INPUTS)
    bought = orders.filter("is_purchase", col("user_id").is_not_null()).rename({"ordered_on": "activity_on"})
    _write(_sessions(events), outputs, "sessions")
    yield "sessions"
    sessions = pl.scan_parquet(outputs / "sessions.parquet")
    _write(_user_days(events, activities, bought, lines, sessions, as_of), outputs, "user_days")
    yield "user_days"
    _write(_features(users, pl.scan_parquet(outputs / "user_days.parquet"), as_of), outputs, "features")
    yield "features"
    _write(_purchases(orders, bought, lines, activities), outputs, "purchases")
    yield "purchases"


def _write(frame: pl.LazyFrame, outputs: Path, name: str) -> None:
    frame.sink_parquet(outputs / f"{name}.parquet", engine="streaming")


def _count(test: pl.Expr, name: str) -> pl.Expr:
    return test.sum().cast(pl.Int64).alias(name)


def _divided(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return part.cast(pl.Float64) / pl.when(whole != 0).then(whole.cast(pl.Float64))


def _sessions(events: pl.LazyFrame) -> pl.LazyFrame:
    part = pl.struct(KEYS)
    is_new = (part != part.shift()).fill_null(True) | (col("event_at").diff() >= timedelta(minutes=TIMEOUT_MINUTES)).fill_null(True)
    marked = (
        events.select("event_id", *KEYS, "event_at", "event_on", "event_name", "page", "campaign_id")
        .sort(*KEYS, "event_at", "event_id")
        .with_columns(is_new.alias("new"))
        .with_columns(col("new").cast(pl.Int64).cum_sum().alias("chain"), pl.when("new").then("event_on").forward_fill().alias("begun"))
        .with_columns((col("event_on") - col("begun")).dt.total_days().alias("gone"))
        .with_columns((col("gone") - 1).clip(lower_bound=0).alias("cut"))
    )
    name, beats, by_midnight = col("event_name"), col("heartbeat_count"), col("gone") != 1
    return (
        marked.group_by("chain", "cut")
        .agg(
            *(col(key).first() for key in KEYS),
            col("event_at").min().alias("started_at"),
            col("event_at").max().alias("ended_at"),
            col("event_on").min().alias("started_on"),
            _count(name != "heartbeat", "event_count"),
            _count(name.is_in(VIEWS), "view_count"),
            _count(name == "heartbeat", "heartbeat_count"),
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


def _user_days(
    events: pl.LazyFrame, activities: pl.LazyFrame, bought: pl.LazyFrame, lines: pl.LazyFrame, sessions: pl.LazyFrame, as_of: date
) -> pl.LazyFrame:
    name, act, own = col("event_name"), col("activity"), col("is_own")
    known = events.filter(col("user_id").is_not_null(), name != "heartbeat", col("event_on") <= as_of)
    event_days = known.group_by("user_id", col("event_on").alias("activity_on")).agg(
        pl.lit(1, pl.Int64).first().alias("active_days"),
        col("event_at").min().alias("first_active_at"),
        pl.len().cast(pl.Int64).alias("qualifying_count"),
        pl.len().cast(pl.Int64).alias("event_count"),
        *(_count(name.is_in(names), column) for column, names in OWN.items()),
    )
    other_days = (
        activities.filter(col("user_id").is_not_null(), col("activity_on") <= as_of)
        .group_by(DAY)
        .agg(
            own.any().cast(pl.Int64).alias("active_days"),
            col("activity_at").filter(own).min().alias("first_active_at"),
            _count(own, "qualifying_count"),
            *(_count(own & act.is_in(names), column) for column, names in OWN.items() if column != "search_count"),
            *(_count(act == activity, column) for column, activity in OTHER.items()),
            *(_count(col("source_table") == table, column) for column, table in SOURCES.items()),
            col("value").filter(act == "refund").sum().alias("refund_amount"),
        )
    )
    order_days = (
        bought.group_by(DAY)
        .agg(
            pl.len().cast(pl.Int64).alias("order_count"),
            col("amount").sum().alias("spend_amount"),
            col("discount_amount").sum(),
            col("amount").max().alias("largest_order_amount"),
            _count(col("weekday") >= 6, "weekend_order_count"),
            _count(col("hour_of_day") >= 18, "evening_order_count"),
        )
        .sort(DAY)
        .with_columns(pl.when(col("user_id") == col("user_id").shift()).then(col("activity_on").diff().dt.total_days()).alias("gap_days"))
    )
    order_lines = lines.join(bought.select("order_id", *DAY), on="order_id")
    item_days = order_lines.filter(~col("is_return")).group_by(DAY).agg(pl.len().cast(pl.Int64).alias("item_count"))
    top_days = (
        order_lines.filter(col("category").is_not_null(), col("amount") > 0)
        .group_by(*DAY, "category")
        .agg(col("amount").sum())
        .sort("user_id", "category", "activity_on")
        .with_columns(col("amount").cum_sum().over("user_id", "category").alias("so_far"))
        .with_columns(
            (col("so_far") == col("amount")).alias("is_new"),
            ((col("so_far") * 100).cast(pl.Int64).cast(pl.String).str.zfill(18) + col("category")).alias("rank"),
        )
        .group_by(DAY)
        .agg(
            col("amount").sum().alias("category_spend_amount"),
            _count(col("is_new"), "new_category_count"),
            col("rank").max().alias("top_category_rank"),
        )
    )

    of_users = sessions.filter(col("user_id").is_not_null())
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
    session_days = pl.concat(session_parts).group_by(DAY).agg(pl.all().sum())
    days = event_days.join(other_days, on=DAY, how="full", coalesce=True, suffix="_other")
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
        _firsts(bought, "merchant_id", "new_store_count"),
        _firsts(activities.filter(act == "touch_sent"), "campaign_id", "new_campaign_count"),
        session_days,
    ):
        days = days.join(more, on=DAY, how="left")
    kept = [*DAY, "first_active_at", "largest_order_amount", "gap_days", "top_category_rank"]
    return days.with_columns(
        pl.all().exclude(kept).fill_null(0), (col("activity_on") - date(1970, 1, 1)).dt.total_days().alias("day_number")
    )


def _firsts(frame: pl.LazyFrame, thing: str, column: str) -> pl.LazyFrame:
    """How many things a user met for the first time, by day."""
    first = frame.filter(col(thing).is_not_null()).group_by("user_id", thing).agg(col("activity_on").min())
    return first.group_by(DAY).agg(pl.len().cast(pl.Int64).alias(column))


def _features(users: pl.LazyFrame, days: pl.LazyFrame, as_of: date) -> pl.LazyFrame:
    on = col("activity_on")
    features = days.group_by("user_id").agg(
        *(col(measure).sum() for measure in (*WINDOWS, "weekend_order_count", "evening_order_count", "category_spend_amount")),
        *(col(measure).sum().alias(column) for measure, column in RENAMED.items()),
        *(
            col(measure).filter(on > as_of - timedelta(days=length)).sum().alias(f"{measure}_{length}d")
            for measure, lengths in WINDOWS.items()
            for length in lengths
        ),
        _count(col("order_count") > 0, "purchase_day_count"),
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
    # Read as text: Polars divides by a number by multiplying with its inverse, which ends on the other side of a half now and then.
    top_amount = pl.concat_str(rank.str.slice(0, 16), pl.lit("."), rank.str.slice(16, 2)).cast(pl.Float64)
    since = {
        "days_since_registered": "registered_on",
        "days_since_first_order": "first_order_on",
        "days_since_order": "last_order_on",
        "days_since_active": "active_on",
        "days_since_touch": "touch_on",
    }
    return (
        users.join(features, on="user_id", how="left")
        .with_columns(sums.fill_null(0), pl.lit(as_of).alias("night_on"))
        .with_columns(
            *((pl.lit(as_of) - col(column)).dt.total_days().alias(name) for name, column in since.items()),
            *(_divided(col(part), col(whole)).alias(name) for name, (part, whole) in RATIOS.items()),
            *(
                _divided(col(f"discount_amount{window}"), col(f"discount_amount{window}") + col(f"spend_amount{window}")).alias(name)
                for name, window in DISCOUNT_SHARES.items()
            ),
            _divided((col("last_order_on") - col("first_order_on")).dt.total_days(), col("purchase_day_count") - 1).alias(
                "average_gap_days"
            ),
            (col("last_gap") % 100_000).alias("last_gap_days"),
            rank.str.slice(18).alias("top_category"),
            _divided(top_amount, col("category_spend_amount")).alias("top_category_share"),
            _divided(pl.min_horizontal("redemption_count", "touch_count"), col("touch_count")).alias("response_share"),
            _divided(pl.min_horizontal("engaged_session_count_90d", "session_count_90d"), col("session_count_90d")).alias(
                "engaged_session_share_90d"
            ),
        )
    )


def _purchases(orders: pl.LazyFrame, bought: pl.LazyFrame, lines: pl.LazyFrame, activities: pl.LazyFrame) -> pl.LazyFrame:
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
        _count(~col("is_return"), "item_count"), (-col("amount").filter(col("amount") < 0).sum()).alias("returned_amount")
    )
    refunds = (
        activities.filter(col("activity") == "refund")
        .group_by(col("object_id").alias("order_id"))
        .agg(col("value").sum().alias("refund_amount"))
    )
    made = orders.drop("weekday", "hour_of_day")
    for more in (contents, refunds, numbered):
        made = made.join(more, on="order_id", how="left")
    return made.with_columns(col("item_count", "returned_amount", "refund_amount").fill_null(0))
