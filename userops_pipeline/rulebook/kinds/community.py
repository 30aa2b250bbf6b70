"""Who carries the shop: contribution, invitations, opinion leaders, experts and the consent to ask them.

Add a kind of these here. Must not hold a weight: weights are declared.
"""

from __future__ import annotations

from pydantic import Field

from userops_pipeline.rulebook.kinds.rule import Conditional, Rule


class Contribution(Rule):
    """How what users contribute is weighed into one share, and who of them is of the core."""

    window_days: int | None = None
    least_users: int | None = None
    weights: dict[str, float] = Field(default_factory=dict)
    content_points: dict[str, int] = Field(default_factory=dict)
    referral_points: dict[str, int] = Field(default_factory=dict)
    core: dict[str, float] = Field(default_factory=dict)
    follow_days: int | None = None
    service: dict[str, float] = Field(default_factory=dict)


class ReferralRules(Rule):
    """When somebody invited is activated, and how many a day are too many to be true."""

    activation_days: int | None = None
    burst_invitees: int | None = None


class KolScore(Rule):
    """What each thing an opinion leader does is worth."""

    weights: dict[str, int] = Field(default_factory=dict)


class KolTier(Conditional):
    """A tier of opinion leaders; of several that fit, the first one listed wins."""


class Experts(Rule):
    """Who is an expert in a topic, and with which consent they may be asked."""

    window_days: int | None = None
    channel: str = ""
    purpose: str = ""
    weights: dict[str, int] = Field(default_factory=dict)
    least_score: int | None = None
    least_audience: int | None = None
