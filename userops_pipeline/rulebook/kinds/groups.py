"""Groups by value: RFM scores and groups, tiers, membership levels with points and benefits.

Add a kind of these here. Must not hold the settings of the value model, which `conclude.scored` shares with the step that fits it.
"""

from __future__ import annotations

from pydantic import Field

from userops_pipeline.rulebook.kinds.rule import Conditional, Lasting, Rule, Sql, Told


class RfmScores(Rule):
    """How scores are given: as fifths of the buyers (`quantiles`), or by declared bounds of the scores 2 to 5 (`thresholds`)."""

    mode: str = ""
    window_days: int | None = None
    thresholds: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    prospect_label: str = ""
    """What users without a score are called."""


class RfmGroup(Conditional):
    """A name for some of the score triples; of several that fit, the first one listed wins."""


class Tier(Lasting):
    """A cell of value by activity; it is chosen as a stage is. `care` says what its users get."""

    care: str = ""
    care_zh: str = ""


class Membership(Rule):
    """The ladder as a whole: the feature it measures."""

    measure: str = ""


class Level(Told):
    """A membership level: reached at `reach` of the ladder's measure, kept down to `keep`, then valid and gracious for some days."""

    reach: float | None = None
    keep: float | None = None
    valid_days: int | None = None
    valid_months: int | None = None
    grace_days: int = 0

    @property
    def text(self) -> str:
        kept = self.reach if self.keep is None else self.keep
        valid = ""
        if self.valid_months:
            valid = f", valid for {self.valid_months} months"
        elif self.valid_days:
            valid = f", valid for {self.valid_days} days"
        return f"reached at {self.reach or 0:g}, kept down to {kept or 0:g}{valid}, {self.grace_days} days of grace"


class PointRule(Told):
    """What a user's day earns: a number over the counts and amounts of int_user_day."""

    points: Sql = ""

    @property
    def text(self) -> str:
        return self.points


class Benefit(Conditional):
    """What an incentive is counted as, and the levels that have a claim to it."""

    levels: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return f"{self.when} for {', '.join(self.levels)}"
