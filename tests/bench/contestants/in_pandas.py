"""pandas on Arrow files: everything in memory, money added up in whole cents.

Add a column where its table is put together. Must not keep a frame of events longer than it is needed: all tables are made in one function,
which lets go of each frame as soon as nothing needs it, for the peak of memory is compared too.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.contestants.definitions import (
    DISCOUNT_SHARES,
    HEARTBEAT_SECONDS,
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
    night, epoch = pd.Timestamp(as_of), pd.Timestamp(0)
    keys = ["device_id", "user_id", "visit_id"]
    events = _read(inputs, "events", "event_id", *keys, "event_at", "event_on", "event_name", "page", "campaign_id")
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
    _write(sessions, outputs, "sessions")
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

    every = _read(inputs, "activities")
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

    orders = _read(inputs, "orders")
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
    lines = _read(inputs, "lines")
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
    _write(days.copy(), outputs, "user_days")
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
    users = _read(inputs, "users").set_index("user_id")
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

    for name, (part, whole) in RATIOS.items():
        features[name] = _ratio(features[part], features[whole])
    for name, window in DISCOUNT_SHARES.items():
        discount = cents[f"discount_amount{window}"]
        features[name] = _ratio(discount / 100, (discount + cents[f"spend_amount{window}"]) / 100)
    features["top_category"] = rank.str[18:]
    features["top_category_share"] = _ratio(rank.str[:18].astype("int64") / 100, features["category_spend_amount"])
    features["response_share"] = _ratio(np.minimum(features["redemption_count"], features["touch_count"]), features["touch_count"])
    begun = features["session_count_90d"]
    features["engaged_session_share_90d"] = _ratio(np.minimum(features["engaged_session_count_90d"], begun), begun)
    lasted = (features["last_order_on"] - features["first_order_on"]).dt.days
    features["average_gap_days"] = _ratio(lasted, features["purchase_day_count"] - 1)
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
    _write(orders.reset_index(), outputs, "purchases")
    yield "purchases"


def _read(inputs: Path, name: str, *columns: str) -> pd.DataFrame:
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


def _write(frame: pd.DataFrame, outputs: Path, name: str) -> None:
    for column in frame:
        if "_amount" in column or column == "amount":
            frame[column] = frame[column] / 100
    frame.to_parquet(outputs / f"{name}.parquet", index=False)


def _ratio(part: pd.Series, whole: pd.Series) -> pd.Series:
    return part.astype("float64") / whole.where(whole != 0)
