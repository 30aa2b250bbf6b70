"""Who carries the shop: contribution, invitations, opinion leaders, experts and the consent to ask them.

Add a check of these here. Must not weigh: weights are declared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from userops_pipeline.ground import contract
from userops_pipeline.rulebook.book import Rulebook
from userops_pipeline.rulebook.checks.judging import at_least, choice, first_match_wins, refuse, sound, tell
from userops_pipeline.rulebook.condition import Typist, columns_in, is_everything
from userops_pipeline.rulebook.kinds.rule import Rule
from userops_pipeline.rulebook.problem import Problem, nearest
from userops_pipeline.rulebook.vocabulary import VALUES
from userops_pipeline.rulebook.wording import hint

PARTS = ("spend", "content", "referrals", "influence")
CONTENT_KINDS = ("post", "answer", "comment", "share")
WEIGHED = {
    "contribution": PARTS,
    "content_points": CONTENT_KINDS,
    "referral_points": ("activated", "paid"),
    "kol": (*CONTENT_KINDS, "follower", "reshare", "audience", "paid"),
    "experts": (*CONTENT_KINDS, "reaction", "audience"),
}


def _weights(rule: Rule, kind: str, key: str, weights: Mapping[str, float], known: Sequence[str]) -> Iterator[Problem]:
    """Weights of known things, none below 0, and not all 0."""
    for name, weight in weights.items():
        if name not in known:
            facts = {"key": key, "value": name[:60], "known": ", ".join(known)}
            yield tell(rule, kind, [("weighs", facts), *hint(name, nearest(name, known, VALUES))])
        if weight < 0:
            yield refuse(rule, kind, f"'{key}' gives '{name[:60]}' a weight below 0; take it out to leave it uncounted.")
    if not any(weight > 0 for weight in weights.values()):
        yield refuse(rule, kind, f"'{key}' has no weight above 0, so nobody would count; weigh at least one of {', '.join(known)}.")


def community(rulebook: Rulebook, typist: Typist) -> Iterator[Problem]:
    for rules in rulebook.contributions:
        lengths = [
            days
            for days in (7, 30, 90, 365)
            if {f"spend_amount_{days}d", f"refund_amount_{days}d", f"ticket_count_{days}d"} <= rulebook.feature_columns.keys()
        ]
        if rules.window_days not in lengths:
            known = ", ".join(map(str, lengths)) or "none"
            sentence = f"window_days is {rules.window_days}; int_user_features has spend, refunds and tickets of these lengths: {known}."
            yield refuse(rules, "rules", sentence)
        yield from at_least(rules, "rules", 1, least_users=rules.least_users, follow_days=rules.follow_days)
        yield from _weights(rules, "rules", "weights", rules.weights, WEIGHED["contribution"])
        yield from _weights(rules, "rules", "content_points", rules.content_points, WEIGHED["content_points"])
        yield from _weights(rules, "rules", "referral_points", rules.referral_points, WEIGHED["referral_points"])
        ways = ("share_of_contribution", "share_of_users")
        for way in rules.core:
            yield from choice(rules, "rules", "core", way, ways)
        for cost in rules.service:
            yield from choice(rules, "rules", "service", cost, ("ticket_cost_amount", "cap_share"))
        if len(rules.core) != 1 or not all(way in ways and 0 < share < 1 for way, share in rules.core.items()):
            yield refuse(rules, "rules", f"core must be exactly one of {' and '.join(ways)}, a share above 0 and below 1.")
        if sorted(rules.service) != ["cap_share", "ticket_cost_amount"] or min(rules.service.values()) < 0:
            yield refuse(rules, "rules", "service needs ticket_cost_amount and cap_share, neither below 0.")
    for invitations in rulebook.referrals:
        yield from at_least(invitations, "rules", 1, activation_days=invitations.activation_days, burst_invitees=invitations.burst_invitees)
    for score in rulebook.kol_scores:
        yield from _weights(score, "rules", "weights", score.weights, WEIGHED["kol"])
    faults = list(sound(typist, rulebook.kol_tiers, "tier"))
    yield from faults
    if not faults:
        yield from first_match_wins(rulebook.kol_tiers, "tier")
        for tier in rulebook.kol_tiers:
            if is_everything(tier.when):
                yield refuse(tier, "tier", "makes everybody an opinion leader; ask for a score or an audience.")
            elif {"kol_tier", "is_core_user"} & set(columns_in(tier.when)):
                yield refuse(tier, "tier", "asks for what is decided beside it; ask for counts and kol_score.")
    consents = contract.tables()["consents"]
    for experts in rulebook.experts:
        yield from at_least(experts, "rules", 1, window_days=experts.window_days, least_score=experts.least_score)
        yield from at_least(experts, "rules", 0, least_audience=experts.least_audience)
        yield from _weights(experts, "rules", "weights", experts.weights, WEIGHED["experts"])
        yield from choice(experts, "rules", "channel", experts.channel, consents.column("channel").only)
        yield from choice(experts, "rules", "purpose", experts.purpose, consents.column("purpose").only)
