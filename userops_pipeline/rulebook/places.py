"""Where each kind of rule stands: its file under rules/, and the table it decides.

Add a line when a new kind of rule or a new section of settings appears: it is then read, its keys are known in the files, and dbt is handed it.
What stands elsewhere is read by nobody, and refused. Must not read a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from userops_pipeline.rulebook.kinds import churn, community, goals, groups, journeys, lifecycle, lists
from userops_pipeline.rulebook.kinds.rule import Rule


@dataclass(frozen=True)
class Place:
    """One kind of rule: the file with a paragraph for each, or the section of the settings, and what the table that it decides calls them.

    `list`: `key` of the table is a list of them. `inner`: so is `inner` of the mapping `key`. `columns`: each is a column of the table.
    `settings`: the section `key` is one rule. `meta`: so are those keys of the table's settings that the kind has.
    """

    field: str
    """Of the Rulebook."""
    kind: type[Rule]
    file: str
    """Without its ending; SETTINGS_FILE where it is a section of those."""
    table: str
    key: str
    shape: Literal["list", "inner", "settings", "meta", "columns"] = "list"
    inner: str = ""

    @property
    def path(self) -> str:
        return path_of(self.file)


def path_of(file: str) -> str:
    """The file as people are told of it."""
    return f"rules/{file}.yml"


SETTINGS_FILE = "settings"
LISTS = "lists"
TAGS, SEGMENTS = "user_tags", "user_segments"
PLACES = (
    Place("activity", lifecycle.ActivityRules, SETTINGS_FILE, "user_counts_daily", "activity", "settings"),
    Place("stages", lifecycle.Stage, "stages", "user_lifecycle", "stages"),
    Place("plan_states", lifecycle.PlanState, "plan_states", "user_plan_state", "stages"),
    Place("paid_rules", lifecycle.PaidRules, SETTINGS_FILE, "user_plan_state", "paid", "settings"),
    Place("paid_periods", lifecycle.PaidPeriod, "paid_periods", "user_plan_state", "paid", "inner", "periods"),
    Place("families", lists.Family, "tag_families", TAGS, "families"),
    Place("tags", lists.Tag, "tags", TAGS, "", "columns"),
    Place("segments", lists.Segment, "segments", SEGMENTS, "", "columns"),
    Place("funnels", journeys.Funnel, "funnels", "funnel_conversion", "funnels"),
    Place("rfm_groups", groups.RfmGroup, "rfm_groups", "user_rfm", "groups"),
    Place("rfm_scores", groups.RfmScores, SETTINGS_FILE, "user_rfm", "rfm", "meta"),
    Place("tiers", groups.Tier, "tiers", "user_tier", "stages"),
    Place("memberships", groups.Membership, SETTINGS_FILE, "user_membership", "membership", "meta"),
    Place("levels", groups.Level, "levels", "user_membership", "levels"),
    Place("point_rules", groups.PointRule, "points", "user_membership", "points"),
    Place("benefits", groups.Benefit, "benefits", "membership_benefits", "benefits"),
    Place("periods", journeys.PeriodRules, SETTINGS_FILE, "period_lifecycle", "periods", "settings"),
    Place("retentions", journeys.Retention, "retentions", "retention_cohorts", "retentions"),
    Place("survivals", journeys.Survival, "survivals", "user_survival", "survivals"),
    Place("contributions", community.Contribution, SETTINGS_FILE, "user_contribution", "contribution", "settings"),
    Place("referrals", community.ReferralRules, SETTINGS_FILE, "user_contribution", "referrals", "settings"),
    Place("kol_scores", community.KolScore, SETTINGS_FILE, "kol", "kol", "meta"),
    Place("kol_tiers", community.KolTier, "kol_tiers", "kol", "tiers"),
    Place("experts", community.Experts, SETTINGS_FILE, "expert_directory", "experts", "settings"),
    Place("churn", churn.ChurnRules, SETTINGS_FILE, "user_churn_risk", "churn", "settings"),
    Place("precursor_rules", churn.PrecursorRules, SETTINGS_FILE, "churn_precursors", "precursors", "settings"),
    Place("precursors", churn.Precursor, "precursors", "churn_precursors", "precursors", "inner", "behaviours"),
    Place("key_behaviour_rules", churn.KeyBehaviourRules, SETTINGS_FILE, "key_behaviours", "key_behaviours", "settings"),
    Place("behaviours", churn.Behaviour, "behaviours", "key_behaviours", "key_behaviours", "inner", "behaviours"),
    Place("outcomes", churn.Outcome, "outcomes", "key_behaviours", "key_behaviours", "inner", "outcomes"),
    Place("key_behaviours", churn.KeyBehaviour, "value_chain", "key_behaviours", "key_behaviours", "inner", "chosen"),
    Place("goals", goals.Goal, "goals", "goal_scorecard", "goals"),
)

# The sections of the settings: the table that reads each, and what it calls the section; nothing where the keys of the section are its own.
SECTIONS: dict[str, tuple[str, str]] = {
    "merges": ("int_user_merge", ""),
    "robots": ("int_robot", ""),
    "identities": ("int_identity", ""),
    "activity": ("user_counts_daily", "activity"),
    "structure": ("user_structure_daily", ""),
    "sessions": ("int_sessions", ""),
    "churn": ("user_churn_risk", "churn"),
    "gaps": ("lifecycle_thresholds", "gaps"),
    "periods": ("period_lifecycle", "periods"),
    "paid": ("user_plan_state", "paid"),
    "cohorts": ("cohort_value", "cohorts"),
    "survival": ("user_survival", ""),
    "habits": ("user_behaviour", "habits"),
    "rfm": ("user_rfm", ""),
    "value": ("user_value", ""),
    "value_history": ("int_value_history", ""),
    "membership": ("user_membership", ""),
    "benefits": ("membership_benefits", ""),
    "personas": ("segment_personas", ""),
    "counting": ("metric_counts_daily", "counting"),
    "precursors": ("churn_precursors", "precursors"),
    "key_behaviours": ("key_behaviours", "key_behaviours"),
    "contribution": ("user_contribution", "contribution"),
    "referrals": ("user_contribution", "referrals"),
    "kol": ("kol", ""),
    "experts": ("expert_directory", "experts"),
}
RULE_FILES = {place.file: place for place in PLACES if place.file != SETTINGS_FILE}
FILES = (*RULE_FILES, LISTS, SETTINGS_FILE)
RULED_TABLES = tuple(dict.fromkeys([*(place.table for place in PLACES), *(table for table, _ in SECTIONS.values())]))


def lists_in(table: str, key: str) -> list[str]:
    """The lists of other rules that stand in a mapping of settings."""
    return [place.inner for place in PLACES if place.inner and (place.table, place.key) == (table, key)]
