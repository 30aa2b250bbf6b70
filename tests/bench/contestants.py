"""The same four tables by three other hands: straight-line DuckDB SQL (the limit), pandas, and Polars streaming.

`python -m tests.bench.contestants <name> <inputs> <outputs> <as_of>` reads `<inputs>/{events,orders}.parquet`, writes one Parquet file
per table of TABLES, and is measured from outside. Add a contestant as a function of WRITERS; a table here needs its select in `scale.OURS`.
Must not be quicker by being wrong: `scale` compares every table with ours, row by row, and refuses a difference.

The definitions are those of the models' YAML: a session ends after 30 minutes without an event, goes on over one midnight and ends at the
next; heartbeats are not counted; a window of n days ends with the night; purchases are numbered by time, then order.
"""

import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

TABLES = ("sessions", "user_days", "features", "purchases")
TIMEOUT_MINUTES = 30
WINDOWS = (7, 30, 90, 365)
MEASURES = {"order_count": WINDOWS, "spend_amount": WINDOWS, "event_count": (7, 30, 90)}


def by_hand(inputs: Path, outputs: Path, as_of: date) -> None:
    """DuckDB, one statement per table, nothing incremental, nothing tested: what the engine can do at best."""
    import duckdb

    windows = ", ".join(
        f"sum(case when activity_on > date '{as_of}' - {days} then {measure} else 0 end) as {measure}_{days}d"
        for measure, lengths in MEASURES.items()
        for days in lengths
    )
    lifetime = ", ".join(f"sum({measure}) as {measure}" for measure in MEASURES)
    with duckdb.connect() as con:
        con.execute("set preserve_insertion_order = false; set memory_limit = '8GB'")
        con.execute(f"set temp_directory = '{outputs}/spill'")
        for table in ("events", "orders"):
            con.execute(f"create view {table} as from '{inputs}/{table}.parquet'")
        con.execute(
            f"""copy (
            with gaps as (
                select device_id, user_id, event_at, event_on, event_name,
                    coalesce(event_at - lag(event_at) over w >= interval {TIMEOUT_MINUTES} minute, true) as is_break
                from events window w as (partition by device_id, user_id order by event_at)
            ), chains as (
                select device_id, user_id, event_at, event_on, event_name,
                    sum(is_break::int) over w as chain, max(case when is_break then event_on end) over w as chain_from_on
                from gaps window w as (partition by device_id, user_id order by event_at rows unbounded preceding)
            )
            select device_id, user_id, min(event_at) as started_at, max(event_at) as ended_at,
                count(*) filter (where event_name <> 'heartbeat')::bigint as event_count
            from chains group by device_id, user_id, chain, greatest(event_on - chain_from_on - 1, 0)
            ) to '{outputs}/sessions.parquet'"""
        )
        con.execute(
            f"""create table days as
            with stream as (
                select user_id, event_on as activity_on, 1 as event_count, 0 as order_count, 0::decimal(18, 2) as spend_amount
                from events where user_id is not null and event_name <> 'heartbeat' and event_on <= date '{as_of}'
                union all
                select user_id, ordered_on, 0, 1, amount from orders where ordered_on <= date '{as_of}'
            )
            select user_id, activity_on, sum(event_count)::bigint as event_count, sum(order_count)::bigint as order_count,
                sum(spend_amount)::decimal(18, 2) as spend_amount
            from stream group by user_id, activity_on"""
        )
        con.execute(f"copy days to '{outputs}/user_days.parquet'")
        con.execute(
            f"""copy (
            select user_id, {lifetime}, {windows}, max(case when order_count > 0 then activity_on end) as last_order_on
            from days group by user_id
            ) to '{outputs}/features.parquet'"""
        )
        con.execute(
            f"""copy (
            select order_id, row_number() over w as purchase_number, ordered_on - lag(ordered_on) over w as days_since_previous_purchase
            from orders window w as (partition by user_id order by ordered_at, order_id)
            ) to '{outputs}/purchases.parquet'"""
        )


def in_pandas(inputs: Path, outputs: Path, as_of: date) -> None:
    """pandas on Arrow files: everything in memory, money in whole cents."""
    import numpy as np
    import pandas as pd

    night = pd.Timestamp(as_of)
    columns = ["device_id", "user_id", "event_at", "event_on", "event_name"]
    events = pd.read_parquet(inputs / "events.parquet", columns=columns)
    events["event_on"] = pd.to_datetime(events["event_on"])
    orders = pd.read_parquet(inputs / "orders.parquet")
    orders["ordered_on"] = pd.to_datetime(orders["ordered_on"])
    orders["cents"] = (orders["amount"].astype(float) * 100).round().astype("int64")

    seen = events.loc[events["event_name"] != "heartbeat", ["user_id", "event_on"]].dropna().query("event_on <= @night")
    seen = seen.groupby(["user_id", "event_on"]).size().rename("event_count")
    bought = orders.query("ordered_on <= @night").groupby(["user_id", "ordered_on"])["cents"].agg(["size", "sum"])
    bought = bought.rename(columns={"size": "order_count", "sum": "cents"}).rename_axis(["user_id", "event_on"])
    days = pd.concat([seen, bought], axis=1).fillna(0).astype("int64").rename_axis(["user_id", "activity_on"]).reset_index()
    days.rename(columns={"cents": "spend_amount"}).to_parquet(outputs / "user_days.parquet", index=False)

    days = days.rename(columns={"cents": "spend_amount"})
    features = days.groupby("user_id")[list(MEASURES)].sum()
    for measure, lengths in MEASURES.items():
        for length in lengths:
            recent = days[days["activity_on"] > night - timedelta(days=length)].groupby("user_id")[measure].sum()
            features[f"{measure}_{length}d"] = recent.reindex(features.index, fill_value=0)
    features["last_order_on"] = days[days["order_count"] > 0].groupby("user_id")["activity_on"].max()
    features.reset_index().to_parquet(outputs / "features.parquet", index=False)
    del days, features

    orders = orders.sort_values(["user_id", "ordered_at", "order_id"])
    orders["purchase_number"] = orders.groupby("user_id").cumcount() + 1
    orders["days_since_previous_purchase"] = orders.groupby("user_id")["ordered_on"].diff().dt.days.astype("Int64")
    orders[["order_id", "purchase_number", "days_since_previous_purchase"]].to_parquet(outputs / "purchases.parquet", index=False)
    del orders

    keys = ["device_id", "user_id"]
    events = events.sort_values([*keys, "event_at"], ignore_index=True)
    events["part"] = events.groupby(keys, dropna=False, sort=False).ngroup()
    new = events["part"].ne(events["part"].shift()) | (events["event_at"].diff() >= pd.Timedelta(minutes=TIMEOUT_MINUTES))
    events["chain"] = new.cumsum()
    begun = events["event_on"].where(new).ffill()
    events["cut"] = np.maximum((events["event_on"] - begun).dt.days - 1, 0)
    events["counted"] = (events["event_name"] != "heartbeat").astype("int64")
    sessions = events.groupby(["chain", "cut"], sort=False).agg(
        device_id=("device_id", "first"),
        user_id=("user_id", "first"),
        started_at=("event_at", "min"),
        ended_at=("event_at", "max"),
        event_count=("counted", "sum"),
    )
    sessions.to_parquet(outputs / "sessions.parquet", index=False)


def in_polars(inputs: Path, outputs: Path, as_of: date) -> None:
    """Polars, lazy, on its streaming engine; the sessions' order by key is the only full sort."""
    import polars as pl

    def write(frame: pl.LazyFrame, name: str) -> None:
        frame.sink_parquet(outputs / f"{name}.parquet", engine="streaming")

    events = pl.scan_parquet(inputs / "events.parquet")
    orders = pl.scan_parquet(inputs / "orders.parquet")
    keys = ["device_id", "user_id"]
    part = pl.struct(keys)
    ordered = events.select(*keys, "event_at", "event_on", "event_name").sort(*keys, "event_at")
    marked = ordered.with_columns(
        ((part != part.shift()).fill_null(True) | (pl.col("event_at").diff() >= timedelta(minutes=TIMEOUT_MINUTES)).fill_null(True)).alias(
            "new"
        )
    ).with_columns(pl.col("new").cast(pl.Int64).cum_sum().alias("chain"), pl.when("new").then("event_on").forward_fill().alias("begun"))
    write(
        marked.with_columns(((pl.col("event_on") - pl.col("begun")).dt.total_days() - 1).clip(lower_bound=0).alias("cut"))
        .group_by("chain", "cut")
        .agg(
            pl.col("device_id").first(),
            pl.col("user_id").first(),
            pl.col("event_at").min().alias("started_at"),
            pl.col("event_at").max().alias("ended_at"),
            (pl.col("event_name") != "heartbeat").sum().cast(pl.Int64).alias("event_count"),
        )
        .drop("chain", "cut"),
        "sessions",
    )
    seen = (
        events.filter(pl.col("user_id").is_not_null(), pl.col("event_name") != "heartbeat", pl.col("event_on") <= as_of)
        .group_by("user_id", pl.col("event_on").alias("activity_on"))
        .agg(pl.len().cast(pl.Int64).alias("event_count"))
    )
    bought = (
        orders.filter(pl.col("ordered_on") <= as_of)
        .group_by("user_id", pl.col("ordered_on").alias("activity_on"))
        .agg(pl.len().cast(pl.Int64).alias("order_count"), pl.col("amount").sum().alias("spend_amount"))
    )
    write(
        seen.join(bought, on=["user_id", "activity_on"], how="full", coalesce=True).with_columns(
            pl.col("event_count", "order_count").fill_null(0), pl.col("spend_amount").fill_null(0)
        ),
        "user_days",
    )
    days = pl.scan_parquet(outputs / "user_days.parquet")
    sums = [pl.col(measure).sum() for measure in MEASURES] + [
        pl.col(measure).filter(pl.col("activity_on") > as_of - timedelta(days=length)).sum().alias(f"{measure}_{length}d")
        for measure, lengths in MEASURES.items()
        for length in lengths
    ]
    last = pl.col("activity_on").filter(pl.col("order_count") > 0).max().alias("last_order_on")
    write(days.group_by("user_id").agg(*sums, last), "features")
    same_user = (pl.col("user_id") == pl.col("user_id").shift()).fill_null(False)
    place = pl.int_range(pl.len(), dtype=pl.Int64)
    write(
        orders.select("order_id", "user_id", "ordered_at", "ordered_on")
        .sort("user_id", "ordered_at", "order_id")
        .with_columns(place.alias("place"), same_user.alias("same_user"))
        .with_columns(
            (pl.col("place") - pl.when(~pl.col("same_user")).then("place").forward_fill() + 1).alias("purchase_number"),
            pl.when("same_user").then(pl.col("ordered_on").diff().dt.total_days()).alias("days_since_previous_purchase"),
        )
        .select("order_id", "purchase_number", "days_since_previous_purchase"),
        "purchases",
    )


WRITERS: dict[str, Callable[[Path, Path, date], None]] = {"DuckDB by hand": by_hand, "pandas": in_pandas, "Polars streaming": in_polars}

if __name__ == "__main__":
    WRITERS[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]), date.fromisoformat(sys.argv[4]))
