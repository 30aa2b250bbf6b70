"""Groups by value: RFM scores and groups, tiers, membership levels with points and benefits, and the settings of the value model.

Add a check of these here. Must not read a score: only rules.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

import duckdb

from userops_pipeline.conclude import scored
from userops_pipeline.rulebook.book import Rulebook
from userops_pipeline.rulebook.checks.judging import NAME, choice, first_match_wins, ladder, names, refuse, sound, warn
from userops_pipeline.rulebook.condition import Typist, columns_in, guard, is_everything
from userops_pipeline.rulebook.kinds.groups import Level, RfmGroup
from userops_pipeline.rulebook.places import SETTINGS_FILE, path_of
from userops_pipeline.rulebook.problem import Problem, closest

SCORE_COLUMNS = {"r": "integer", "f": "integer", "m": "integer", "fm": "integer"}
LETTERS = ("r", "f", "m")
POINTS = "point_count"


def tiers(rulebook: Rulebook, features: Typist) -> Iterator[Problem]:
    yield from ladder(features, rulebook.tiers, "tier", "user_tier", path_of("tiers"))
    for tier in rulebook.tiers:
        if not tier.care or not tier.care_zh:
            yield refuse(tier, "tier", "has no care or care_zh; a tier exists so that its users get something of their own: say what.")
        if not guard(tier.when, rulebook.feature_columns) and (
            used := [name for name in columns_in(tier.when) if name in rulebook.sensitive]
        ):
            yield refuse(
                tier, "tier", f"uses the sensitive column '{used[0]}'; a tier says what users did, so make a tag with a purpose of it."
            )


def membership(rulebook: Rulebook) -> Iterator[Problem]:
    """The ladder of levels: what it measures adds up by day, reaches fall from the top, and each can be kept."""
    levels = rulebook.levels
    if not levels:
        file = path_of("levels")
        yield Problem(file=file, rule="user_membership", sentence="has no level; every user needs one.")
        return
    daily = {*rulebook.columns["int_user_day"], POINTS}
    adding = [name for name in rulebook.feature_columns if re.sub(r"_\d+d$", "", name) in daily]
    for membership in rulebook.memberships:
        if membership.measure not in adding:
            near = closest(membership.measure, adding)
            yield refuse(
                membership,
                "rules",
                f"measure the levels by '{membership.measure[:60]}', which is no column of int_user_features that adds up by day{near or '.'}",
            )
    for above, level in itertools.pairwise(levels):
        if above.reach is not None and level.reach is not None and level.reach >= above.reach:
            yield refuse(level, "level", f"takes as much as '{above.name}' above it or more; list the highest first.")
    for level in levels[:-1]:
        yield from _level(level)
    last = levels[-1]
    if last.reach != 0 or last.keep is not None or last.valid_days or last.valid_months or last.grace_days:
        yield refuse(last, "level", "is the last one and everybody's; write `reach: 0` and nothing of keeping or validity.")


def _level(level: Level) -> Iterator[Problem]:
    if level.reach is None or level.reach <= 0:
        yield refuse(level, "level", "has no reach above 0; say what it takes.")
    elif level.keep is not None and level.keep > level.reach:
        yield refuse(level, "level", f"asks for more to keep it ({level.keep:g}) than to reach it ({level.reach:g}); lower `keep`.")
    if level.keep is not None and level.keep <= 0:
        yield refuse(level, "level", "is kept with nothing at all, so nobody leaves it; raise `keep` above 0.")
    if level.valid_days is not None and level.valid_months is not None:
        yield refuse(level, "level", "is valid for days and for months; declare one of `valid_days` and `valid_months`.")
    if any(valid is not None and valid < 1 for valid in (level.valid_days, level.valid_months)) or level.grace_days < 0:
        yield refuse(level, "level", "has a validity or grace below its least; a validity is at least 1, a grace at least 0.")
    if level.keep in (None, level.reach) and not (level.valid_days or level.valid_months or level.grace_days):
        yield warn(level, "level", "is lost on the first night below its reach, so users will flap; add `keep`, a validity or a grace.")


def point_rules(rulebook: Rulebook, days: Typist) -> Iterator[Problem]:
    for rule in rulebook.point_rules:
        for sentence in days.faults(rule.points, is_number=True):
            yield refuse(rule, "points", f"in 'points', {sentence}")
    for membership in rulebook.memberships:
        if membership.measure.startswith(POINTS) and not rulebook.point_rules:
            yield refuse(membership, "rules", "measure the levels in points, but no rule earns any; add one to rules/points.yml.")


def benefits(rulebook: Rulebook, incentives: Typist) -> Iterator[Problem]:
    faults = list(sound(incentives, rulebook.benefits, "benefit"))
    yield from faults
    if not faults:
        yield from first_match_wins(rulebook.benefits, "benefit")
    for benefit in rulebook.benefits:
        if not benefit.levels:
            yield refuse(benefit, "benefit", "belongs to no level; list those that have a claim to it under `levels`.")
        for name in benefit.levels:
            yield from names(benefit, "benefit", "", "level", name, rulebook.levels)


def value(rulebook: Rulebook) -> Iterator[Problem]:
    rules = rulebook.value
    if rules is None:
        return
    file, rule = path_of(SETTINGS_FILE), f"settings of {scored.USERS}"
    for band in rules.bands:
        if not NAME.fullmatch(band.name) or not band.label:
            yield Problem(
                file=file, rule=rule, sentence=f"the band '{band.name[:60]}' needs a name of lower-case letters, digits and _, and a label."
            )
    for above, below in itertools.pairwise(rules.bands):
        if below.alive_from >= above.alive_from:
            yield Problem(
                file=file,
                rule=rule,
                sentence=f"the band '{below.name}' can never be reached: it begins at {below.alive_from}, not below '{above.name}'.",
            )
    if len({band.name for band in rules.bands}) < len(rules.bands):
        yield Problem(file=file, rule=rule, sentence="two bands have the same name; rename one of them.")
    if rules.bands[-1].alive_from > 0:
        yield Problem(
            file=file, rule=rule, sentence=f"the last band, '{rules.bands[-1].name}', must catch everybody left; write `alive_from: 0`."
        )
    if rules.min_repeat_buyers > rules.min_buyers:
        yield Problem(
            file=file, rule=rule, sentence="min_repeat_buyers is above min_buyers, but repeat buyers are some of the buyers; lower it."
        )
    if rules.model == "bg_nbd" and rules.origin == "registration":
        yield Problem(
            file=file,
            rule=rule,
            is_warning=True,
            sentence="bg_nbd with `origin: registration` takes everybody who has not bought for alive for certain, and gives them no score; "
            "take mbg_nbd, in which users may be lost at the registration already.",
        )


def rfm_scores(rulebook: Rulebook) -> Iterator[Problem]:
    for scores in rulebook.rfm_scores:
        yield from choice(scores, "rules", "mode", scores.mode, ("quantiles", "thresholds"))
        if scores.window_days is None or scores.window_days < 1:
            yield refuse(scores, "rules", "need window_days: how many days of purchases count, at least 1.")
        for letter in scores.thresholds:
            yield from choice(scores, "rules", "thresholds", letter, LETTERS)
        if scores.mode == "thresholds" and set(scores.thresholds) != set(LETTERS):
            yield refuse(scores, "rules", "in the mode thresholds need bounds for each of r, f and m, and for nothing else.")
        for letter, bounds in scores.thresholds.items():
            steps = [(later - earlier) * (-1 if letter == "r" else 1) for earlier, later in itertools.pairwise(bounds)]
            if len(bounds) != 4 or min(steps) <= 0:
                way = "falling days" if letter == "r" else "rising numbers"
                yield refuse(scores, "rules", f"need four {way} for '{letter}': what the scores 2, 3, 4 and 5 take.")


def rfm_groups(rulebook: Rulebook, database: duckdb.DuckDBPyConnection) -> Iterator[Problem]:
    groups = rulebook.rfm_groups
    if not groups:
        yield Problem(
            file=path_of("rfm_groups"),
            rule="user_rfm",
            sentence="has no group; every buyer needs one.",
        )
        return
    faults = list(sound(Typist(SCORE_COLUMNS, database), groups, "group"))
    yield from faults
    if faults:
        return
    yield from first_match_wins(groups, "group")
    if not is_everything(groups[-1].when):
        yield refuse(groups[-1], "group", "is the last one and must catch every score left; write `when: true`.")
    won = _winners(groups, database)
    for group in groups:
        if group.name not in won:
            yield refuse(group, "group", "wins for no score at all; put it higher or take it out.")


def _winners(groups: Sequence[RfmGroup], database: duckdb.DuckDBPyConnection) -> set[str]:
    """The groups that win at least one of the 125 score triples."""
    rows = ", ".join(f"({r}, {f}, {m}, {(f + m + 1) // 2})" for r, f, m in itertools.product(range(1, 6), repeat=3))
    cases = " ".join(f"when {group.when} then {number}" for number, group in enumerate(groups))
    query = f"select distinct case {cases} end from (values {rows}) as scores(r, f, m, fm)"
    return {groups[number].name for (number,) in database.execute(query).fetchall() if number is not None}
