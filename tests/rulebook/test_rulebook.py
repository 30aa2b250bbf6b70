"""Promises of the rulebook: every refusal beside the good rule it differs from, and answers that match the tables.

Add a case to REFUSED when a new check is written: one change to a clean rulebook and words its sentence must hold.
Must not need dbt.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt_common.clients._jinja_blocks import BlockTag
from dbt_common.clients.jinja import extract_toplevel_blocks, get_template
from dbt_common.exceptions.macros import MacroReturn

from tests.changed_project import GROCER
from userops_pipeline import rulebook
from userops_pipeline.rulebook.condition import Typist, contradiction, guard
from userops_pipeline.rulebook.current import described
from userops_pipeline.rulebook.declarations import Declarations
from userops_pipeline.rulebook.grammar import CONDITION_KEYS, PROSE_KEYS
from userops_pipeline.rulebook.project import GENERATED, generated, given
from userops_pipeline.rulebook.render import as_lines
from userops_pipeline.rulebook.rule_files import check_files, with_lines
from userops_pipeline.rulebook.wording import said

TOOLS = {"csv_file", "webhook"}
TYPES = {
    "days_since_order": "bigint",
    "user_id": "varchar",
    "as_of": "date",
    "order_count": "bigint",
    "order_count_30d": "bigint",
    "spend_amount": "decimal(18,2)",
    "point_count": "bigint",
    "discount_share": "double",
    "last_order_on": "date",
    "city_tier": "varchar",
    "is_member": "boolean",
    "gender": "varchar",
}
FEATURES = {**TYPES, "gender": {"data_type": "varchar", "config": {"meta": {"sensitive": True}}}}
KPI = {
    "name": "orders",
    "label": "L",
    "sql": "avg(case when order_count_30d > 0 then 1.0 else 0.0 end)",
    "target": 0.5,
    "direction": "up",
}

COMMUNITY = {
    "user_id": "varchar",
    "audience_count": "bigint",
    "contribution_share": "decimal(18,12)",
    "is_core_user": "boolean",
    "kol_score": "bigint",
    "kol_tier": "varchar",
}
CONTRIBUTION = {
    "window_days": 90,
    "least_users": 20,
    "weights": {"spend": 0.5, "influence": 0.5},
    "content_points": {"post": 5, "comment": 1},
    "referral_points": {"paid": 1},
    "core": {"share_of_contribution": 0.5},
    "follow_days": 7,
    "service": {"ticket_cost_amount": 10, "cap_share": 0.2},
}
REFERRALS = {"activation_days": 14, "burst_invitees": 10}
TIERS = [
    {"name": "established", "label": "L", "when": "kol_score >= 100 and audience_count >= 20"},
    {"name": "rising", "label": "L", "when": "kol_score >= 40"},
]
EXPERTS = {"window_days": 365, "channel": "in_app", "purpose": "service", "weights": {"answer": 5}, "least_score": 8, "least_audience": 0}


CHURN = {
    "after_days": {"active": 90, "purchase": 180},
    "risk": {"by": "personal_gap", "activity": "purchase", "min_gaps": 4, "least_days": 7, "late_ratio": 1, "overdue_ratio": 2},
}


def stage(name: str, when: str | bool, segment: str) -> dict[str, Any]:
    words = {key: f"{key} of {name}" for key in ("state", "goal", "touchpoint", "action", "content")}
    return {"name": name, "label": name, "when": when, "kpi": KPI, "segment": segment, **words}


def exposure(name: str, segment: str, **changes: Any) -> dict[str, Any]:
    meta = {"tool": "csv_file", "segment": segment, "mode": "mirror", "match_key": "user_id", "channel": "postal", "purpose": "marketing"}
    return {
        "name": name,
        "label": name,
        "original_file_path": "rules/lists.yml",
        "config": {"meta": {**meta, "fields": {"stage": "stage", "to": "contact_point"}, **changes}},
    }


def model(name: str, columns: dict[str, Any], meta: dict[str, Any] | None = None) -> dict[str, Any]:
    described = {key: {"name": key, **(value if isinstance(value, dict) else {"data_type": value})} for key, value in columns.items()}
    return {
        "resource_type": "model",
        "name": name,
        "patch_path": f"userops://models/{name}.yml",
        "columns": described,
        "config": {"meta": meta or {}},
    }


def flag(**meta: Any) -> dict[str, Any]:
    return {"data_type": "boolean", "config": {"meta": {"label": "L", "owner": "crm", **meta}}}


def retention(name: str, **keys: Any) -> dict[str, Any]:
    told = {
        "name": name,
        "label": "L",
        "start": "purchase",
        "returns": "purchase",
        "grain": "month",
        "kind": "on_period",
        "entry": "first_time",
    }
    return {**told, "periods": 12, "dimensions": ["channel"], **keys}


VALUE = {
    "label": "L",
    "owner": "crm",
    "model": "mbg_nbd",
    "origin": "first_purchase",
    "purchase": "day",
    "horizon_days": 365,
    "discount_rate": 0.1,
    "min_buyers": 500,
    "min_repeat_buyers": 100,
    "min_history_days": 180,
    "max_days_since_order": 30,
    "min_orders_of_some": 3,
    "max_spend_correlation": 0.3,
    "bands": [{"name": "low", "label": "L", "alive_from": 0.5}, {"name": "lost", "label": "L", "alive_from": 0}],
}
BAND = {"horizon_days": 365, "confidence": 0.95, "quantile": 1.96}
BOUNDS = {"r": [180, 90, 30, 14], "f": [2, 3, 5, 10], "m": [100, 300, 1000, 3000]}


def metric(name: str, kind: str, filtered: str | None = None, **meta: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "original_file_path": "models/metrics.yml",
        "type_params": {"measure": {"name": f"{name}_count"}, "numerator": None, "denominator": None},
        "filter": {"where_filters": [{"where_sql_template": filtered}]} if filtered else None,
        "config": {"meta": {"label": "L", **meta}},
    }


def manifest() -> dict[str, Any]:
    """A clean little project: three stages, two tags, four segments, two funnels, two retentions, a survival, two metrics, a goal, two lists."""
    activity = {"user_id": "varchar", "activity": "varchar", "activity_on": "date", "object_id": "varchar", "campaign_id": "varchar"}
    ladder = [
        {"name": "first_order", "label": "1", "when": "activity = 'order'"},
        {"name": "second_order", "label": "2", "when": "activity = 'order'", "within_days": 30},
    ]
    response = [
        {"name": "targeted", "label": "1", "when": "activity = 'touch'"},
        {"name": "redeemed", "label": "2", "when": "activity = 'redemption'", "within_days": 90, "same_object": True},
    ]
    tags = {
        "user_id": {"data_type": "varchar", "config": {"meta": {"label": "L"}}},
        "price_sensitive": flag(family="value", when="discount_share >= 0.5 and order_count >= 2"),
        "big_city": flag(family="people", when="city_tier in ('1', '2')"),
    }
    segments = {
        "user_id": "varchar",
        "newcomers": flag(include=["stage = 'interest'"]),
        "buyers": flag(include=["order_count > 0", "not coalesce(is_member, false)"], exclude=["price_sensitive"]),
        "win_back": flag(include=["stage = 'lapsed'"], exclude=[{"segment": "buyers"}, "big_city"]),
    }
    funnels = [
        {"name": "purchase_ladder", "label": "L", "unit": "user", "steps": ladder},
        {"name": "campaign_response", "label": "L", "unit": "user_object", "object": "campaign_id", "steps": response},
    ]
    survival = {"name": "active_life", "label": "L", "entry": "registered", "activity": "active"}
    like = {"least_users": 30, "least_expected": 5, "false_discovery_rate": 0.05}
    precursors = {
        "activity": "active",
        "look_back_days": 30,
        "tenure_bounds": [30, 90],
        "value_days": 90,
        "value_groups": 4,
        "active_bounds": [2, 4],
        "behaviours": [{"name": "paused", "label": "L", "when": "active_days * 2 <= active_days_before"}],
        **like,
    }
    key_behaviours = {
        "cohort_days": 180,
        "counts": [1, 2],
        "within_days": [1, 7],
        "behaviours": [{"name": "purchase", "label": "L", "measure": "order_count"}],
        "outcomes": [{"name": "retained", "label": "L", "activity": "active", "from_day": 7, "to_day": 30}],
        "adjust_for": [{"measure": "active_days", "bounds": [2, 4]}],
        "chosen": [{"name": "second_order", "label": "L", "behaviour": "purchase", "count": 2, "within_days": 7}],
        **like,
    }
    goal = {
        "name": "loyalty",
        "label": "L",
        "owner": "crm",
        "metrics": [{"metric": "buyers_who_return", "period": "month", "target": 0.5, "direction": "up", "at_least": 10}],
    }
    filtered = (
        "{{ Dimension('c__dimension') }} = 'total' and {{ Dimension('c__retention') }} = 'repurchase' and {{ Dimension('c__n') }} = 1"
    )
    metrics = [
        metric("revenue", "simple", family="revenue", adds="count", needs="orders"),
        metric("buyers_who_return", "ratio", filtered, family="retention", adds="rate", needs="orders", retention="repurchase", period=1),
        {"name": "helper", "type": "simple", "original_file_path": "models/metrics.yml", "config": {"meta": {}}},
    ]
    groups = [
        {"name": "champions", "label": "L", "when": "r >= 4 and fm >= 4"},
        {"name": "others", "label": "L", "when": True},
    ]
    tiers = [
        {"name": "key", "label": "L", "when": "order_count >= 2", "stays_when": "order_count >= 1", "care": "C", "care_zh": "C"},
        {"name": "rest", "label": "L", "when": True, "care": "C", "care_zh": "C"},
    ]
    points = [{"name": "purchase", "label": "L", "points": "floor(spend_amount)"}]
    levels = [
        {"name": "gold", "label": "L", "reach": 10, "keep": 8, "valid_months": 12, "grace_days": 30},
        {"name": "silver", "label": "L", "reach": 5, "valid_days": 90},
        {"name": "everybody", "label": "L", "reach": 0},
    ]
    benefits = [
        {"name": "gift", "label": "L", "levels": ["gold"], "when": "kind = 'gift'"},
        {"name": "coupon", "label": "L", "levels": ["gold", "silver"], "when": "kind = 'coupon'"},
    ]
    lengths = {f"{measure}_90d": "bigint" for measure in ("spend_amount", "refund_amount", "ticket_count")}
    models = [
        model("int_user_features", {**FEATURES, **lengths}),
        model("int_user_community", COMMUNITY),
        model("int_activity", activity),
        model("int_benefit", {"user_id": "varchar", "kind": "varchar", "campaign_type": "varchar", "benefit": "varchar"}),
        model("user_profile", {**FEATURES, "stage": "varchar"}),
        model(
            "user_lifecycle",
            {"user_id": "varchar", "stage": "varchar", "since_on": "date"},
            {
                "stages": [
                    stage("loyal", "order_count >= 2 and order_count_30d > 0", "buyers"),
                    stage("interest", "order_count = 0", "newcomers"),
                    stage("lapsed", True, "win_back"),
                ]
            },
        ),
        model(
            "user_plan_state",
            {"user_id": "varchar", "plan_state": "varchar"},
            {
                "stages": [
                    {"name": "paid", "label": "L", "when": "order_count >= 2", "stays_when": "order_count >= 1", "goal": "G"},
                    {"name": "free", "label": "L", "when": True, "goal": "G"},
                ],
                "paid": {
                    "grace_days": 7,
                    "periods": [
                        {"name": "yearly", "label": "L", "unit": "year", "count": 1, "words": ["annual"]},
                        {"name": "monthly", "label": "L", "unit": "month", "count": 1, "words": ["monthly"]},
                    ],
                },
            },
        ),
        model("user_tags", tags, {"families": [{"name": "value", "label": "V"}, {"name": "people", "label": "P"}]}),
        model("user_segments", segments),
        model("user_rfm", {"user_id": "varchar"}, {"groups": groups, "mode": "quantiles", "window_days": 730, "thresholds": BOUNDS}),
        model("user_tier", {"user_id": "varchar"}, {"stages": tiers}),
        model("user_membership", {"user_id": "varchar"}, {"measure": "order_count_30d", "points": points, "levels": levels}),
        model("membership_benefits", {"level": "varchar"}, {"benefits": benefits, "window_days": 365}),
        model("funnel_conversion", {"funnel": "varchar"}, {"funnels": funnels}),
        model(
            "user_structure_daily",
            {"value": "varchar"},
            {"dimensions": [{"name": "channel", "label": "C"}, {"name": "stage", "label": "S"}], "age_bounds": [18]},
        ),
        model(
            "period_lifecycle",
            {"grain": "varchar"},
            {"periods": {"new_by": "first_activity"}},
        ),
        model(
            "retention_cohorts",
            {"retention": "varchar"},
            {"retentions": [retention("repurchase"), retention("early", kind="brackets", brackets=[1, 4])]},
        ),
        model("user_survival", {"survival": "varchar"}, {"survivals": [survival], "dimensions": ["cohort"], "band": BAND}),
        model(
            "int_value_history",
            {"version_on": "date"},
            {"holdout_months": 3, "exact_customers": 100000, "time_steps": 128, "window": "version_on", "window_start": "facts_from"},
        ),
        model("user_contribution", {"user_id": "varchar"}, {"contribution": CONTRIBUTION, "referrals": REFERRALS}),
        model("kol", {"user_id": "varchar"}, {"label": "L", "weights": {"post": 2, "audience": 1}, "tiers": TIERS}),
        model("expert_directory", {"user_id": "varchar"}, {"experts": EXPERTS}),
        model(
            "int_user_day",
            {"user_id": "varchar", "active_days": "bigint", "order_count": "bigint", "spend_amount": "decimal(18,2)", "gap_days": "bigint"},
        ),
        model("user_churn_risk", {"user_id": "varchar"}, {"churn": CHURN}),
        model("churn_precursors", {"behaviour": "varchar"}, {"precursors": precursors}),
        model("key_behaviours", {"behaviour": "varchar"}, {"key_behaviours": key_behaviours}),
        model("goal_scorecard", {"goal": "varchar"}, {"goals": [goal]}),
    ]
    value = {"name": "user_value", "original_file_path": "models/marts/value/_scored.yml", "config": {"meta": copy.deepcopy(VALUE)}}
    exposures = [exposure("welcome", "newcomers"), exposure("thank_you", "buyers", tool="webhook"), exposure("come_back", "win_back")]
    return {
        "nodes": {f"model.userops.{each['name']}": each for each in models},
        "exposures": {f"exposure.userops.{each['name']}": each for each in exposures},
        "sources": {"source.userops.scored.user_value": value},
        "metrics": {f"metric.userops.{each['name']}": each for each in metrics},
    }


def meta_of(document: dict[str, Any], name: str) -> dict[str, Any]:
    return document["nodes"][f"model.userops.{name}"]["config"]["meta"]


def column_meta(document: dict[str, Any], name: str, column: str) -> dict[str, Any]:
    return document["nodes"][f"model.userops.{name}"]["columns"][column]["config"]["meta"]


def list_meta(document: dict[str, Any], name: str) -> dict[str, Any]:
    return document["exposures"][f"exposure.userops.{name}"]["config"]["meta"]


Change = Callable[[dict[str, Any]], Any]


def tag_when(sql: Any) -> Change:
    return lambda document: column_meta(document, "user_tags", "price_sensitive").update(when=sql)


def tag_memory(sql: Any) -> Change:
    return lambda document: column_meta(document, "user_tags", "price_sensitive").update(stays_when=sql)


def memory(sql: Any) -> Change:
    return stage_change(0, stays_when=sql)


def stage_change(number: int, **changes: Any) -> Change:
    return lambda document: meta_of(document, "user_lifecycle")["stages"][number].update(changes)


def kpi_sql(sql: str) -> Change:
    return stage_change(0, kpi={**KPI, "sql": sql})


def plan_change(number: int, **changes: Any) -> Change:
    return lambda document: meta_of(document, "user_plan_state")["stages"][number].update(changes)


def paid_change(**changes: Any) -> Change:
    return lambda document: meta_of(document, "user_plan_state")["paid"].update(changes)


def paid_period_change(number: int, **changes: Any) -> Change:
    return lambda document: meta_of(document, "user_plan_state")["paid"]["periods"][number].update(changes)


def segment_change(name: str, **changes: Any) -> Change:
    return lambda document: column_meta(document, "user_segments", name).update(changes)


def list_change(**changes: Any) -> Change:
    return lambda document: list_meta(document, "welcome").update(changes)


FOREIGN_ADDRESSES: list[dict[str, Any]] = [
    {"channel": "postal", "match_key": "email", "fields": {}},
    {"channel": "postal", "match_key": "user_id", "fields": {"mail": "email"}},
    {"channel": "postal", "match_key": "contact_point", "fields": {"call": "phone"}},
    {"channel": "email", "match_key": "email", "fields": {"call": "phone"}},
    {"channel": "email", "match_key": "phone", "fields": {}},
    {"channel": "sms", "match_key": "phone", "fields": {"mail": "email"}},
    {"channel": "wechat", "match_key": "user_id", "fields": {"call": "phone"}},
]


def funnel_step(funnel: int, number: int, **changes: Any) -> Change:
    return lambda document: meta_of(document, "funnel_conversion")["funnels"][funnel]["steps"][number].update(changes)


def retention_change(**changes: Any) -> Change:
    return lambda document: meta_of(document, "retention_cohorts")["retentions"][0].update(changes)


def survival_change(**changes: Any) -> Change:
    return lambda document: meta_of(document, "user_survival")["survivals"][0].update(changes)


def value_meta(document: dict[str, Any]) -> dict[str, Any]:
    return document["sources"]["source.userops.scored.user_value"]["config"]["meta"]


def value_change(**changes: Any) -> Change:
    return lambda document: value_meta(document).update(changes)


def band_change(number: int, **changes: Any) -> Change:
    return lambda document: value_meta(document)["bands"][number].update(changes)


def history_change(**changes: Any) -> Change:
    return lambda document: meta_of(document, "int_value_history").update(changes)


def churn_change(**changes: Any) -> Change:
    return lambda document: meta_of(document, "user_churn_risk").update(churn={**CHURN, **changes})


def risk_change(**changes: Any) -> Change:
    return churn_change(risk={**CHURN["risk"], **changes})


def compared(model: str, key: str, **changes: Any) -> Change:
    return lambda document: meta_of(document, model)[key].update(changes)


def precursors(**changes: Any) -> Change:
    return compared("churn_precursors", "precursors", **changes)


def key_behaviours(**changes: Any) -> Change:
    return compared("key_behaviours", "key_behaviours", **changes)


def first_of(model: str, key: str, inner: str, **changes: Any) -> Change:
    return lambda document: meta_of(document, model)[key][inner][0].update(changes)


def key_behaviour(inner: str, **changes: Any) -> Change:
    return first_of("key_behaviours", "key_behaviours", inner, **changes)


def metric_change(name: str, **changes: Any) -> Change:
    return lambda document: document["metrics"][f"metric.userops.{name}"]["config"]["meta"].update(changes)


def goal_change(**changes: Any) -> Change:
    return lambda document: meta_of(document, "goal_scorecard")["goals"][0].update(changes)


def bound_change(**changes: Any) -> Change:
    return lambda document: meta_of(document, "goal_scorecard")["goals"][0]["metrics"][0].update(changes)


def period_change(**changes: Any) -> Change:
    return lambda document: meta_of(document, "period_lifecycle")["periods"].update(changes)


def contribution_change(key: str = "contribution", **changes: Any) -> Change:
    return lambda document: meta_of(document, "user_contribution").update({key: {**meta_of(document, "user_contribution")[key], **changes}})


def tiers(*whens: str | bool) -> Change:
    entries = [{"name": f"tier_{chr(97 + number)}", "label": "L", "when": when} for number, when in enumerate(whens)]
    return lambda document: meta_of(document, "kol").update(tiers=entries)


def expert_change(**changes: Any) -> Change:
    return lambda document: meta_of(document, "expert_directory").update(experts={**EXPERTS, **changes})


def groups(*whens: str | bool) -> Change:
    entries = [{"name": f"group_{chr(97 + number)}", "label": "L", "when": when} for number, when in enumerate(whens)]
    return lambda document: meta_of(document, "user_rfm").update(groups=entries)


def scores(**changes: Any) -> Change:
    return lambda document: meta_of(document, "user_rfm").update(changes)


def tier_change(number: int, **changes: Any) -> Change:
    return lambda document: meta_of(document, "user_tier")["stages"][number].update(changes)


def membership(**changes: Any) -> Change:
    return lambda document: meta_of(document, "user_membership").update(changes)


def level_change(number: int, **changes: Any) -> Change:
    return lambda document: meta_of(document, "user_membership")["levels"][number].update(changes)


def earns(sql: str) -> Change:
    return membership(points=[{"name": "purchase", "label": "L", "points": sql}])


def benefit_change(number: int, **changes: Any) -> Change:
    return lambda document: meta_of(document, "membership_benefits")["benefits"][number].update(changes)


def new_column(table: str, name: str, meta: dict[str, Any]) -> Change:
    return lambda document: document["nodes"][f"model.userops.{table}"]["columns"].update({name: {"name": name, **flag(**meta)}})


def drop(change: str) -> Change:
    return lambda document: list_meta(document, "welcome").pop(change)


A_TAG = {"family": "value", "when": "order_count > 1"}

# (what is wrong, the change that makes it so, the rule named, words of the sentence)
REFUSED: list[tuple[str, Change, str, str]] = [
    ("unknown column", tag_when("discount_shar >= 0.5"), "tag price_sensitive", "did you mean 'discount_share'?"),
    ("text with number", tag_when("city_tier > 2"), "tag price_sensitive", "Cannot compare values of type VARCHAR"),
    ("number with text", tag_when("order_count > 'two'"), "tag price_sensitive", "compares number with text"),
    ("boolean with number", tag_when("is_member = 1"), "tag price_sensitive", "compares boolean with number"),
    ("sum of booleans", tag_when("is_member + is_member > 1"), "tag price_sensitive", "types do not fit"),
    ("text as boolean", tag_when("city_tier and is_member"), "tag price_sensitive", "not true or false"),
    ("number as boolean", tag_when("not order_count"), "tag price_sensitive", "not true or false"),
    ("not a boolean", tag_when("order_count + 1"), "tag price_sensitive", "must give true or false"),
    ("text for a date", tag_when("last_order_on > 'yesterday'"), "tag price_sensitive", "not a date"),
    ("mixed list", tag_when("city_tier in ('1', 2)"), "tag price_sensitive", "number with text"),
    ("mixed case", tag_when("case when order_count then true else false end"), "tag price_sensitive", "not true or false"),
    ("division by 0", tag_when("spend_amount / order_count > 5"), "tag price_sensitive", "nullif(order_count, 0)"),
    ("cast that can fail", tag_when("cast(city_tier as integer) > 2"), "tag price_sensitive", "try_cast(city_tier as"),
    ("subquery", tag_when("order_count > (select 1)"), "tag price_sensitive", "subquery"),
    ("subquery in a list", tag_when("order_count in (select 1)"), "tag price_sensitive", "subquery"),
    ("exists", tag_when("exists (select 1)"), "tag price_sensitive", "subquery"),
    ("a whole query", tag_when("select true"), "tag price_sensitive", "subquery"),
    ("aggregate in a row", tag_when("sum(order_count) > 1"), "tag price_sensitive", "aggregate sum()"),
    ("window in a row", tag_when("row_number() over () = 1"), "tag price_sensitive", "window function"),
    ("file reader", tag_when("read_csv('/etc/passwd') is null"), "tag price_sensitive", "is not allowed"),
    ("text reader", tag_when("read_text('/etc/passwd') = 'x'"), "tag price_sensitive", "read_text() is not allowed"),
    ("environment", tag_when("getenv('HOME') = 'x'"), "tag price_sensitive", "getenv() is not allowed"),
    ("clock", tag_when("last_order_on < current_date"), "tag price_sensitive", "is not allowed"),
    ("chance", tag_when("random() < 0.5"), "tag price_sensitive", "is not allowed"),
    ("another table", tag_when("raw.users.email is not null"), "tag price_sensitive", "names a table"),
    ("statement", tag_when("drop table users"), "tag price_sensitive", "not allowed"),
    ("two statements", tag_when("order_count > 1; drop table users"), "tag price_sensitive", "semicolon"),
    ("trailing semicolon", tag_when("order_count > 1;"), "tag price_sensitive", "semicolon"),
    ("comment", tag_when("order_count > 1 -- or not"), "tag price_sensitive", "comment"),
    ("comment inside", tag_when("order_count /* */ > 1"), "tag price_sensitive", "comment"),
    ("unbalanced", tag_when("order_count > 1) or (true"), "tag price_sensitive", "not SQL"),
    ("jinja", tag_when("{{ var('x') }}"), "tag price_sensitive", "is not allowed"),
    ("placeholder", tag_when("order_count = ?"), "tag price_sensitive", "is not allowed"),
    ("quoted column", tag_when('"order_count" > 1'), "tag price_sensitive", "without quotes"),
    ("endless", tag_when(" or ".join(["order_count > 1"] * 500)), "tag price_sensitive", "longer than"),
    ("deep", tag_when("(" * 900 + "true" + ")" * 900), "tag price_sensitive", ""),
    ("control character", tag_when("order_count > 1\x00"), "tag price_sensitive", "control character"),
    ("full-width sign", tag_when("order_count ＞ 1"), "tag price_sensitive", "holds '＞', which is no sign of SQL; write '>'"),
    ("empty", tag_when("  "), "tag price_sensitive", "empty"),
    ("no condition", lambda d: column_meta(d, "user_tags", "price_sensitive").pop("when"), "tag price_sensitive", "empty"),
    ("impossible", tag_when("order_count > 5 and order_count < 3"), "tag price_sensitive", "nobody is left"),
    ("two values at once", tag_when("city_tier = '1' and city_tier = '2'"), "tag price_sensitive", "at once"),
    ("stage that is none", tag_when("stage = 'loyall'"), "tag price_sensitive", "did you mean 'loyal'?"),
    ("unknown key", lambda d: column_meta(d, "user_tags", "big_city").update(whne="true"), "big_city", "did you mean 'when'?"),
    (
        "family that is none",
        lambda d: column_meta(d, "user_tags", "big_city").update(family="valeu"),
        "tag big_city",
        "did you mean 'value'?",
    ),
    ("family by its label", lambda d: column_meta(d, "user_tags", "big_city").update(family="V"), "tag big_city", "did you mean 'value'?"),
    ("no family", lambda d: column_meta(d, "user_tags", "big_city").pop("family"), "tag big_city", "has no family"),
    ("no label", lambda d: column_meta(d, "user_tags", "big_city").pop("label"), "tag big_city", "has no label"),
    ("no owner", lambda d: column_meta(d, "user_segments", "buyers").pop("owner"), "segment buyers", "has no owner"),
    (
        "whose word",
        lambda d: column_meta(d, "user_tags", "big_city").update(precedence="agent"),
        "tag big_city",
        "must be one of manual, rule",
    ),
    ("sensitive tag", tag_when("gender = 'male'"), "tag price_sensitive", "sensitive column 'gender' without purpose and basis"),
    (
        "sensitive tag without a basis",
        lambda d: column_meta(d, "user_tags", "big_city").update(when="city_tier = '1' and gender = 'male'", purpose="gifts", basis=" "),
        "tag big_city",
        "'gender' without basis",
    ),
    ("sensitive segment", segment_change("buyers", exclude=["gender = 'male'"]), "segment buyers", "'gender' without purpose and basis"),
    ("sensitive stage", stage_change(0, when="gender = 'male'"), "stage loyal", "make a tag with a purpose of it"),
    ("name taken by a feature", new_column("user_tags", "order_count", A_TAG), "tag order_count", "already a column"),
    ("name taken by the stage", new_column("user_tags", "stage", A_TAG), "tag stage", "already a column"),
    ("SQL in a name", new_column("user_tags", "x; drop table users", A_TAG), "tag x; drop table users", "is not a name"),
    ("odd name", new_column("user_tags", "Price-Sensitive", A_TAG), "tag Price-Sensitive", "is not a name"),
    ("reserved word", new_column("user_tags", "select", A_TAG), "tag select", "reserved word"),
    ("same stage twice", stage_change(1, name="loyal"), "stage loyal", "same name"),
    ("stages without order", lambda d: meta_of(d, "user_lifecycle").update(stages={"a": 1}), "user_lifecycle", "must be a list"),
    ("no stage", lambda d: meta_of(d, "user_lifecycle").update(stages=[]), "user_lifecycle", "has no stage"),
    ("no catch-all", stage_change(2, when="order_count > 0"), "stage lapsed", "catch everybody"),
    ("catch-all too early", stage_change(0, when="true"), "stage loyal", "put it last"),
    (
        "memory of a column that is none",
        memory("order_count_3d > 0"),
        "stage loyal",
        "in 'stays_when', there is no column 'order_count_3d'",
    ),
    ("memory that is no condition", memory("order_count"), "stage loyal", "must give true or false"),
    ("memory without a beginning", stage_change(0, when=None, stays_when="order_count > 0"), "stage loyal", "empty"),
    ("memory without an end", memory("true"), "stage loyal", "say when a user leaves"),
    ("memory that keeps nobody", memory("order_count_30d > 0 and order_count >= 2 and is_member"), "stage loyal", "keeps nobody"),
    ("memory of the catch-all", stage_change(2, stays_when="order_count > 0"), "stage lapsed", "keeps nobody"),
    ("memory that cannot be", memory("order_count > 5 and order_count < 3"), "stage loyal", "nobody is left"),
    ("harder to stay than to enter", memory("order_count >= 3"), "stage loyal", "asks for more to stay ('order_count >= 3')"),
    ("as hard, but for the bound", memory("order_count > 2"), "stage loyal", "asks for more to stay"),
    (
        "harder to stay below",
        stage_change(1, when="order_count < 9", stays_when="8 >= order_count"),
        "stage interest",
        "asks for more to stay",
    ),
    ("memory of a stage", tag_memory("stage = 'loyal'"), "tag price_sensitive", "no column 'stage'"),
    (
        "memory begun by a stage",
        lambda d: column_meta(d, "user_tags", "big_city").update(when="stage = 'loyal'", stays_when="order_count > 0"),
        "tag big_city",
        "asks of the features alone",
    ),
    ("plan state that is none", tag_when("plan_state = 'payed'"), "tag price_sensitive", "did you mean 'paid'?"),
    ("no plan state", lambda d: meta_of(d, "user_plan_state").update(stages=[]), "user_plan_state", "has no plan state"),
    ("plan states that let users fall off", plan_change(1, when="order_count = 0"), "plan state free", "catch everybody"),
    ("plan state for everybody too early", plan_change(0, when=True, stays_when=None), "plan state paid", "put it last"),
    ("plan state of a column that is none", plan_change(0, when="order_cont > 1"), "plan state paid", "did you mean 'order_count'?"),
    ("plan state harder to keep", plan_change(0, stays_when="order_count > 4"), "plan state paid", "asks for more to stay"),
    ("grace below zero", paid_change(grace_days=-1), "rules paid", "grace_days is -1"),
    ("grace that is a word", paid_change(grace_days="week"), "paid", "grace_days"),
    ("paid periods that are no list", paid_change(periods={"year": 1}), "user_plan_state", "'paid.periods' must be a list"),
    ("period of no unit", paid_period_change(0, unit="quarter"), "paid period yearly", "quarter"),
    ("period of no length", paid_period_change(0, count=0), "paid period yearly", "has the count 0"),
    ("period of no plan", paid_period_change(1, words=[]), "paid period monthly", "has no words"),
    ("period that another takes", paid_period_change(1, words=["Annual"]), "paid period monthly", "which 'yearly' above has"),
    ("plan state without goal", plan_change(1, goal=None), "plan state free", "has no goal"),
    ("plan state with a key of a stage", plan_change(1, segment="buyers"), "free", "the key 'segment' is not known here"),
    ("same condition twice", stage_change(1, when="order_count_30d > 0 AND (order_count >= 2)"), "stage interest", "never be reached"),
    (
        "narrower below wider",
        stage_change(1, when="order_count >= 2 and order_count_30d > 0 and is_member"),
        "stage interest",
        "'loyal' above",
    ),
    ("no KPI", stage_change(0, kpi=None), "stage loyal", "has no KPI"),
    ("KPI without target", stage_change(0, kpi={**KPI, "target": None}), "stage loyal", "without a target"),
    ("KPI without direction", stage_change(0, kpi={**KPI, "direction": None}), "stage loyal", "without a target"),
    (
        "KPI in no direction",
        stage_change(0, kpi={**KPI, "direction": "sideways"}),
        "loyal",
        "'kpi.direction' is 'sideways'; it must be one of up, down",
    ),
    ("KPI without label", stage_change(0, kpi={**KPI, "label": ""}), "stage loyal", "without a label"),
    ("KPI of nothing", kpi_sql("count(*)"), "stage loyal", "measures nothing"),
    ("KPI without sql", stage_change(0, kpi={"name": "x"}), "stage loyal", "has no KPI"),
    ("KPI without aggregate", kpi_sql("order_count"), "stage loyal", "sums up"),
    ("KPI half aggregate", kpi_sql("avg(order_count) + order_count"), "stage loyal", "types do not fit"),
    ("KPI of booleans", kpi_sql("sum(is_member)"), "stage loyal", "calculates with 'is_member'"),
    ("KPI that is text", kpi_sql("max(city_tier)"), "stage loyal", "must give a number"),
    ("KPI reads files", kpi_sql("count(*) + length(read_text('x'))"), "stage loyal", "is not allowed"),
    ("KPI as a list", kpi_sql("list(order_count)"), "stage loyal", "is not allowed"),
    *(
        (f"no {key}", stage_change(0, **{key: None}), "stage loyal", f"has no {key}")
        for key in ("action", "content", "goal", "state", "touchpoint", "segment")
    ),
    ("stage to no segment", stage_change(0, segment="buyer"), "stage loyal", "did you mean 'buyers'?"),
    ("stage to a segment of others", stage_change(0, segment="newcomers"), "stage loyal", "users of other stages only"),
    (
        "stage to a segment of others, by way of one",
        lambda d: column_meta(d, "user_segments", "buyers").update(include=[{"segment": "newcomers"}]),
        "stage loyal",
        "users of other stages only",
    ),
    (
        "stage to a segment without it",
        lambda d: column_meta(d, "user_segments", "buyers").update(exclude=["stage in ('loyal', 'interest')"]),
        "stage loyal",
        "users of other stages only",
    ),
    ("stage that is where users come from", stage_change(0, name="outside"), "stage outside", "stands for users who are not known"),
    ("stage to no list", lambda d: list_meta(d, "thank_you").update(segment="win_back"), "stage loyal", "no list exports"),
    ("itself", segment_change("buyers", exclude=[{"segment": "buyers"}]), "segment buyers", "buyers → buyers"),
    ("itself by a cycle", segment_change("buyers", exclude=[{"segment": "win_back"}]), "segment buyers", "buyers → win_back → buyers"),
    ("unknown segment", segment_change("buyers", include=[{"segment": "newcomer"}]), "segment buyers", "did you mean 'newcomers'?"),
    ("no include", segment_change("buyers", include=[]), "segment buyers", "no include step"),
    ("odd step", segment_change("buyers", include=[{"segmnt": "x"}]), "buyers", "is not known here"),
    ("both in and out", segment_change("buyers", include=["price_sensitive"]), "segment buyers", "both required and excluded"),
    (
        "in and out by number",
        segment_change("buyers", include=["order_count > 5"], exclude=["order_count > 3"]),
        "segment buyers",
        "nobody is left",
    ),
    (
        "segment in and out",
        segment_change("win_back", include=[{"segment": "buyers"}], exclude=[{"segment": "buyers"}]),
        "segment win_back",
        "both required and excluded",
    ),
    ("segment type", segment_change("buyers", include=["price_sensitive > 1"]), "segment buyers", "compares boolean with number"),
    ("list to unknown segment", list_change(segment="newcomer"), "list welcome", "did you mean 'newcomers'?"),
    ("list to unknown tool", list_change(tool="csv_fil"), "list welcome", "did you mean 'csv_file'?"),
    ("unknown mode", list_change(mode="replace"), "list welcome", "must be one of mirror, additive, enrich"),
    ("unknown match key", list_change(match_key="passport"), "list welcome", "'match_key' is 'passport'"),
    ("unknown channel", list_change(channel="pigeon"), "list welcome", "'channel' is 'pigeon'"),
    ("unknown purpose", list_change(purpose="fun"), "list welcome", "'purpose' is 'fun'"),
    *((f"no {key}", drop(key), "list welcome", f"has no {key}") for key in ("tool", "segment", "mode", "match_key", "channel", "purpose")),
    ("unknown field", list_change(fields={"x": "order_cout"}), "list welcome", "did you mean 'order_count'?"),
    ("share above 1", list_change(max_removed_share=50), "list welcome", "max_removed_share"),
    ("age below 0", list_change(max_age_days=-1), "list welcome", "max_age_days"),
    ("unread age", list_change(max_age_days="old"), "welcome", "cannot be read"),
    *(
        (
            f"{list_['channel']} list with {list_['match_key']} and {list_['fields']}",
            list_change(**list_),
            "list welcome",
            "whose consent says nothing of it",
        )
        for list_ in FOREIGN_ADDRESSES
    ),
    ("unread share", list_change(max_removed_share="half"), "welcome", "cannot be read"),
    ("one step", lambda d: meta_of(d, "funnel_conversion")["funnels"][0]["steps"].pop(), "funnel purchase_ladder", "fewer than two"),
    ("funnel column", funnel_step(0, 0, when="activty = 'order'"), "funnel purchase_ladder", "did you mean 'activity'?"),
    ("no window", funnel_step(0, 1, within_days=None), "funnel purchase_ladder", "needs within_days"),
    ("window at the start", funnel_step(0, 0, within_days=3), "funnel purchase_ladder", "take it out"),
    ("object of a user", funnel_step(0, 1, same_object=True), "funnel purchase_ladder", "user_object"),
    ("steps of one name", funnel_step(0, 1, name="first_order"), "funnel purchase_ladder", "same name"),
    (
        "unknown object",
        lambda d: meta_of(d, "funnel_conversion")["funnels"][1].update(object="campaign"),
        "funnel campaign_response",
        "'campaign_id'?",
    ),
    (
        "unknown unit",
        lambda d: meta_of(d, "funnel_conversion")["funnels"][1].update(unit="session"),
        "campaign_response",
        "one of user, user_object",
    ),
    ("unknown start", retention_change(start="purchases"), "retention repurchase", "did you mean 'purchase'?"),
    ("return by registration", retention_change(returns="registered"), "retention repurchase", "'returns' is 'registered'"),
    ("unknown grain", retention_change(grain="quarter"), "retention repurchase", "one of day, week, month"),
    ("YAML's on", retention_change(kind=True), "repurchase", "'kind' cannot be read"),
    ("unknown entry", retention_change(entry="once"), "retention repurchase", "one of first_time, recurring"),
    ("no periods", retention_change(periods=None), "retention repurchase", "needs periods"),
    ("brackets without the kind", retention_change(brackets=[1, 4]), "retention repurchase", "exactly when its kind is brackets"),
    ("brackets that fall", retention_change(kind="brackets", brackets=[4, 1]), "retention repurchase", "must ascend"),
    ("a bracket behind the end", retention_change(kind="brackets", brackets=[1, 13]), "retention repurchase", "none may begin after"),
    ("registered again and again", retention_change(start="registered", entry="recurring"), "retention repurchase", "happens once"),
    ("retention by stage", retention_change(dimensions=["stage"]), "retention repurchase", "'dimensions' is 'stage'"),
    ("unknown activity", survival_change(activity="activ"), "survival active_life", "did you mean 'active'?"),
    ("unknown birth", survival_change(entry="birth"), "survival active_life", "one of registered, first_activity"),
    (
        "unknown value model",
        value_change(model="pareto_nbd"),
        "settings of user_value",
        "'model' is 'pareto_nbd'; it must be one of mbg_nbd, bg_nbd",
    ),
    ("unknown origin", value_change(origin="signup"), "settings of user_value", "one of first_purchase, registration"),
    ("unknown purchase", value_change(purchase="basket"), "settings of user_value", "one of day, order"),
    (
        "unknown value setting",
        value_change(min_buyer=3),
        "settings of user_value",
        "'min_buyer' is not known here; did you mean 'min_buyers'?",
    ),
    ("value setting left out", lambda d: value_meta(d).pop("discount_rate"), "settings of user_value", "'discount_rate' is missing"),
    ("no horizon", value_change(horizon_days=0), "settings of user_value", "'horizon_days' cannot be read"),
    ("discount in percent", value_change(discount_rate=10), "settings of user_value", "'discount_rate' cannot be read"),
    ("correlation above one", value_change(max_spend_correlation=1.5), "settings of user_value", "'max_spend_correlation' cannot be read"),
    ("one order will do", value_change(min_orders_of_some=1), "settings of user_value", "'min_orders_of_some' cannot be read"),
    (
        "more repeat buyers than buyers",
        value_change(min_repeat_buyers=501),
        "settings of user_value",
        "repeat buyers are some of the buyers",
    ),
    ("no band", value_change(bands=[]), "settings of user_value", "'bands' cannot be read"),
    ("a chance above one", band_change(0, alive_from=1.1), "settings of user_value", "'bands.0.alive_from' cannot be read"),
    ("bands that rise", band_change(1, alive_from=0.6), "settings of user_value", "the band 'lost' can never be reached"),
    ("who is below the last band", band_change(1, alive_from=0.1), "settings of user_value", "must catch everybody left"),
    ("two bands of one name", band_change(1, name="low"), "settings of user_value", "two bands have the same name"),
    ("a band without a label", band_change(1, label=""), "settings of user_value", "and a label"),
    ("no holdout", history_change(holdout_months=0), "settings of int_value_history", "'holdout_months' cannot be read"),
    ("unknown grouping", history_change(time_step=9), "settings of int_value_history", "did you mean 'time_steps'?"),
    ("no end of life", survival_change(activity="engaged"), "survival active_life", "add them to after_days"),
    ("an end of its own", survival_change(churned_after_days=30), "active_life", "'churned_after_days' is not known here"),
    ("no churn", lambda d: meta_of(d, "user_churn_risk").clear(), "user_churn_risk", "declares no churn"),
    ("churn of nothing", churn_change(after_days={"active": 90, "purchase": 180, "sleep": 3}), "rules churn", "'after_days' is 'sleep'"),
    ("churn at once", churn_change(after_days={"active": 90, "purchase": 0}), "rules churn", "'purchase' is 0"),
    ("nobody counted as churned", churn_change(after_days={"purchase": 180}), "rules churn", "lacks 'active'"),
    ("risk by feeling", risk_change(by="feeling"), "rules churn", "one of window, personal_gap"),
    ("gaps of what is not bought", risk_change(activity="active"), "rules churn", "gaps between purchases"),
    ("never late", risk_change(overdue_ratio=1), "rules churn", "nobody is ever late"),
    ("late at once", risk_change(least_days=0), "rules churn", "at least 1"),
    (
        "a second definition",
        stage_change(1, name="churned", when="order_count = 0 and days_since_order > 180"),
        "stage churned",
        "write `days_since_order >= 180`",
    ),
    (
        "a precursor of what is not summed",
        first_of("churn_precursors", "precursors", "behaviours", when="gap_days > 3"),
        "precursor paused",
        "no column 'gap_days'",
    ),
    (
        "a precursor that is none",
        first_of("churn_precursors", "precursors", "behaviours", when="active_days"),
        "precursor paused",
        "must give true or false",
    ),
    ("churn of an activity without an end", precursors(activity="engaged"), "rules precursors", "days of silence that end 'engaged'"),
    ("bounds that fall", precursors(tenure_bounds=[90, 30]), "rules precursors", "tenure_bounds must be numbers that ascend"),
    ("looking back no day", precursors(look_back_days=0), "rules precursors", "at least 1"),
    ("no precursor", precursors(behaviours=[]), "rules precursors", "lists no behaviour"),
    ("precursors without order", precursors(behaviours={"a": 1}), "churn_precursors", "must be a list"),
    ("everything a discovery", precursors(false_discovery_rate=1), "rules precursors", "between 0 and 1"),
    ("nobody is enough", key_behaviours(least_users=0), "rules key_behaviours", "least_users must be at least 1"),
    ("unknown measure", key_behaviour("behaviours", measure="order_cout"), "behaviour purchase", "did you mean 'order_count'?"),
    ("counts from nothing", key_behaviours(counts=[0, 1, 2]), "rules key_behaviours", "counts must be numbers that ascend"),
    ("a window twice", key_behaviours(within_days=[7, 7]), "rules key_behaviours", "within_days must be numbers that ascend"),
    ("alike in what nobody counts", key_behaviour("adjust_for", measure="age"), "rules key_behaviours", "'adjust_for' is 'age'"),
    ("no cohort", key_behaviours(cohort_days=0), "rules key_behaviours", "needs cohort_days"),
    ("no outcome", key_behaviours(outcomes=[]), "rules key_behaviours", "one of outcomes"),
    (
        "more than can be alike",
        key_behaviours(adjust_for=[{"measure": "active_days", "bounds": [1]}] * 8),
        "rules key_behaviours",
        "take some out",
    ),
    ("an outcome within the window", key_behaviour("outcomes", from_day=6), "outcome retained", "begin on day 7"),
    ("an outcome without a day", key_behaviour("outcomes", to_day=6), "outcome retained", "ends before it begins"),
    ("an outcome of nothing", key_behaviour("outcomes", activity="smile"), "outcome retained", "'activity' is 'smile'"),
    ("a step nobody looked at", key_behaviour("chosen", count=5), "key behaviour second_order", "no candidate"),
    ("a step of no behaviour", key_behaviour("chosen", behaviour="purchas"), "key behaviour second_order", "did you mean 'purchase'?"),
    ("a step without a label", key_behaviour("chosen", label=""), "key behaviour second_order", "has no label"),
    ("unknown family", metric_change("revenue", family="revenues"), "metric revenue", "did you mean 'revenue'?"),
    ("unknown roll-up", metric_change("revenue", adds="sum"), "metric revenue", "one of count, daily, rate, stock"),
    ("unknown need", metric_change("revenue", needs="order"), "metric revenue", "did you mean 'orders'?"),
    ("a count as a rate", metric_change("revenue", adds="rate"), "metric revenue", "a ratio is a rate"),
    (
        "metric of no retention",
        metric_change("buyers_who_return", retention="repurchas"),
        "metric buyers_who_return",
        "did you mean 'repurchase'?",
    ),
    ("metric behind the retention", metric_change("buyers_who_return", period=13), "metric buyers_who_return", "has no cell for"),
    ("metric beside a bracket", metric_change("buyers_who_return", retention="early", period=2), "metric buyers_who_return", "no cell for"),
    ("filter of another cell", metric_change("buyers_who_return", period=2), "metric buyers_who_return", "filter does not ask"),
    ("metric without label", metric_change("revenue", label=None), "metric revenue", "has no label"),
    ("no goals", lambda d: meta_of(d, "goal_scorecard").update(goals=[]), "goal_scorecard", "has no goal"),
    ("goal without owner", goal_change(owner=None), "goal loyalty", "has no owner"),
    ("goal without metric", goal_change(metrics=[]), "goal loyalty", "has no metric"),
    ("goal with unknown metric", bound_change(metric="revenu"), "goal loyalty", "did you mean 'revenue'?"),
    ("goal of a helper", bound_change(metric="helper"), "goal loyalty", "'metric' is 'helper'"),
    ("goal without target", bound_change(target=None), "goal loyalty", "without a target"),
    ("goal without direction", bound_change(direction=None), "goal loyalty", "without a target"),
    ("goal by the quarter", bound_change(period="quarter"), "goal loyalty", "one of day, week, month"),
    ("goal both ways", bound_change(direction="sideways"), "loyalty", "one of up, down"),
    ("at least so much money", bound_change(metric="revenue"), "goal loyalty", "least denominator of a rate"),
    (
        "two targets",
        lambda d: meta_of(d, "goal_scorecard")["goals"][0].update(metrics=meta_of(d, "goal_scorecard")["goals"][0]["metrics"] * 2),
        "goal loyalty",
        "two targets",
    ),
    ("unknown new", period_change(new_by="created"), "rules periods", "'new_by' is 'created'"),
    ("unknown mode", scores(mode="quantile"), "rules rfm", "did you mean 'quantiles'?"),
    ("no window", scores(window_days=0), "rules rfm", "at least 1"),
    ("a letter without bounds", scores(mode="thresholds", thresholds={"r": BOUNDS["r"]}), "rules rfm", "each of r, f and m"),
    ("three bounds", scores(thresholds={**BOUNDS, "f": [2, 3, 5]}), "rules rfm", "four rising numbers for 'f'"),
    ("bounds that fall", scores(thresholds={**BOUNDS, "m": [100, 300, 300, 1000]}), "rules rfm", "four rising numbers for 'm'"),
    ("days that rise", scores(thresholds={**BOUNDS, "r": [14, 30, 90, 180]}), "rules rfm", "four falling days for 'r'"),
    ("no tier", lambda d: meta_of(d, "user_tier").update(stages=[]), "user_tier", "has no tier"),
    ("tier of a column that is none", tier_change(0, when="order_cuont > 1"), "tier key", "did you mean 'order_count'?"),
    ("tier that asks more to stay", tier_change(0, stays_when="order_count >= 3"), "tier key", "asks for more to stay"),
    ("tier without care", tier_change(0, care=""), "tier key", "has no care"),
    ("sensitive tier", tier_change(0, when="gender = 'male'", stays_when=None), "tier key", "make a tag with a purpose of it"),
    ("last tier", tier_change(1, when="order_count = 0"), "tier rest", "catch everybody"),
    ("tag of a tier that is none", tag_when("tier = 'kee'"), "tag price_sensitive", "did you mean 'key'?"),
    ("tag of a level that is none", tag_when("level = 'golden'"), "tag price_sensitive", "did you mean 'gold'?"),
    ("no level", membership(levels=[]), "user_membership", "has no level"),
    ("measure that is none", membership(measure="order_count_31d"), "rules membership", "did you mean 'order_count"),
    ("measure that does not add up", membership(measure="discount_share"), "rules membership", "adds up by day"),
    ("points without a rule", membership(measure="point_count", points=[]), "rules membership", "no rule earns any"),
    ("levels upside down", level_change(1, reach=10), "level silver", "list the highest first"),
    ("level without a reach", level_change(0, reach=None), "level gold", "no reach above 0"),
    ("level that asks more to keep", level_change(0, keep=11), "level gold", "asks for more to keep it (11) than to reach it (10)"),
    ("level that is kept with nothing", level_change(0, keep=0), "level gold", "nobody leaves it"),
    ("level valid twice", level_change(0, valid_days=90), "level gold", "one of `valid_days` and `valid_months`"),
    ("level valid for no day", level_change(1, valid_days=0), "level silver", "at least 1"),
    ("grace that ends before", level_change(0, grace_days=-1), "level gold", "at least 0"),
    ("last level that asks", level_change(2, reach=1), "level everybody", "write `reach: 0`"),
    ("level that is outside", level_change(1, name="outside"), "level outside", "already"),
    ("points of a column that is none", earns("spend_amuont"), "points purchase", "did you mean 'spend_amount'?"),
    ("points that are a condition", earns("order_count > 1"), "points purchase", "must give a number"),
    ("benefit of a column that is none", benefit_change(0, when="knid = 'gift'"), "benefit gift", "did you mean 'kind'?"),
    ("benefit of itself", benefit_change(0, when="benefit = 'gift'"), "benefit gift", "no column 'benefit'"),
    ("benefit that never comes", benefit_change(1, when="kind = 'gift' and campaign_type = 'x'"), "benefit coupon", "can never be reached"),
    ("benefit of no level", benefit_change(0, levels=[]), "benefit gift", "belongs to no level"),
    ("benefit of a level that is none", benefit_change(0, levels=["glod"]), "benefit gift", "did you mean 'gold'?"),
    ("periods with a churn of their own", period_change(churned_after={"day": 90}), "periods", "'churned_after' is not known here"),
    ("no group", lambda d: meta_of(d, "user_rfm").update(groups=[]), "user_rfm", "has no group"),
    ("groups not total", groups("r >= 4", "r < 4"), "group group_b", "catch every score left"),
    ("group never wins", groups("r >= 3", "r > 3", True), "group group_b", "wins for no score"),
    ("group over raw values", groups("recency_days > 3", True), "group group_a", "no column 'recency_days'"),
    ("a length nobody has", contribution_change(window_days=60), "rules contribution", "of these lengths: 90"),
    ("a part nobody knows", contribution_change(weights={"spent": 1}), "rules contribution", "did you mean 'spend'?"),
    ("a weight below 0", contribution_change(weights={"spend": 1, "content": -1}), "rules contribution", "a weight below 0"),
    ("nothing weighed", contribution_change(weights={"spend": 0}), "rules contribution", "no weight above 0"),
    ("a like is no content", contribution_change(content_points={"like": 1}), "rules contribution", "'content_points' weighs 'like'"),
    ("points for a scan", contribution_change(referral_points={"scanned": 1}), "rules contribution", "one of activated, paid"),
    ("no fewest users", contribution_change(least_users=0), "rules contribution", "needs least_users"),
    ("two cores", contribution_change(core={"share_of_contribution": 0.5, "share_of_users": 0.1}), "rules contribution", "exactly one of"),
    ("a core of everybody", contribution_change(core={"share_of_users": 1}), "rules contribution", "below 1"),
    ("service without a cap", contribution_change(service={"ticket_cost_amount": 9}), "rules contribution", "service needs"),
    ("no end of waiting", contribution_change("referrals", activation_days=None), "rules referrals", "needs activation_days"),
    ("no burst", contribution_change("referrals", burst_invitees=0), "rules referrals", "needs burst_invitees"),
    ("an accepted answer", lambda d: meta_of(d, "kol").update(weights={"accepted": 9}), "rules kol", "'weights' weighs 'accepted'"),
    ("a tier over a feature", tiers("order_count >= 9"), "tier tier_a", "no column 'order_count'"),
    ("a tier never reached", tiers("kol_score >= 9", "kol_score >= 9 and audience_count > 2"), "tier tier_b", "can never be reached"),
    ("a tier of everybody", tiers("kol_score >= 9", True), "tier tier_b", "makes everybody"),
    ("a tier of a tier", tiers("is_core_user"), "tier tier_a", "decided beside it"),
    ("experts on a channel nobody has", expert_change(channel="pigeon"), "rules experts", "'channel' is 'pigeon'"),
    ("experts for a purpose nobody has", expert_change(purpose="servise"), "rules experts", "did you mean 'service'?"),
    ("experts of nothing", expert_change(least_score=0), "rules experts", "needs least_score"),
    ("experts by spend", expert_change(weights={"spend": 1}), "rules experts", "'weights' weighs 'spend'"),
    ("undescribed model", lambda d: d["nodes"].pop("model.userops.int_activity"), "int_activity", "documents no column"),
    (
        "untyped column",
        lambda d: d["nodes"]["model.userops.int_activity"]["columns"].update(x={"name": "x"}),
        "int_activity",
        "give it a plain SQL type",
    ),
]


def problems(change: Change | None = None) -> list[rulebook.Problem]:
    document = manifest()
    if change:
        change(document)
    return rulebook.check(rulebook.load(document), TOOLS)


def test_a_clean_rulebook_has_no_problem() -> None:
    assert problems() == []


def test_a_sensitive_column_is_allowed_with_a_purpose_and_a_basis() -> None:
    reasons = {"purpose": "goods made for women", "basis": "stated in the profile"}
    assert problems(lambda d: column_meta(d, "user_tags", "big_city").update(when="gender = 'male'", precedence="rule", **reasons)) == []
    assert problems(segment_change("buyers", exclude=["gender = 'male'"], **reasons)) == []


@pytest.mark.parametrize(
    "change", [memory("order_count >= 1"), memory("order_count >= 2 and is_member"), tag_memory("discount_share >= 0.4")]
)
def test_a_rule_that_is_easier_to_keep_than_to_get_is_clean(change: Change) -> None:
    assert problems(change) == []


@pytest.mark.parametrize(("change", "rule", "words"), [case[1:] for case in REFUSED], ids=[case[0].replace(" ", "_") for case in REFUSED])
def test_a_bad_rule_is_refused_with_file_rule_and_sentence(change: Change, rule: str, words: str) -> None:
    refused = [problem for problem in problems(change) if not problem.is_warning]
    named = [problem for problem in refused if problem.rule == rule and words in problem.sentence]
    assert named, [str(problem) for problem in refused]
    assert all(problem.file and problem.sentence.endswith((".", "?")) for problem in refused)


@pytest.mark.parametrize(
    "condition",
    [
        "true",
        "order_count >= 2 and (city_tier in ('1', '2') or not is_member)",
        "coalesce(spend_amount, 0) / nullif(order_count, 0) > 5",
        "last_order_on >= '2017-12-01' and last_order_on between date '2017-01-01' and as_of",
        "lower(city_tier) like '1%' or length(trim(city_tier)) > 2",
        "case when order_count > 1 then is_member else false end",
        "greatest(order_count, order_count_30d) > least(1, 2) and round(abs(spend_amount), 1) <> 0",
        "extract(month from last_order_on) = 11",
        "is_member is not true and stage is distinct from 'lapsed'",
        "city_tier = 'a;b -- c'",
        "try_cast(city_tier as integer) <= 2",
        "is_member = true and order_count = null",
    ],
)
def test_a_good_condition_passes(condition: str) -> None:
    assert Typist({**TYPES, "stage": "varchar"}).faults(condition) == []


@pytest.mark.parametrize(
    "sql",
    [
        "count(*)",
        "count(distinct user_id)",
        "sum(spend_amount) / nullif(count(*), 0)",
        "avg(order_count) filter (where is_member)",
        KPI["sql"],
    ],
)
def test_a_good_kpi_passes(sql: str) -> None:
    assert Typist(TYPES).faults(sql, is_aggregate=True) == []


def test_nothing_is_bound_before_the_guard_has_passed_it(tmp_path: Path) -> None:
    target = tmp_path / "written.csv"
    for text in (f"copy (select 1) to '{target}'", f"order_count > 1; copy (select 1) to '{target}'", f"write_log('{target}') is null"):
        assert guard(text, TYPES)
        assert Typist(TYPES).faults(text)
    assert not target.exists()


@pytest.mark.parametrize(
    ("include", "exclude", "is_possible"),
    [
        (["order_count > 3"], ["order_count > 5"], True),
        (["order_count >= 5", "order_count <= 5"], [], True),
        (["order_count > 5", "order_count <= 5"], [], False),
        (["5 < order_count"], ["order_count >= 5"], False),
        (["is_member"], ["not is_member"], True),
        (["is_member and order_count > 1"], ["is_member"], False),
        (["is_member"], ["is_member or order_count > 1"], False),
        (["is_member"], ["is_member and order_count > 1"], True),
        (["is_member", "not is_member"], [], False),
        (["true"], ["true"], False),
    ],
)
def test_only_a_segment_nobody_can_enter_is_contradictory(include: list[str], exclude: list[str], is_possible: bool) -> None:
    assert (contradiction(include, exclude) is None) is is_possible


@pytest.mark.parametrize(
    ("change", "rule", "words"),
    [
        (new_column("user_segments", "nobody_sends", {"include": ["is_member"]}), "segment nobody_sends", "exported by no list"),
        (new_column("user_tags", "bought_30d", A_TAG), "tag bought_30d", "number in its name"),
        (new_column("user_tags", "webhook_fans", A_TAG), "tag webhook_fans", "names the tool 'webhook'"),
        (value_change(model="bg_nbd", origin="registration"), "settings of user_value", "gives them no score"),
        (level_change(1, valid_days=None), "level silver", "users will flap"),
    ],
)
def test_a_doubtful_rule_warns_and_does_not_refuse(change: Change, rule: str, words: str) -> None:
    found = problems(change)
    assert [(problem.rule, problem.is_warning) for problem in found] == [(rule, True)]
    assert words in found[0].sentence


def test_every_problem_of_a_rulebook_is_reported_at_once() -> None:
    def change(document: dict[str, Any]) -> None:
        tag_when("nonsense > 1")(document)
        stage_change(0, action=None)(document)
        list_change(tool="fax")(document)

    assert {problem.rule for problem in problems(change)} == {"tag price_sensitive", "stage loyal", "list welcome"}


def test_json_gives_the_same_rulebook_back() -> None:
    book = rulebook.load(manifest())
    assert rulebook.from_json(rulebook.to_json(book)) == book
    with pytest.raises(rulebook.RuleError, match="another version"):
        rulebook.from_json('{"stages": [{"colour": "red"}]}')


def test_the_list_of_rules_names_every_rule_once() -> None:
    rows = rulebook.list_rules(rulebook.load(manifest()))
    kinds = {"stage": 3, "plan state": 2, "paid for": 1, "paid period": 2, "tag": 2, "segment": 3, "funnel": 2, "group": 2}
    kinds |= {"tier": 2, "level": 3, "points": 1, "benefit": 2, "retention": 2, "survival": 1, "opinion leader": 2}
    kinds |= {"churn": 1, "precursor": 1, "key behaviour": 1, "metric": 2, "goal": 1, "list": 3}
    assert [row.kind for row in rows] == [kind for kind, count in kinds.items() for _ in range(count)]
    assert next(row for row in rows if row.name == "win_back").rule == "(stage = 'lapsed') except (segment buyers) except (big_city)"


GOOD_TAGS = "a:\n  label: A\n  family: value\nb: {label: B, family: value}\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: {label: A}\na: {label: A}\n", 2, "'a' stands twice"),
        (GOOD_TAGS.replace("b:", "a:"), 4, "'a' stands twice"),
        (GOOD_TAGS.replace("label: B", "label: B, label: C"), 4, "'label' stands twice"),
        ("a: &a {label: A}\nb: *a\n", 1, "anchor"),
        ("a: !!python/object/apply:os.system ['true']\n", 1, "YAML tag"),
        ("a: [\n", 2, "is not YAML"),
        ("a: " + "[" * 5000 + "\n", None, "is not YAML"),
    ],
)
def test_a_file_that_yaml_would_misread_is_refused(tmp_path: Path, text: str, line: int | None, words: str) -> None:
    (tmp_path / "tags.yml").write_text(GOOD_TAGS, encoding="utf-8")
    assert check_files(tmp_path, {}) == []
    (tmp_path / "tags.yml").write_text(text, encoding="utf-8")
    found = check_files(tmp_path, {})
    assert found and words in found[0].sentence and found[0].file == "rules/tags.yml"
    assert line is None or found[0].line == line


def test_a_problem_can_be_given_its_line(tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "tags.yml").write_text(GOOD_TAGS, encoding="utf-8")
    problem = rulebook.Problem(file="rules/tags.yml", rule="tag b", sentence="is odd.")
    assert str(with_lines([problem], tmp_path / "rules")[0]) == "rules/tags.yml:4: tag b: is odd."
    assert with_lines([problem.model_copy(update={"file": "rules/gone.yml"})], tmp_path / "rules")[0].line is None


def write_generation(folder: Path, book: rulebook.Rulebook) -> None:
    """Four users: one loyal, one interested, one lapsed, one lapsed who lives in a big city."""
    folder.mkdir(exist_ok=True)
    (folder / "rulebook.json").write_text(rulebook.to_json(book), encoding="utf-8")
    tables = {
        "user_profile": """select * from (values
            ('u1', date '2017-12-31', 3, 1, 90.00, 0.6, date '2017-12-30', '3', false, 'loyal'),
            ('u2', date '2017-12-31', 0, 0, 0.00, null, null, null, false, 'interest'),
            ('u3', date '2017-12-31', 1, 0, 9.00, 0.0, date '2017-01-02', '3', true, 'lapsed'),
            ('u4', date '2017-12-31', 1, 0, 9.00, 0.0, date '2017-01-02', '1', true, 'lapsed')
        ) as t(user_id, as_of, order_count, order_count_30d, spend_amount, discount_share, last_order_on, city_tier, is_member, stage)""",
        "user_tags": """select * from (values ('u1', true, false), ('u2', false, false), ('u3', false, false), ('u4', false, true))
            as t(user_id, price_sensitive, big_city)""",
        "user_tag_history": """select * from (values
            ('u1', 'price_sensitive', date '2017-12-01', null::date, null),
            ('u4', 'big_city', date '2017-01-01', date '2017-06-01', null),
            ('u4', 'big_city', date '2017-11-01', null, 'A01')
        ) as t(user_id, tag, from_on, to_on, author)""",
        "user_lifecycle": """select user_id, stage, date '2017-12-30' as since_on, 1 as days_in_stage, 'interest' as previous_stage
            from user_profile""",
        "user_value": """select * from (values
            ('u1', 90.00, 3, 41.20, 0.910000, 'low', date '2018-01-20', 'eligible'),
            ('u2', 0.00, 0, null, null, null, null, 'not_eligible: has not bought')
        ) as t(user_id, historic_amount, order_count, predicted_amount, alive_probability, churn_risk, next_order_on, eligibility)""",
        "data_dictionary": """select * from (values ('user_profile', 'order_count', '累计成交订单数'), ('user_rfm', 'order_count', '别处'))
            as t(table_name, column_name, label)""",
        "audience_members": """select * from (values ('come_back', 'u3', 'no_consent', 'complained'), ('welcome', 'u2', 'exported', null))
            as t(audience, user_id, decision, reason)""",
    }
    with duckdb.connect(str(folder / "published.duckdb")) as database:
        for name, query in tables.items():
            database.execute(f"create table {name} as {query}")
            database.execute(f"copy {name} to '{folder / name}.parquet' (format parquet)")


def test_preview_counts_users_and_splits_them_by_stage(tmp_path: Path) -> None:
    book = rulebook.load(manifest())
    write_generation(tmp_path, book)
    answer = rulebook.preview("order_count > 0 and not big_city", book, tmp_path / "published.duckdb")
    assert (answer.users, answer.everyone, answer.share) == (2, 4, 0.5)
    assert [(each.stage, each.users, each.share) for each in answer.stages] == [("loyal", 1, 1.0), ("lapsed", 1, 0.5)]
    assert rulebook.preview("discount_share > 2", book, tmp_path / "published.duckdb").stages == ()


def test_preview_refuses_what_the_check_refuses_and_what_is_not_published_yet(tmp_path: Path) -> None:
    document = manifest()
    new_column("user_tags", "brand_new", A_TAG)(document)
    book = rulebook.load(document)
    write_generation(tmp_path, book)
    for condition, words in [
        ("order_cout > 0", "did you mean"),
        ("true; drop table user_profile", "semicolon"),
        ("brand_new", "do not hold brand_new yet"),
    ]:
        with pytest.raises(rulebook.RuleError, match=words):
            rulebook.preview(condition, book, tmp_path / "published.duckdb")


def test_explain_gives_the_rule_and_the_values_it_saw(tmp_path: Path) -> None:
    write_generation(tmp_path, rulebook.load(manifest()))
    loyal = rulebook.explain("u1", tmp_path)
    assert loyal.stage is not None
    assert (loyal.stage.name, loyal.stage.previous_stage, loyal.stage.values) == (
        "loyal",
        "interest",
        {"order_count": 3, "order_count_30d": 1},
    )
    assert [(tag.name, tag.values["order_count"], float(tag.values["discount_share"])) for tag in loyal.tags] == [
        ("price_sensitive", 3, 0.6)
    ]
    buyers = next(segment for segment in loyal.segments if segment.name == "buyers")
    assert not buyers.is_member and buyers.failed is not None
    assert (buyers.failed.kind, buyers.failed.number, buyers.failed.values) == ("exclude", 1, {"price_sensitive": True})
    assert "  off  thank_you (webhook): not in segment buyers: exclude step 1" in list(as_lines(loyal))


def test_explain_names_the_agent_who_gave_a_tag(tmp_path: Path) -> None:
    write_generation(tmp_path, rulebook.load(manifest()))
    by_rule, by_hand = rulebook.explain("u1", tmp_path), rulebook.explain("u4", tmp_path)
    assert [(tag.name, str(tag.since_on), tag.author) for tag in (*by_rule.tags, *by_hand.tags)] == [
        ("price_sensitive", "2017-12-01", None),
        ("big_city", "2017-11-01", "A01"),
    ]
    assert "  big_city  since 2017-11-01: agent A01 said so" in list(as_lines(by_hand))
    assert any(line.startswith("  price_sensitive  since 2017-12-01: discount share is at least 50 %") for line in as_lines(by_rule))


def test_explain_says_what_a_user_is_worth_or_why_that_is_not_known(tmp_path: Path) -> None:
    write_generation(tmp_path, rulebook.load(manifest()))
    loyal, interested, unknown = (list(as_lines(rulebook.explain(user, tmp_path))) for user in ("u1", "u2", "u3"))
    assert "Value  90.00 from 3 purchases so far" in loyal
    assert "       next purchase more likely than not by 2018-01-20" in loyal
    assert "       no prediction: has not bought" in interested
    assert not any(line.startswith("Value") for line in unknown)


def test_explain_speaks_chinese_with_the_names_people_use(tmp_path: Path) -> None:
    write_generation(tmp_path, rulebook.load(manifest()))
    said = list(as_lines(rulebook.explain("u1", tmp_path), "zh"))
    assert said[0] == "用户 u1"
    assert any(line.startswith("      依据 累计成交订单数 至少 ") and "累计成交订单数 = 3" in line for line in said)
    assert any(line.startswith("  不在  ") and "thank_you（webhook）：" in line and line.endswith("：排除条件第 1 步") for line in said)
    assert not {"Tags", "Lists", "Stage", "because", ">=", "and", "or"} & {word for line in said for word in line.split()}
    assert "      没有预测：还没有购买" in list(as_lines(rulebook.explain("u2", tmp_path), "zh"))


def test_explain_says_why_a_user_is_not_on_a_list(tmp_path: Path) -> None:
    write_generation(tmp_path, rulebook.load(manifest()))
    lapsed = rulebook.explain("u3", tmp_path)
    assert [segment.name for segment in lapsed.segments if segment.is_member] == ["win_back"]
    assert "  off  come_back (csv_file): no consent for this channel and purpose (complained about a message)" in list(as_lines(lapsed))
    assert {each.name: each.is_on for each in rulebook.explain("u2", tmp_path).lists}["welcome"]
    big_city = next(segment for segment in rulebook.explain("u4", tmp_path).segments if segment.name == "win_back")
    assert big_city.failed is not None and big_city.failed.number == 2


def test_explain_refuses_an_unknown_user_and_a_rulebook_changed_by_hand(tmp_path: Path) -> None:
    write_generation(tmp_path, rulebook.load(manifest()))
    with pytest.raises(rulebook.RuleError, match="no such user"):
        rulebook.explain("u1' or true --", tmp_path)
    text = (tmp_path / "rulebook.json").read_text(encoding="utf-8")
    (tmp_path / "rulebook.json").write_text(text.replace('big_city"', "read_text('x') = 'y'\"", 20), encoding="utf-8")
    with pytest.raises(rulebook.RuleError, match="cannot be asked"):
        rulebook.explain("u1", tmp_path)


def test_the_manifest_given_is_left_as_it_was() -> None:
    document = manifest()
    before = copy.deepcopy(document)
    rulebook.load(document)
    assert document == before


def test_the_rules_that_every_shop_may_begin_with_are_clean() -> None:
    found = described(GROCER)
    assert [str(problem) for problem in rulebook.check(rulebook.load(found.document()), TOOLS)] == []
    assert [str(problem) for problem in check_files(GROCER, found.labels)] == []


# -- what dbt is given ---------------------------------------------------------------------------------------------


def returned(text: str, arguments: Mapping[str, list[str]]) -> dict[str, Any]:
    """What each macro of a generated file returns to dbt, split and rendered by dbt's own Jinja; one with arguments is asked for each."""
    found: dict[str, Any] = {}
    for block in extract_toplevel_blocks(text, {"macro"}, collect_raw_data=False):
        assert isinstance(block, BlockTag) and block.full_block
        name = str(block.block_name)
        macro = getattr(get_template(block.full_block, {"return": returning}).module, f"dbt_macro__{name}")
        asked = arguments.get(name)
        found[name] = value_of(macro) if asked is None else {each: value_of(macro, each) for each in asked}
    return found


def returning(value: Any) -> None:
    raise MacroReturn(value)


def value_of(macro: Callable[..., str], *arguments: str) -> Any:
    with pytest.raises(MacroReturn) as given_back:
        macro(*arguments)
    return given_back.value.value


AWKWARD = "新客 'a' \"b\" \\n %} }} -%} \\ \t 🎂"
"""A text that would end a macro, a string or a line early."""


@pytest.fixture(scope="module")
def declared() -> Declarations:
    found = described(GROCER)
    found.said["tags"]["new_user"]["about"] = AWKWARD
    return found


def test_dbt_is_given_what_python_read(declared: Declarations) -> None:
    files = {Path(name).stem: content.decode() for name, content in generated(declared).items() if name.startswith(GENERATED)}
    text, expected = "".join(files.values()), given(declared)
    assert files.keys() == expected.keys(), "each macro is a file of its own"
    assert next(tag["about"] for tag in expected["rules_of_tags"] if tag["name"] == "new_user") == AWKWARD
    sources = {"contract_of": list(expected["contract_of"])}
    assert returned(text, sources) == expected
    spoilt = text.replace("'days_since_first_order <= 30'", "'days_since_first_order <= 31'", 1)
    assert spoilt != text and returned(spoilt, sources) != expected


# -- every word of a vocabulary, wherever it stands ------------------------------------------------------------------

FREE = {"name", "window", "window_start"} | PROSE_KEYS | CONDITION_KEYS | {"include", "exclude"}


def words_in(node: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every text of the rules that is neither a name, nor for people, nor a condition."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from words_in(value, (*way, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from words_in(value, (*way, number))
    elif isinstance(node, str) and "meta" in way:
        key = next(part for part in reversed(way) if isinstance(part, str))
        closed = key in ("purpose",) and ("exposures" in way or "experts" in way)
        if closed or (key not in FREE and not key.endswith("_zh")):
            yield way


WORDS = list(words_in(manifest()))


@pytest.mark.parametrize("way", WORDS, ids=[".".join(str(part) for part in way if part != "meta") for way in WORDS])
def test_a_word_of_a_vocabulary_that_is_none_is_refused_with_the_word_that_was_meant(way: tuple[Any, ...]) -> None:
    holder = document = copy.deepcopy(manifest())
    for part in way[:-1]:
        holder = holder[part]
    meant = holder[way[-1]]
    holder[way[-1]] = f"{meant}x"
    refused = [str(problem) for problem in rulebook.check(rulebook.load(document), TOOLS) if not problem.is_warning]
    assert any(f"'{meant}x'" in each and f"did you mean '{meant}'?" in each for each in refused), refused


@pytest.mark.parametrize(
    ("column", "name"), [("stage", "loyal"), ("plan_state", "paid"), ("tier", "key"), ("level", "gold"), ("kol_tier", "rising")]
)
@pytest.mark.parametrize("where", ["tag", "segment", "kpi"])
def test_a_name_of_a_rule_that_is_none_is_refused_in_every_condition(column: str, name: str, where: str) -> None:
    condition = f"{column} = '{name}x'"
    change = {
        "tag": tag_when(condition),
        "segment": segment_change("buyers", include=[condition]),
        "kpi": kpi_sql(f"avg(case when {condition} then 1.0 else 0.0 end)"),
    }[where]
    refused = [str(problem) for problem in problems(change) if not problem.is_warning]
    assert any(f"'{name}x', which does not exist; did you mean '{name}'?" in each for each in refused), refused


def test_an_owner_spelt_nearly_as_the_others_is_doubted() -> None:
    told = problems(lambda document: column_meta(document, "user_tags", "big_city").update(owner="crmm"))
    assert [problem.is_warning for problem in told] == [True] and "nearly 'crm'" in told[0].sentence, told


def test_what_is_typed_wrongly_is_said_in_chinese_too() -> None:
    (told,) = problems(lambda document: column_meta(document, "user_tags", "big_city").update(family="valeu"))
    assert said(told, "zh") == "rules/tags.yml: tag big_city: 'family' 写的是 'valeu'；只能是 value, people 之一；是不是 'value'？"
