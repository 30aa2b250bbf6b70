"""The rulebook as a whole: every rule of every kind, the columns their conditions see, and the text a generation keeps of it.

Add a field here when a new kind of rule appears, and a property when its conditions see columns of their own.
Must not know where a rule was declared (manifest does), judge one (check does) or open a database.
"""

from __future__ import annotations

from pydantic import Field, ValidationError

from userops_pipeline.conclude import scored
from userops_pipeline.rulebook.kinds.churn import (
    Behaviour,
    ChurnRules,
    KeyBehaviour,
    KeyBehaviourRules,
    Outcome,
    Precursor,
    PrecursorRules,
)
from userops_pipeline.rulebook.kinds.community import Contribution, Experts, KolScore, KolTier, ReferralRules
from userops_pipeline.rulebook.kinds.goals import Goal, Metric
from userops_pipeline.rulebook.kinds.groups import Benefit, Level, Membership, PointRule, RfmGroup, RfmScores, Tier
from userops_pipeline.rulebook.kinds.journeys import Funnel, PeriodRules, Retention, Survival
from userops_pipeline.rulebook.kinds.lifecycle import ActivityRules, PaidPeriod, PaidRules, PlanState, Stage
from userops_pipeline.rulebook.kinds.lists import ContactList, Family, Segment, Tag
from userops_pipeline.rulebook.kinds.rule import Rule
from userops_pipeline.rulebook.problem import Frozen, Problem, RuleError

DESCRIBED_MODELS = (
    "int_user_features",
    "int_user_community",
    "int_activity",
    "user_profile",
    "user_lifecycle",
    "user_tags",
    "int_user_day",
    "int_benefit",
)
LADDERS = ("stage", "plan_state", "tier", "level")
LEVEL_COLUMNS = {"next_level_share": "decimal(9,6)", "days_to_level_end": "bigint"}
COMMUNITY_COLUMNS = ("contribution_share", "is_core_user", "kol_score", "kol_tier")
"""Columns of int_user_community that tags and segments see beside the features."""
NOT_ADDED_UP = ("day_number", "gap_days")  # numbers of int_user_day whose sum over days means nothing


class Rulebook(Frozen):
    """All rules, in the order in which each list is read, and what their conditions may be written over."""

    activity: tuple[ActivityRules, ...] = ()
    stages: tuple[Stage, ...] = ()
    plan_states: tuple[PlanState, ...] = ()
    paid_rules: tuple[PaidRules, ...] = ()
    paid_periods: tuple[PaidPeriod, ...] = ()
    families: tuple[Family, ...] = ()
    tags: tuple[Tag, ...] = ()
    segments: tuple[Segment, ...] = ()
    funnels: tuple[Funnel, ...] = ()
    rfm_groups: tuple[RfmGroup, ...] = ()
    rfm_scores: tuple[RfmScores, ...] = ()
    tiers: tuple[Tier, ...] = ()
    memberships: tuple[Membership, ...] = ()
    levels: tuple[Level, ...] = ()
    point_rules: tuple[PointRule, ...] = ()
    benefits: tuple[Benefit, ...] = ()
    periods: tuple[PeriodRules, ...] = ()
    retentions: tuple[Retention, ...] = ()
    survivals: tuple[Survival, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    referrals: tuple[ReferralRules, ...] = ()
    kol_scores: tuple[KolScore, ...] = ()
    kol_tiers: tuple[KolTier, ...] = ()
    experts: tuple[Experts, ...] = ()
    churn: tuple[ChurnRules, ...] = ()
    precursor_rules: tuple[PrecursorRules, ...] = ()
    precursors: tuple[Precursor, ...] = ()
    key_behaviour_rules: tuple[KeyBehaviourRules, ...] = ()
    behaviours: tuple[Behaviour, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    key_behaviours: tuple[KeyBehaviour, ...] = ()
    metrics: tuple[Metric, ...] = ()
    goals: tuple[Goal, ...] = ()
    dimensions: tuple[str, ...] = ()
    """Names of the dimensions users are counted by."""
    lists: tuple[ContactList, ...] = ()
    value: scored.ValueRules | None = None
    """What is declared at user_value; None where that cannot be read."""
    columns: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Type by documented column, for each of DESCRIBED_MODELS."""
    sensitive: tuple[str, ...] = ()
    """Features that a rule may use only with a purpose and a basis."""
    files: dict[str, str] = Field(default_factory=dict)
    """The YAML file of each model."""
    misread: tuple[Problem, ...] = ()
    """What could not even be read; `check` hands these on first."""

    def segment(self, name: str) -> Segment | None:
        return next((segment for segment in self.segments if segment.name == name), None)

    @property
    def feature_columns(self) -> dict[str, str]:
        """What a stage's condition sees."""
        return self.columns.get("int_user_features", {})

    @property
    def tag_columns(self) -> dict[str, str]:
        """What a tag's condition sees: the features, the standing in the community, and where the user stands on every ladder."""
        community = {name: kind for name, kind in self.community_columns.items() if name in COMMUNITY_COLUMNS}
        return {**self.feature_columns, **community, **dict.fromkeys(LADDERS, "varchar"), **LEVEL_COLUMNS}

    @property
    def community_columns(self) -> dict[str, str]:
        """What the condition of a tier of opinion leaders sees."""
        return self.columns.get("int_user_community", {})

    @property
    def state_columns(self) -> dict[str, str]:
        """What segments, KPIs and previews see: features, stage and tags."""
        return {**self.tag_columns, **{tag.name: "boolean" for tag in self.tags}}

    @property
    def benefit_columns(self) -> dict[str, str]:
        """What a benefit's condition sees: an incentive with its campaign."""
        return {name: sql_type for name, sql_type in self.columns.get("int_benefit", {}).items() if name != "benefit"}

    @property
    def named_in(self) -> dict[str, tuple[str, tuple[Rule, ...]]]:
        """The columns whose values are names of rules: what kind, and which there are."""
        return {
            "stage": ("stage", self.stages),
            "plan_state": ("plan state", self.plan_states),
            "tier": ("tier", self.tiers),
            "level": ("level", self.levels),
            "kol_tier": ("opinion leader", self.kol_tiers),
            "next_key_behaviour": ("key behaviour", self.key_behaviours),
        }

    def churned_after(self, activity: str) -> int | None:
        """Days of silence of an activity after which a user has churned; None where that is not declared."""
        return next((rules.after_days[activity] for rules in self.churn if activity in rules.after_days), None)

    @property
    def day_measures(self) -> dict[str, str]:
        """Columns of int_user_day that can be added up over days."""
        return {
            name: kind
            for name, kind in self.columns.get("int_user_day", {}).items()
            if kind in ("bigint", "decimal(18,2)") and name not in NOT_ADDED_UP
        }

    @property
    def look_back_columns(self) -> dict[str, str]:
        """What the condition of a precursor sees: sums of the look-back, and of as many days before it."""
        return {f"{name}{suffix}": kind for name, kind in self.day_measures.items() for suffix in ("", "_before")}

    @property
    def activity_columns(self) -> dict[str, str]:
        """What a funnel step sees."""
        return self.columns.get("int_activity", {})


def to_json(rulebook: Rulebook) -> str:
    """The rulebook as text: what a generation keeps as rulebook.json."""
    return rulebook.model_dump_json(indent=1)


def from_json(text: str) -> Rulebook:
    """The rulebook a generation was built with."""
    try:
        return Rulebook.model_validate_json(text)
    except ValidationError as error:
        raise RuleError("This rulebook.json was written by another version of the project; build the night again.") from error
