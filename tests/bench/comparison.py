"""Which tables are compared with other hands', from which rows they are made, and whether they are the same tables.

Add a table to its group with the models only it needs, its relation, and what of it is ours alone. Must not run or measure anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

import duckdb

from tests.bench.contestants import EVENTS, USERS
from tests.bench.contestants.definitions import INPUTS, USER_INPUTS
from userops_pipeline.ground.home import Home

# The compared tables by group and the models that only they need: our seconds are those of all of these.
MODELS = {
    "sessions": ("int_sessions",),
    "user_days": ("int_user_category_day", "int_user_day"),
    "features": ("int_user_features",),
    "purchases": ("user_orders",),
    "periods": ("int_user_period", "int_user_period_state", "int_user_first_active", "period_lifecycle"),
    "retention": ("retention_cohorts",),
    "rfm": ("int_user_rfm", "user_rfm_history", "user_rfm"),
    "cohort_value": ("cohort_value",),
    "tags": ("user_tags",),
    "tag_history": ("user_tag_history",),
}
OURS = {
    "sessions": "ours.intermediate.int_sessions",
    "user_days": "ours.intermediate.int_user_day",
    "features": "ours.intermediate.int_user_features",
    "purchases": "ours.marts.user_orders",
    "periods": "ours.marts.period_lifecycle",
    "retention": "ours.marts.retention_cohorts",
    "rfm": "ours.marts.user_rfm",
    "cohort_value": "ours.marts.cohort_value",
    "tags": "ours.marts.user_tags",
    "tag_history": "ours.marts.user_tag_history",
}
GROUPS = {"events": EVENTS, "users": USERS}
# Columns nobody is asked for. What a user declared is read from the history of identities, known night by night; contestants are given users
# resolved, so they could only copy these. What rules of ours earn, learn or ask for (points, refunds taken off them, the next step, plans and what is paid for, the
# gaps learned from a category's purchases) is more work for ours alone. Any other column that ours gain is a difference until every contestant
# makes it. Of RFM the group before this one is left out: it needs a history, and these tables have one night.
OURS_ALONE = {
    "user_days": ("plan_order_count", "unpriced_order_count", "purchase_refund_amount"),
    "features": (
        "gender",
        "age",
        "age_band",
        "days_to_birthday",
        "income_band",
        "household",
        "region",
        "city_tier",
        "language",
        "channel",
        "plan",
        "point_count_90d",
        "point_count_365d",
        "point_count",
        "next_key_behaviour",
        "plan_order_count",
        "days_since_plan_order",
        "has_plan",
        "days_to_trial_end",
        "unpriced_order_count_90d",
        "unpriced_order_count",
        "is_paid_up",
        "days_paid_up",
        "days_to_paid_end",
        "paid_period_number",
        "monthly_plan_amount",
        "days_since_paid_end",
        "days_since_paid",
        "usual_gap_days",
        "late_gap_days",
        "long_gap_days",
        "overdue_gap_days",
    ),
    "rfm": ("previous_group", "changed_on"),
}


def models_of(group: str) -> list[str]:
    """The models of a group's tables."""
    return [model for table in GROUPS[group] for model in MODELS[table]]


def export_inputs(home: Home, inputs: Path, as_of: date) -> dict[str, int]:
    """What every contestant reads, as our models read it: whose rows these are is resolved. Gives the rows."""
    selects = {
        "events": "select event_id, device_id, user_id, visit_id, event_at, event_on, event_name, page, campaign_id from intermediate.int_event",
        "orders": "select * from intermediate.int_order",
        "lines": "select order_id, category, lines.amount, coalesce(is_return, false) as is_return "
        "from staging.stg_order_items as lines left join staging.stg_products using (product_id)",
        "activities": "select source_table, user_id, activity_at, activity_on, activity, is_own, object_id, campaign_id, value "
        "from intermediate.int_activity where source_table not in ('users', 'events', 'order_items')",
        "users": f"select user_id, registered_on from intermediate.int_user where registered_on <= date '{as_of}' "
        f"and known_from_on <= date '{as_of}' and (known_to_on is null or known_to_on > date '{as_of}')",
        "user_days": "select user_id, activity_on, qualifying_count, order_count, spend_amount, purchase_refund_amount "
        "from intermediate.int_user_day",
        "purchases": "select user_id, ordered_on, amount, discount_amount, refund_amount from marts.user_orders "
        "where is_purchase and user_id is not null",
        "versions": "select user_id, known_from_on, known_to_on, registered_on, birth_date, age_band, channel, region, city_tier, gender, "
        "language, plan from intermediate.int_user",
        "words": "select user_id, tag, is_carried, author, confidence, from_on, to_on from intermediate.int_manual_tag "
        "where to_on is null or to_on > from_on",
    }
    inputs.mkdir(exist_ok=True)
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        tags = {row[0] for row in con.execute("describe marts.user_tags").fetchall()} - {"user_id", "next_key_behaviour"}
        selects["states"] = f"select * exclude ({', '.join(sorted(tags))}) from intermediate.int_user_state where night_on = date '{as_of}'"
        con.execute("set preserve_insertion_order = false")
        for name in (*INPUTS, *USER_INPUTS):
            con.execute(f"copy ({selects[name]}) to '{inputs}/{name}.parquet'")
        return {name: con.execute(f"select count(*) from '{inputs}/{name}.parquet'").fetchall()[0][0] for name in (*INPUTS, *USER_INPUTS)}


def differences(home: Home, outputs: Path, tables: Iterable[str], without: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Tables that are not ours, with what is said of them: every column of ours but OURS_ALONE and those in `without` must be there, rows are
    counted and their contents hashed, as the types of ours."""
    found = {}
    with duckdb.connect() as con:
        con.execute(f"attach '{home.warehouse}' as ours (read_only)")
        for table in tables:
            theirs = f"'{outputs}/{table}.parquet'"
            left_out = {*OURS_ALONE.get(table, ()), *without.get(table, ())}
            kinds = {row[0]: row[1] for row in con.execute(f"describe {OURS[table]}").fetchall() if row[0] not in left_out}
            made = {row[0] for row in con.execute(f"describe from {theirs}").fetchall()}
            if missing := kinds.keys() - made:
                found[table] = f"theirs lacks {', '.join(sorted(missing))}"
                continue
            cast = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in kinds.items())
            digests = [
                con.execute(f"select count(*), sum(hash({', '.join(kinds)})) from (select {cast} from {relation})").fetchall()[0]
                for relation in (OURS[table], theirs)
            ]
            if digests[0] != digests[1]:
                found[table] = f"ours has {digests[0][0]:,} rows, theirs {digests[1][0]:,}, and their contents differ"
    return found
