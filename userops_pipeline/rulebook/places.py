"""Where each kind of rule stands: the table, and the key of its `config.meta`.

Add a line when a new kind of rule appears: it is then read, and its keys are known in the files. What stands elsewhere is read by nobody, and
refused. Must not read a manifest or a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from userops_pipeline.rulebook.kinds import churn, community, goals, groups, journeys, lifecycle, lists
from userops_pipeline.rulebook.kinds.rule import Rule


@dataclass(frozen=True)
class Place:
    """One kind of rule and where it stands.

    `list`: `key` is a list of them. `inner`: so is `inner` of the mapping `key`. `settings`: the mapping `key` is one, without the lists that stand
    in it. `meta`: the meta itself has its keys. `columns`: each column of the table is one.
    """

    field: str
    """Of the Rulebook."""
    kind: type[Rule]
    table: str
    key: str
    shape: Literal["list", "inner", "settings", "meta", "columns"] = "list"
    inner: str = ""


TAGS, SEGMENTS = "user_tags", "user_segments"
PLACES = (
    Place("activity", lifecycle.ActivityRules, "user_counts_daily", "activity", "settings"),
    Place("stages", lifecycle.Stage, "user_lifecycle", "stages"),
    Place("plan_states", lifecycle.PlanState, "user_plan_state", "stages"),
    Place("paid_rules", lifecycle.PaidRules, "user_plan_state", "paid", "settings"),
    Place("paid_periods", lifecycle.PaidPeriod, "user_plan_state", "paid", "inner", "periods"),
    Place("families", lists.Family, TAGS, "families"),
    Place("tags", lists.Tag, TAGS, "", "columns"),
    Place("segments", lists.Segment, SEGMENTS, "", "columns"),
    Place("funnels", journeys.Funnel, "funnel_conversion", "funnels"),
    Place("rfm_groups", groups.RfmGroup, "user_rfm", "groups"),
    Place("rfm_scores", groups.RfmScores, "user_rfm", "rfm", "meta"),
    Place("tiers", groups.Tier, "user_tier", "stages"),
    Place("memberships", groups.Membership, "user_membership", "membership", "meta"),
    Place("levels", groups.Level, "user_membership", "levels"),
    Place("point_rules", groups.PointRule, "user_membership", "points"),
    Place("benefits", groups.Benefit, "membership_benefits", "benefits"),
    Place("periods", journeys.PeriodRules, "period_lifecycle", "periods", "settings"),
    Place("retentions", journeys.Retention, "retention_cohorts", "retentions"),
    Place("survivals", journeys.Survival, "user_survival", "survivals"),
    Place("contributions", community.Contribution, "user_contribution", "contribution", "settings"),
    Place("referrals", community.ReferralRules, "user_contribution", "referrals", "settings"),
    Place("kol_scores", community.KolScore, "kol", "kol", "meta"),
    Place("kol_tiers", community.KolTier, "kol", "tiers"),
    Place("experts", community.Experts, "expert_directory", "experts", "settings"),
    Place("churn", churn.ChurnRules, "user_churn_risk", "churn", "settings"),
    Place("precursor_rules", churn.PrecursorRules, "churn_precursors", "precursors", "settings"),
    Place("precursors", churn.Precursor, "churn_precursors", "precursors", "inner", "behaviours"),
    Place("key_behaviour_rules", churn.KeyBehaviourRules, "key_behaviours", "key_behaviours", "settings"),
    Place("behaviours", churn.Behaviour, "key_behaviours", "key_behaviours", "inner", "behaviours"),
    Place("outcomes", churn.Outcome, "key_behaviours", "key_behaviours", "inner", "outcomes"),
    Place("key_behaviours", churn.KeyBehaviour, "key_behaviours", "key_behaviours", "inner", "chosen"),
    Place("goals", goals.Goal, "goal_scorecard", "goals"),
)


def lists_in(table: str, key: str) -> list[str]:
    """The lists of other rules that stand in a mapping of settings."""
    return [place.inner for place in PLACES if place.inner and (place.table, place.key) == (table, key)]
