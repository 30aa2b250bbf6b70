"""Settings that only dbt's SQL reads: which keys a section of theirs has, by the table that reads it, and of which words.

Add a table here with its keys when its SQL begins to read one; what several tables may say is a vocabulary here. Must not hold a rule with a name
of its own, which is a kind of its subject.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from userops_pipeline.rulebook.problem import Frozen

Activity = Literal["active", "purchase", "reached", "engaged", "followed", "unfollowed", "converted"]
Start = Literal["registered", "active", "purchase", "reached", "engaged", "followed", "unfollowed", "converted"]
Grain = Literal["day", "week", "month"]
# What users are told apart by: attributes of theirs, and the stage.
Attribute = Literal["gender", "age_band", "income_band", "household", "region", "city_tier", "language", "channel", "plan"]
Dimension = Literal["stage", Attribute]


class Merges(Frozen):
    longest_chain: int = Field(ge=1)


class Robots(Frozen):
    events_per_day: int = Field(ge=1)


class Identities(Frozen):
    most_users_a_day: int = Field(ge=1)


class Sessions(Frozen):
    """When a visit begins anew, and which events and pages make it one that counts."""

    timeout_minutes: int = Field(ge=1)
    cut_on_campaign: bool
    across_midnight: bool
    heartbeat_seconds: int = Field(ge=1)
    views: tuple[str, ...]
    conversions: tuple[str, ...]
    steps: tuple[str, ...]


class HabitRules(Frozen):
    lookback_days: int = Field(ge=1)
    minimum_active_days: int = Field(ge=1)
    minimum_gaps: int = Field(ge=1)
    minimum_orders: int = Field(ge=1)
    minimum_lines: int = Field(ge=1)
    minimum_category_lines: int = Field(ge=1)
    low_price_index: float = Field(gt=0)
    high_price_index: float = Field(gt=0)


class Habits(Frozen):
    """From how much behaviour on a habit is told."""

    habits: HabitRules


class CohortRules(Frozen):
    grain: Grain
    dimensions: tuple[Attribute, ...]


class Cohorts(Frozen):
    cohorts: CohortRules


class BandRules(Frozen):
    horizon_days: int = Field(ge=1)
    confidence: float = Field(gt=0, lt=1)
    quantile: float = Field(gt=0)


class Lives(Frozen):
    """Who is told apart in survival, and how sure its band is."""

    dimensions: tuple[Literal["cohort", Attribute], ...]
    band: BandRules


class Within(Frozen):
    behaviours: tuple[Start, ...] = Field(min_length=1)
    within_days: int = Field(ge=1)


class Satisfied(Frozen):
    csat: float
    ticket: float


class CountingRules(Frozen):
    activation: Within
    first_purchase: Within
    invited_within_days: int = Field(ge=1)
    satisfied_from: Satisfied


class Counting(Frozen):
    """What is counted for metrics beside the counts of users."""

    counting: CountingRules


class Gaps(Frozen):
    usual_gap_days: int = Field(ge=1)
    long_gap_days: int = Field(ge=1)
    late_gap_days: int = Field(ge=1)
    overdue_gap_days: int = Field(ge=1)


class CategoryGaps(Gaps):
    category: str


class GapRules(Frozen):
    follow_days: int = Field(ge=0)
    min_gaps: int = Field(ge=1)
    default: Gaps
    declared: tuple[CategoryGaps, ...] = ()


class Thresholds(Frozen):
    """How usual and late gaps between purchases are learned."""

    gaps: GapRules


class Claims(Frozen):
    """How long a benefit is looked back on."""

    window_days: int = Field(ge=1)


class Trait(Frozen):
    name: Dimension
    label: str


class PersonaRules(Frozen):
    least_users: int = Field(ge=1)
    least_expected: float = Field(gt=0)
    false_discovery_rate: float = Field(gt=0, lt=1)
    lines: int = Field(ge=1)
    attributes: tuple[Trait, ...]


class Personas(Frozen):
    """How segments are described, what for, and with what right."""

    purpose: str
    basis: str
    personas: PersonaRules


class Structure(Frozen):
    """By what users are counted."""

    dimensions: tuple[Trait, ...] = Field(min_length=1)
    age_bounds: tuple[int, ...] = Field(min_length=1)


SETTINGS: dict[str, type[Frozen]] = {
    "int_user_merge": Merges,
    "int_robot": Robots,
    "int_identity": Identities,
    "int_sessions": Sessions,
    "user_behaviour": Habits,
    "cohort_value": Cohorts,
    "user_survival": Lives,
    "metric_counts_daily": Counting,
    "lifecycle_thresholds": Thresholds,
    "membership_benefits": Claims,
    "segment_personas": Personas,
    "user_structure_daily": Structure,
}
