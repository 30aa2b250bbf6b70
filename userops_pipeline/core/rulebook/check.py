"""The judgement over a whole rulebook: every reason not to build, and every doubt, each with the file, the rule and the way to mend it.

Add a check here when a mistake in the YAML would otherwise surface as wrong numbers, a broken build or a message to the wrong person.
Must not read data or files, and must not stop at the first problem.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import duckdb

from userops_pipeline.core import contract, scored
from userops_pipeline.core.rulebook.condition import (
    Typist,
    columns_in,
    conjuncts,
    contradiction,
    guard,
    harder_to_keep,
    is_everything,
    least_whole,
    sealed_database,
    texts_allowed,
    texts_compared_with,
)
from userops_pipeline.core.rulebook.model import (
    DESCRIBED_MODELS,
    LIST_MODEL,
    Benefit,
    Comparison,
    ContactList,
    Funnel,
    KolTier,
    Level,
    Outcome,
    PlanState,
    Problem,
    Retention,
    RfmGroup,
    Rule,
    Rulebook,
    Segment,
    Stage,
    Tag,
    Tier,
    closest,
)

NAME = re.compile(r"[a-z][a-z0-9_]*")
COLUMN_TYPE = re.compile(r"[a-z]+(\(\d+(, ?\d+)?\))?( with time zone)?")
PLAYBOOK = ("label", "state", "goal", "touchpoint", "action", "content", "segment")
PRECEDENCES = ("manual", "rule")
MODES = ("mirror", "additive", "enrich")
MATCH_KEYS = ("user_id", "email", "phone", "contact_point")
CONTACT_FIELDS = ("contact_point", "email", "phone", "name")
SCORE_COLUMNS = {"r": "integer", "f": "integer", "m": "integer", "fm": "integer"}
LETTERS = ("r", "f", "m")
POINTS = "point_count"
STAGE_COLUMN = "stage"
GRAINS = ("day", "week", "month")
ACTIVITIES = ("active", "purchase", "reached", "engaged", "followed", "unfollowed", "converted")
CHOICES = {
    "new_by": ("first_activity", "person_created"),
    "grain": GRAINS,
    "kind": ("on_period", "on_or_after", "brackets"),
    "entry": ("first_time", "recurring"),
    "start": ("registered", *ACTIVITIES),
    "returns": ACTIVITIES,
    "activity": ACTIVITIES,
}
PARTS = ("spend", "content", "referrals", "influence")
CONTENT_KINDS = ("post", "answer", "comment", "share")
WEIGHED = {
    "contribution": PARTS,
    "content_points": CONTENT_KINDS,
    "referral_points": ("activated", "paid"),
    "kol": (*CONTENT_KINDS, "follower", "reshare", "audience", "paid"),
    "experts": (*CONTENT_KINDS, "reaction", "audience"),
}
METRIC_FAMILIES = ("acquisition", "activation", "retention", "revenue", "referral", "activity", "scale", "satisfaction")
ADDS = ("count", "rate", "stock")
OUTSIDE = "outside"  # where users come from and go to who are not known the night before or after


def check(rulebook: Rulebook, known_tools: Collection[str]) -> list[Problem]:
    """Every problem of the rulebook, refusals first; an empty list is a clean rulebook."""
    undescribed = list(_columns(rulebook))
    if undescribed:
        return [*rulebook.misread, *undescribed]
    with sealed_database() as database:
        state = Typist(rulebook.state_columns, database)
        problems = [
            *rulebook.misread,
            *_names(rulebook, known_tools),
            *_stages(rulebook, Typist(rulebook.feature_columns, database), state),
            *_plan_states(rulebook, Typist(rulebook.feature_columns, database)),
            *_tags(rulebook, Typist(rulebook.tag_columns, database)),
            *_memory(Typist(rulebook.feature_columns, database), rulebook.tags, "tag"),
            *_segments(rulebook, state),
            *_funnels(rulebook, Typist(rulebook.activity_columns, database)),
            *_rfm_groups(rulebook, database),
            *_rfm_scores(rulebook),
            *_tiers(rulebook, Typist(rulebook.feature_columns, database)),
            *_membership(rulebook),
            *_point_rules(rulebook, Typist(rulebook.columns["int_user_day"], database)),
            *_benefits(rulebook, Typist(rulebook.benefit_columns, database)),
            *_periods(rulebook),
            *_retentions(rulebook),
            *_survivals(rulebook),
            *_value(rulebook),
            *_community(rulebook, Typist(rulebook.community_columns, database)),
            *_churn(rulebook),
            *_precursors(rulebook, Typist(rulebook.look_back_columns, database)),
            *_key_behaviours(rulebook),
            *_metrics(rulebook),
            *_goals(rulebook),
            *_lists(rulebook, known_tools),
        ]
    return sorted(dict.fromkeys(problems), key=lambda problem: problem.is_warning)


def _refuse(rule: Rule, kind: str, sentence: str) -> Problem:
    return Problem(file=rule.file, rule=f"{kind} {rule.name}", sentence=sentence)


def _warn(rule: Rule, kind: str, sentence: str) -> Problem:
    return Problem(file=rule.file, rule=f"{kind} {rule.name}", sentence=sentence, is_warning=True)


def _columns(rulebook: Rulebook) -> Iterator[Problem]:
    for model in DESCRIBED_MODELS:
        file = rulebook.files.get(model) or "models"
        columns = rulebook.columns.get(model, {})
        if not columns:
            yield Problem(file=file, rule=model, sentence="documents no column in YAML, so no rule over it can be typed; list its columns.")
        for name, sql_type in columns.items():
            if not COLUMN_TYPE.fullmatch(sql_type):
                sentence = f"the column '{name}' has the data_type '{sql_type}'; give it a plain SQL type such as bigint."
                yield Problem(file=file, rule=model, sentence=sentence)


@functools.cache
def _reserved_words() -> frozenset[str]:
    with duckdb.connect(":memory:") as database:
        return frozenset(
            word
            for (word,) in database.execute("select keyword_name from duckdb_keywords() where keyword_category = 'reserved'").fetchall()
        )


def _names(rulebook: Rulebook, known_tools: Collection[str]) -> Iterator[Problem]:
    kinds: list[tuple[str, Sequence[Rule], Collection[str]]] = [
        ("stage", rulebook.stages, ()),
        ("plan state", rulebook.plan_states, ()),
        ("tag", rulebook.tags, rulebook.tag_columns),
        ("segment", rulebook.segments, ("user_id",)),
        ("funnel", rulebook.funnels, ()),
        ("group", rulebook.rfm_groups, ("prospect",)),
        ("tier", rulebook.tiers, ()),
        ("level", rulebook.levels, (OUTSIDE,)),
        ("points", rulebook.point_rules, ()),
        ("benefit", rulebook.benefits, ()),
        ("retention", rulebook.retentions, ()),
        ("survival", rulebook.survivals, ()),
        ("opinion leader", rulebook.kol_tiers, ()),
        ("precursor", rulebook.precursors, ()),
        ("behaviour", rulebook.behaviours, ()),
        ("outcome", rulebook.outcomes, ()),
        ("key behaviour", rulebook.key_behaviours, ()),
        ("metric", rulebook.metrics, ()),
        ("goal", rulebook.goals, ()),
        ("list", rulebook.lists, ()),
    ]
    for kind, rules, taken in kinds:
        seen: set[str] = set()
        for rule in rules:
            if not NAME.fullmatch(rule.name):
                yield _refuse(
                    rule, kind, f"'{rule.name[:60]}' is not a name; use lower-case letters, digits and _ and begin with a letter."
                )
            elif rule.name in _reserved_words():
                yield _refuse(rule, kind, f"'{rule.name}' is a reserved word of SQL; take another name.")
            if rule.name in seen:
                yield _refuse(rule, kind, f"another {kind} has the same name; rename one of them.")
            if rule.name in taken:
                yield _refuse(rule, kind, f"'{rule.name}' is already a column of the table it would be added to; rename it.")
            if not rule.label:
                yield _refuse(rule, kind, "has no label; add what people call it.")
            if kind in ("stage", "plan state", "tier", "tag", "segment"):
                if re.search(r"\d", rule.name):
                    yield _warn(rule, kind, "has a number in its name; the name stays when the threshold changes, so leave the number out.")
                if tools := [tool for tool in known_tools if f"_{tool}_" in f"_{rule.name}_"]:
                    yield _warn(rule, kind, f"names the tool '{tools[0]}'; name the users, not where the list goes.")
            seen.add(rule.name)


def _condition(typist: Typist, rule: Rule, kind: str, condition: str, key: str, *, is_aggregate: bool = False) -> list[Problem]:
    return [_refuse(rule, kind, f"in '{key}', {sentence}") for sentence in typist.faults(condition, is_aggregate=is_aggregate)]


def _sound(typist: Typist, rules: Iterable[Stage | PlanState | Tier | Tag | RfmGroup | Benefit | KolTier], kind: str) -> Iterator[Problem]:
    """Each condition by itself: allowed, typed, and possible."""
    for rule in rules:
        faults = _condition(typist, rule, kind, rule.when, "when")
        yield from faults
        if not faults and (sentence := contradiction([rule.when])):
            yield _refuse(rule, kind, sentence)


def _memory(typist: Typist, rules: Iterable[Stage | PlanState | Tier | Tag], kind: str) -> Iterator[Problem]:
    """What keeps a rule on: over the features alone, and easier to meet than what switches it on."""
    for rule in rules:
        if rule.stays_when is None:
            continue
        faults = _condition(typist, rule, kind, rule.stays_when, "stays_when")
        if not faults and rule.when.strip():
            faults = _condition(typist, rule, kind, rule.when, "when, which a rule with a memory asks of the features alone")
        yield from faults
        if faults or not rule.when.strip():
            continue
        if is_everything(rule.stays_when):
            yield _refuse(rule, kind, "stays on for ever with `stays_when: true`; say when a user leaves.")
        elif is_everything(rule.when) or conjuncts(rule.when) <= conjuncts(rule.stays_when):
            yield _refuse(rule, kind, "'stays_when' holds only where 'when' does, so it keeps nobody; loosen it or take it out.")
        elif sentence := contradiction([rule.stays_when]):
            yield _refuse(rule, kind, f"in 'stays_when', {sentence}")
        elif part := harder_to_keep(rule.when, rule.stays_when):
            yield _refuse(rule, kind, f"asks for more to stay ('{part}') than to enter; loosen 'stays_when' or tighten 'when'.")


def _ladder(typist: Typist, rules: Sequence[Stage | PlanState | Tier], kind: str, model: str, file: str) -> Iterator[Problem]:
    """A ladder as a whole: every rule can be asked, every rule can win, and nobody falls off."""
    if not rules:
        yield Problem(file=file, rule=model, sentence=f"lists no {kind} under config.meta.stages; every user needs one.")
        return
    yield from _sound(typist, rules, kind)
    yield from _memory(typist, rules, kind)
    yield from _first_match_wins([rule for rule in rules if not guard(rule.when, typist.columns)], kind)
    if not guard(rules[-1].when, typist.columns) and not is_everything(rules[-1].when):
        yield _refuse(rules[-1], kind, "is the last one and must catch everybody left; write `when: true`.")
    for rule in rules:
        if rule.name == OUTSIDE:
            yield _refuse(rule, kind, "has the name that stands for users who are not known yet or no more; take another name.")


def _plan_states(rulebook: Rulebook, features: Typist) -> Iterator[Problem]:
    file = rulebook.files.get("user_plan_state") or "models"
    yield from _ladder(features, rulebook.plan_states, "plan state", "user_plan_state", file)
    for state in rulebook.plan_states:
        if not state.goal:
            yield _refuse(state, "plan state", "has no goal; say what its users should do next.")


def _tiers(rulebook: Rulebook, features: Typist) -> Iterator[Problem]:
    yield from _ladder(features, rulebook.tiers, "tier", "user_tier", rulebook.files.get("user_tier") or "models")
    for tier in rulebook.tiers:
        if not tier.care or not tier.care_zh:
            yield _refuse(tier, "tier", "has no care or care_zh; a tier exists so that its users get something of their own: say what.")
        if not guard(tier.when, rulebook.feature_columns) and (
            used := [name for name in columns_in(tier.when) if name in rulebook.sensitive]
        ):
            yield _refuse(
                tier, "tier", f"uses the sensitive column '{used[0]}'; a tier says what users did, so make a tag with a purpose of it."
            )


def _membership(rulebook: Rulebook) -> Iterator[Problem]:
    """The ladder of levels: what it measures adds up by day, reaches fall from the top, and each can be kept."""
    levels = rulebook.levels
    if not levels:
        file = rulebook.files.get("user_membership") or "models"
        yield Problem(file=file, rule="user_membership", sentence="lists no level under config.meta.levels; every user needs one.")
        return
    daily = {*rulebook.columns["int_user_day"], POINTS}
    adding = [name for name in rulebook.feature_columns if re.sub(r"_\d+d$", "", name) in daily]
    for membership in rulebook.memberships:
        if membership.measure not in adding:
            near = closest(membership.measure, adding)
            yield _refuse(
                membership,
                "rules",
                f"measure the levels by '{membership.measure[:60]}', which is no column of int_user_features that adds up by day{near or '.'}",
            )
    for above, level in itertools.pairwise(levels):
        if above.reach is not None and level.reach is not None and level.reach >= above.reach:
            yield _refuse(level, "level", f"takes as much as '{above.name}' above it or more; list the highest first.")
    for level in levels[:-1]:
        yield from _level(level)
    last = levels[-1]
    if last.reach != 0 or last.keep is not None or last.valid_days or last.valid_months or last.grace_days:
        yield _refuse(last, "level", "is the last one and everybody's; write `reach: 0` and nothing of keeping or validity.")


def _level(level: Level) -> Iterator[Problem]:
    if level.reach is None or level.reach <= 0:
        yield _refuse(level, "level", "has no reach above 0; say what it takes.")
    elif level.keep is not None and level.keep > level.reach:
        yield _refuse(level, "level", f"asks for more to keep it ({level.keep:g}) than to reach it ({level.reach:g}); lower `keep`.")
    if level.keep is not None and level.keep <= 0:
        yield _refuse(level, "level", "is kept with nothing at all, so nobody leaves it; raise `keep` above 0.")
    if level.valid_days is not None and level.valid_months is not None:
        yield _refuse(level, "level", "is valid for days and for months; declare one of `valid_days` and `valid_months`.")
    if any(valid is not None and valid < 1 for valid in (level.valid_days, level.valid_months)) or level.grace_days < 0:
        yield _refuse(level, "level", "has a validity or grace below its least; a validity is at least 1, a grace at least 0.")
    if level.keep in (None, level.reach) and not (level.valid_days or level.valid_months or level.grace_days):
        yield _warn(level, "level", "is lost on the first night below its reach, so users will flap; add `keep`, a validity or a grace.")


def _point_rules(rulebook: Rulebook, days: Typist) -> Iterator[Problem]:
    for rule in rulebook.point_rules:
        for sentence in days.faults(rule.points, is_number=True):
            yield _refuse(rule, "points", f"in 'points', {sentence}")
    for membership in rulebook.memberships:
        if membership.measure.startswith(POINTS) and not rulebook.point_rules:
            yield _refuse(membership, "rules", "measure the levels in points, but no rule earns any; list them under config.meta.points.")


def _benefits(rulebook: Rulebook, incentives: Typist) -> Iterator[Problem]:
    levels = [level.name for level in rulebook.levels]
    faults = list(_sound(incentives, rulebook.benefits, "benefit"))
    yield from faults
    if not faults:
        yield from _first_match_wins(rulebook.benefits, "benefit")
    for benefit in rulebook.benefits:
        if not benefit.levels:
            yield _refuse(benefit, "benefit", "belongs to no level; list those that have a claim to it under `levels`.")
        for name in benefit.levels:
            if name not in levels:
                yield _refuse(benefit, "benefit", f"names the level '{name[:60]}', which does not exist{closest(name, levels) or '.'}")


def _stages(rulebook: Rulebook, features: Typist, state: Typist) -> Iterator[Problem]:
    stages = rulebook.stages
    yield from _ladder(features, stages, "stage", "user_lifecycle", rulebook.files.get("user_lifecycle") or "models")
    exported = {each.segment for each in rulebook.lists}
    for stage in stages:
        if not guard(stage.when, rulebook.feature_columns) and (
            used := [name for name in columns_in(stage.when) if name in rulebook.sensitive]
        ):
            yield _refuse(
                stage, "stage", f"uses the sensitive column '{used[0]}'; a stage says what users did, so make a tag with a purpose of it."
            )
    for stage in stages:
        for key in PLAYBOOK:
            if not getattr(stage, key):
                yield _refuse(stage, "stage", f"has no {key}; a stage without its line of the playbook cannot be worked on.")
        yield from _kpi(state, stage)
        if stage.segment and rulebook.segment(stage.segment) is None:
            near = closest(stage.segment, [segment.name for segment in rulebook.segments])
            yield _refuse(stage, "stage", f"names the segment '{stage.segment}', which does not exist{near or '.'}")
        elif stage.segment and stage.segment not in exported:
            yield _refuse(
                stage, "stage", f"names the segment '{stage.segment}', which no list exports, so nobody can act on it; add an exposure."
            )
        elif stage.segment and not _reaches(rulebook, stage.segment, stage.name):
            yield _refuse(
                stage, "stage", f"names the segment '{stage.segment}', which takes users of other stages only; name one that reaches it."
            )


def _kpi(state: Typist, stage: Stage) -> Iterator[Problem]:
    """A stage is measured: by a number that follows from its users, with a target to hold it against."""
    kpi = stage.kpi
    if not kpi.name or not kpi.sql:
        yield _refuse(stage, "stage", "has no KPI; give `kpi` a name and an sql over the users of the night.")
        return
    faults = _condition(state, stage, "stage", kpi.sql, "kpi.sql", is_aggregate=True)
    yield from faults
    if not faults and not columns_in(kpi.sql):
        yield _refuse(stage, "stage", f"has the KPI '{kpi.name}', which measures nothing: its sql reads no column.")
    if not kpi.label:
        yield _refuse(stage, "stage", f"has the KPI '{kpi.name}' without a label; add what people call it.")
    if kpi.target is None or kpi.direction is None:
        yield _refuse(stage, "stage", f"has the KPI '{kpi.name}' without a target; give `target` a number and `direction` up or down.")


def _reaches(rulebook: Rulebook, segment: str, stage: str, within: tuple[str, ...] = ()) -> bool:
    """Whether a segment can hold users of a stage, as far as its steps name stages; what cannot be read counts as yes."""
    found = rulebook.segment(segment)
    if found is None or segment in within:
        return True
    for is_wanted, steps in ((True, found.include), (False, found.exclude)):
        for step in steps:
            if step.segment is not None:
                if is_wanted and not _reaches(rulebook, step.segment, stage, (*within, segment)):
                    return False
            elif step.when and not guard(step.when, rulebook.state_columns):
                allowed = texts_allowed(step.when, STAGE_COLUMN)
                taken_out = not is_wanted and allowed is not None and len(conjuncts(step.when)) == 1 and stage in allowed
                if taken_out or (is_wanted and allowed is not None and stage not in allowed):
                    return False
    return True


def _first_match_wins(rules: Sequence[Stage | PlanState | Tier | RfmGroup | Benefit | KolTier], kind: str) -> Iterator[Problem]:
    """A rule below a wider one can never win, so which of the two was meant is not said."""
    for earlier, later in itertools.combinations(rules, 2):
        if is_everything(earlier.when):
            yield _refuse(earlier, kind, f"catches everybody before '{later.name}' is asked; put it last.")
        elif conjuncts(earlier.when) <= conjuncts(later.when):
            sentence = (
                f"can never be reached: whoever fits it already fits '{earlier.name}' above; put the narrower one first or tell them apart."
            )
            yield _refuse(later, kind, sentence)


def _tags(rulebook: Rulebook, typist: Typist) -> Iterator[Problem]:
    yield from _sound(typist, rulebook.tags, "tag")
    for tag in rulebook.tags:
        for key in ("family", "owner"):
            if not getattr(tag, key):
                yield _refuse(tag, "tag", f"has no {key}; say who answers for it and where it belongs.")
        if tag.precedence not in PRECEDENCES:
            yield _refuse(
                tag, "tag", f"has the precedence '{tag.precedence[:60]}'; say {' or '.join(PRECEDENCES)}: whose word counts first."
            )
        yield from _known_stages(rulebook, tag, "tag", tag.when, rulebook.tag_columns)
        yield from _reasoned(rulebook, tag, "tag", [tag.when])


def _reasoned(rulebook: Rulebook, rule: Tag | Segment, kind: str, conditions: Iterable[str]) -> Iterator[Problem]:
    """A rule over what people are, not what they did, says what for and with what right."""
    columns = rulebook.tag_columns if isinstance(rule, Tag) else rulebook.state_columns
    readable = [condition for condition in conditions if not guard(condition, columns)]
    used = [name for condition in readable for name in columns_in(condition) if name in rulebook.sensitive]
    missing = [key for key in ("purpose", "basis") if not getattr(rule, key).strip()]
    if used and missing:
        yield _refuse(
            rule,
            kind,
            f"uses the sensitive column '{used[0]}' without {' and '.join(missing)}; declare both (what it is for, and on what basis the shop "
            "may use it), or leave the column out.",
        )


def _known_stages(rulebook: Rulebook, rule: Rule, kind: str, condition: str, columns: Collection[str]) -> Iterator[Problem]:
    if guard(condition, dict.fromkeys(columns, "")):
        return
    for column, what, rules in (
        (STAGE_COLUMN, "stage", rulebook.stages),
        ("plan_state", "plan state", rulebook.plan_states),
        ("tier", "tier", rulebook.tiers),
        ("level", "level", rulebook.levels),
    ):
        names = [each.name for each in rules]
        for text in texts_compared_with(condition, column):
            if text not in names:
                yield _refuse(rule, kind, f"asks for the {what} '{text}', which does not exist{closest(text, names) or '.'}")


def _segments(rulebook: Rulebook, typist: Typist) -> Iterator[Problem]:
    names = [segment.name for segment in rulebook.segments]
    exported = {each.segment for each in rulebook.lists}
    used = {step.segment for segment in rulebook.segments for step in segment.steps}
    for segment in rulebook.segments:
        if not segment.owner:
            yield _refuse(segment, "segment", "has no owner; say who answers for it.")
        if not segment.include:
            yield _refuse(segment, "segment", "has no include step; write `include: ['true']` for a segment that begins with everybody.")
        faults: list[Problem] = []
        for key, steps in (("include", segment.include), ("exclude", segment.exclude)):
            for number, step in enumerate(steps, 1):
                if (step.when is None) == (step.segment is None):
                    faults.append(_refuse(segment, "segment", f"{key} step {number} must be one condition or one {{segment: name}}."))
                elif step.segment is not None and step.segment not in names:
                    near = closest(step.segment, names)
                    faults.append(
                        _refuse(
                            segment, "segment", f"{key} step {number} names the segment '{step.segment}', which does not exist{near or '.'}"
                        )
                    )
                elif step.when is not None:
                    faults += _condition(typist, segment, "segment", step.when, f"{key} step {number}")
                    faults += _known_stages(rulebook, segment, "segment", step.when, typist.columns)
        yield from faults
        yield from _reasoned(rulebook, segment, "segment", [step.when for step in segment.steps if step.when])
        if path := _way_back(rulebook, segment):
            yield _refuse(segment, "segment", f"is defined by itself ({' → '.join(path)}); take one of these steps out.")
        elif not faults and (sentence := _impossible(segment)):
            yield _refuse(segment, "segment", sentence)
        if segment.name not in exported | used:
            yield _warn(segment, "segment", "is exported by no list; add an exposure or take it out.")


def _way_back(rulebook: Rulebook, start: Segment) -> list[str] | None:
    """The chain of references that leads from a segment back to itself."""
    waiting = [[start.name]]
    visited: set[str] = set()
    while waiting:
        path = waiting.pop(0)
        segment = rulebook.segment(path[-1])
        for step in segment.steps if segment else ():
            if step.segment == start.name:
                return [*path, start.name]
            if step.segment is not None and step.segment not in visited:
                visited.add(step.segment)
                waiting.append([*path, step.segment])
    return None


def _impossible(segment: Segment) -> str | None:
    if both := {step.segment for step in segment.include} & {step.segment for step in segment.exclude} - {None}:
        return f"the segment '{min(filter(None, both))}' is both required and excluded, so nobody is left."
    return contradiction([step.when for step in segment.include if step.when], [step.when for step in segment.exclude if step.when])


def _funnels(rulebook: Rulebook, typist: Typist) -> Iterator[Problem]:
    for funnel in rulebook.funnels:
        yield from _funnel_shape(funnel, typist)
        for step in funnel.steps:
            yield from _condition(typist, funnel, "funnel", step.when, f"step {step.name}")


def _funnel_shape(funnel: Funnel, typist: Typist) -> Iterator[Problem]:
    names = [step.name for step in funnel.steps]
    if len(names) < 2:
        yield _refuse(funnel, "funnel", "has fewer than two steps; a funnel leads from one step to another.")
    if len(set(names)) < len(names):
        yield _refuse(funnel, "funnel", "has two steps of the same name; rename one of them.")
    if funnel.object not in typist.columns:
        yield _refuse(
            funnel,
            "funnel",
            f"holds the object '{funnel.object}', which is no column of int_activity{closest(funnel.object, typist.columns) or '.'}",
        )
    for number, step in enumerate(funnel.steps, 1):
        if not NAME.fullmatch(step.name) or not step.label:
            yield _refuse(funnel, "funnel", f"step {number} needs a name of lower-case letters, digits and _, and a label.")
        if number == 1 and step.within_days is not None:
            yield _refuse(funnel, "funnel", "its first step has within_days, but nothing comes before it; take it out.")
        if number > 1 and (step.within_days is None or step.within_days < 0):
            yield _refuse(funnel, "funnel", f"step '{step.name}' needs within_days: the days allowed since the step before.")
        if step.same_object and funnel.unit == "user":
            yield _refuse(
                funnel, "funnel", f"step '{step.name}' asks for the same object, but the unit is the user; set `unit: user_object`."
            )


def _choice(rule: Rule, kind: str, key: str, value: str, known: Sequence[str]) -> Iterator[Problem]:
    if value not in known:
        yield _refuse(rule, kind, f"'{key}' is '{value[:60]}'; it must be one of {', '.join(known)}{closest(value, known) or '.'}")


def _periods(rulebook: Rulebook) -> Iterator[Problem]:
    for rules in rulebook.periods:
        yield from _choice(rules, "rules", "new_by", rules.new_by, CHOICES["new_by"])


def _retentions(rulebook: Rulebook) -> Iterator[Problem]:
    for retention in rulebook.retentions:
        for key in ("start", "returns", "grain", "kind", "entry"):
            yield from _choice(retention, "retention", key, getattr(retention, key), CHOICES[key])
        for dimension in retention.dimensions:
            yield from _choice(
                retention, "retention", "dimensions", dimension, [name for name in rulebook.dimensions if name != STAGE_COLUMN]
            )
        yield from _retention_cells(retention)


def _retention_cells(retention: Retention) -> Iterator[Problem]:
    if retention.periods is None or retention.periods < 1:
        yield _refuse(retention, "retention", "needs periods: the last one that is looked at, at least 1.")
    if (retention.kind == "brackets") != bool(retention.brackets):
        yield _refuse(retention, "retention", "needs brackets, the first period of each, exactly when its kind is brackets.")
    ascending = all(earlier < later for earlier, later in itertools.pairwise((0, *retention.brackets)))
    if retention.brackets and (not ascending or retention.brackets[-1] > (retention.periods or 0)):
        yield _refuse(retention, "retention", "its brackets must ascend from 1 on, and none may begin after its periods.")
    if retention.start == "registered" and retention.entry == "recurring":
        yield _refuse(retention, "retention", "starts from the registration, which happens once; set `entry: first_time`.")


def _survivals(rulebook: Rulebook) -> Iterator[Problem]:
    for survival in rulebook.survivals:
        yield from _choice(survival, "survival", "activity", survival.activity, CHOICES["activity"])
        yield from _choice(survival, "survival", "entry", survival.entry, ("registered", "first_activity"))
        yield from _has_an_end(rulebook, survival, "survival", survival.activity)


def _has_an_end(rulebook: Rulebook, rule: Rule, kind: str, activity: str) -> Iterator[Problem]:
    """What speaks of the churn of an activity finds its days declared."""
    if activity in CHOICES["activity"] and rulebook.churned_after(activity) is None:
        yield _refuse(rule, kind, f"needs the days of silence that end '{activity}'; add them to after_days at user_churn_risk.")


def _churn(rulebook: Rulebook) -> Iterator[Problem]:
    """Churn is said once, can be measured, and the stage of that name begins with it."""
    if not rulebook.churn:
        file = rulebook.files.get("user_churn_risk") or "models"
        sentence = "declares no churn under config.meta.churn; say after how many days of silence a user has churned."
        yield Problem(file=file, rule="user_churn_risk", sentence=sentence)
    for rules in rulebook.churn:
        for activity, days in rules.after_days.items():
            yield from _choice(rules, "rules", "after_days", activity, CHOICES["activity"])
            if days < 1:
                yield _refuse(rules, "rules", f"after_days of '{activity}' is {days}; give a number of days, at least 1.")
        if "active" not in rules.after_days:
            yield _refuse(rules, "rules", "after_days lacks 'active', by which users are counted as churned every night; add it.")
        risk = rules.risk
        yield from _choice(rules, "rules", "risk.by", risk.by, ("window", "personal_gap"))
        yield from _choice(rules, "rules", "risk.activity", risk.activity, tuple(rules.after_days))
        if risk.by == "personal_gap" and risk.activity != "purchase":
            yield _refuse(
                rules, "rules", "risk by personal_gap is measured in gaps between purchases; set `activity: purchase`, or `by: window`."
            )
        if not 0 < risk.at_risk_ratio < risk.lapsed_ratio:
            yield _refuse(rules, "rules", "at_risk_ratio must lie above 0 and below lapsed_ratio, or nobody is ever at risk.")
        if min(risk.min_gaps, risk.least_days) < 1:
            yield _refuse(rules, "rules", "min_gaps and least_days must be at least 1.")
        for stage in rulebook.stages:
            if stage.name != "churned" or guard(stage.when, rulebook.feature_columns):
                continue
            for column, activity in (("days_since_order", "purchase"), ("days_since_active", "active")):
                begins, days = least_whole(stage.when, column), rules.after_days.get(activity)
                if begins is not None and days is not None and begins != days:
                    sentence = f"begins at {begins:g} {column}, but churn is {days} days at user_churn_risk; write `{column} >= {days}`."
                    yield _refuse(stage, "stage", sentence)


def _comparison(rules: Comparison) -> Iterator[Problem]:
    if not 0 < rules.false_discovery_rate < 1:
        yield _refuse(rules, "rules", "false_discovery_rate must lie between 0 and 1; 0.05 lets one in twenty discoveries be chance.")
    if rules.least_users < 1 or rules.least_expected <= 0:
        yield _refuse(rules, "rules", "least_users must be at least 1 and least_expected above 0; 30 and 5 are usual.")


def _ascending(rules: Rule, key: str, values: Sequence[int]) -> Iterator[Problem]:
    if not values or values[0] < 1 or any(earlier >= later for earlier, later in itertools.pairwise(values)):
        yield _refuse(rules, "rules", f"{key} must be numbers that ascend from 1 or more; they are {list(values)}.")


def _precursors(rulebook: Rulebook, typist: Typist) -> Iterator[Problem]:
    for rules in rulebook.precursor_rules:
        yield from _comparison(rules)
        yield from _choice(rules, "rules", "activity", rules.activity, CHOICES["activity"])
        yield from _has_an_end(rulebook, rules, "rules", rules.activity)
        yield from _ascending(rules, "tenure_bounds", rules.tenure_bounds)
        yield from _ascending(rules, "active_bounds", rules.active_bounds)
        if min(rules.look_back_days, rules.value_days, rules.value_groups) < 1:
            yield _refuse(rules, "rules", "look_back_days, value_days and value_groups must be at least 1.")
        if not rulebook.precursors:
            yield _refuse(rules, "rules", "lists no behaviour to look at; add one under behaviours.")
    for precursor in rulebook.precursors:
        yield from _condition(typist, precursor, "precursor", precursor.when, "when")


def _key_behaviours(rulebook: Rulebook) -> Iterator[Problem]:
    measures = tuple(rulebook.day_measures)
    for behaviour in rulebook.behaviours:
        yield from _choice(behaviour, "behaviour", "measure", behaviour.measure, measures)
    for rules in rulebook.key_behaviour_rules:
        yield from _comparison(rules)
        yield from _ascending(rules, "counts", rules.counts)
        yield from _ascending(rules, "within_days", rules.within_days)
        for likeness in rules.adjust_for:
            yield from _choice(rules, "rules", "adjust_for", likeness.measure, measures)
            yield from _ascending(rules, f"bounds of {likeness.measure}", likeness.bounds)
        if rules.cohort_days < 1:
            yield _refuse(rules, "rules", "needs cohort_days: users of how many dates of registration are looked at, at least 1.")
        if not rulebook.behaviours or not rulebook.outcomes:
            yield _refuse(rules, "rules", "needs at least one of behaviours and one of outcomes.")
        if len(rulebook.behaviours) + 7 * (len(rules.adjust_for) + 2) > 62:  # what days are alike in is one whole number
            yield _refuse(rules, "rules", "has more behaviours and adjust_for than a comparison can hold; take some out.")
        for outcome in rulebook.outcomes:
            yield from _outcome(outcome, max(rules.within_days, default=0))
        for chosen in rulebook.key_behaviours:
            yield from _choice(chosen, "key behaviour", "behaviour", chosen.behaviour, [each.name for each in rulebook.behaviours])
            if chosen.count not in rules.counts or chosen.within_days not in rules.within_days:
                sentence = (
                    f"asks for {chosen.count} within {chosen.within_days} days, which is no candidate; take one of counts and within_days."
                )
                yield _refuse(chosen, "key behaviour", sentence)


def _outcome(outcome: Outcome, longest_window: int) -> Iterator[Problem]:
    yield from _choice(outcome, "outcome", "activity", outcome.activity, CHOICES["activity"])
    if outcome.from_day < longest_window:
        sentence = f"begins on day {outcome.from_day}, within the longest window of within_days, so who did it had to stay; begin on day {longest_window}."
        yield _refuse(outcome, "outcome", sentence)
    if outcome.to_day < outcome.from_day:
        yield _refuse(outcome, "outcome", "ends before it begins; give to_day at least from_day.")


def _value(rulebook: Rulebook) -> Iterator[Problem]:
    rules = rulebook.value
    if rules is None:
        return
    file, rule = rulebook.files[scored.USERS], f"settings of {scored.USERS}"
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


def _rfm_scores(rulebook: Rulebook) -> Iterator[Problem]:
    for scores in rulebook.rfm_scores:
        yield from _choice(scores, "rules", "mode", scores.mode, ("quantiles", "thresholds"))
        if scores.window_days is None or scores.window_days < 1:
            yield _refuse(scores, "rules", "need window_days: how many days of purchases count, at least 1.")
        if scores.mode == "thresholds" and set(scores.thresholds) != set(LETTERS):
            yield _refuse(scores, "rules", "in the mode thresholds need bounds for each of r, f and m, and for nothing else.")
        for letter, bounds in scores.thresholds.items():
            steps = [(later - earlier) * (-1 if letter == "r" else 1) for earlier, later in itertools.pairwise(bounds)]
            if len(bounds) != 4 or min(steps) <= 0:
                way = "falling days" if letter == "r" else "rising numbers"
                yield _refuse(scores, "rules", f"need four {way} for '{letter}': what the scores 2, 3, 4 and 5 take.")


def _weights(rule: Rule, kind: str, key: str, weights: Mapping[str, float], known: Sequence[str]) -> Iterator[Problem]:
    """Weights of known things, none below 0, and not all 0."""
    for name, weight in weights.items():
        if name not in known:
            yield _refuse(rule, kind, f"'{key}' weighs '{name[:60]}', which is none of {', '.join(known)}{closest(name, known) or '.'}")
        if weight < 0:
            yield _refuse(rule, kind, f"'{key}' gives '{name[:60]}' a weight below 0; take it out to leave it uncounted.")
    if not any(weight > 0 for weight in weights.values()):
        yield _refuse(rule, kind, f"'{key}' has no weight above 0, so nobody would count; weigh at least one of {', '.join(known)}.")


def _at_least(rule: Rule, kind: str, least: int, **values: int | None) -> Iterator[Problem]:
    for key, value in values.items():
        if value is None or value < least:
            yield _refuse(rule, kind, f"needs {key}: a whole number, at least {least}.")


def _community(rulebook: Rulebook, typist: Typist) -> Iterator[Problem]:
    for rules in rulebook.contributions:
        lengths = [
            days
            for days in (7, 30, 90, 365)
            if {f"spend_amount_{days}d", f"refund_amount_{days}d", f"ticket_count_{days}d"} <= rulebook.feature_columns.keys()
        ]
        if rules.window_days not in lengths:
            known = ", ".join(map(str, lengths)) or "none"
            sentence = f"window_days is {rules.window_days}; int_user_features has spend, refunds and tickets of these lengths: {known}."
            yield _refuse(rules, "rules", sentence)
        yield from _at_least(rules, "rules", 1, least_users=rules.least_users, follow_days=rules.follow_days)
        yield from _weights(rules, "rules", "weights", rules.weights, WEIGHED["contribution"])
        yield from _weights(rules, "rules", "content_points", rules.content_points, WEIGHED["content_points"])
        yield from _weights(rules, "rules", "referral_points", rules.referral_points, WEIGHED["referral_points"])
        ways = ("share_of_contribution", "share_of_users")
        if len(rules.core) != 1 or not all(way in ways and 0 < share < 1 for way, share in rules.core.items()):
            yield _refuse(rules, "rules", f"core must be exactly one of {' and '.join(ways)}, a share above 0 and below 1.")
        if sorted(rules.service) != ["cap_share", "ticket_cost_amount"] or min(rules.service.values()) < 0:
            yield _refuse(rules, "rules", "service needs ticket_cost_amount and cap_share, neither below 0.")
    for invitations in rulebook.referrals:
        yield from _at_least(
            invitations, "rules", 1, activation_days=invitations.activation_days, burst_invitees=invitations.burst_invitees
        )
    for score in rulebook.kol_scores:
        yield from _weights(score, "rules", "weights", score.weights, WEIGHED["kol"])
    faults = list(_sound(typist, rulebook.kol_tiers, "tier"))
    yield from faults
    if not faults:
        yield from _first_match_wins(rulebook.kol_tiers, "tier")
        for tier in rulebook.kol_tiers:
            if is_everything(tier.when):
                yield _refuse(tier, "tier", "makes everybody an opinion leader; ask for a score or an audience.")
            elif {"kol_tier", "is_core_user"} & set(columns_in(tier.when)):
                yield _refuse(tier, "tier", "asks for what is decided beside it; ask for counts and kol_score.")
    consents = contract.tables()["consents"]
    for experts in rulebook.experts:
        yield from _at_least(experts, "rules", 1, window_days=experts.window_days, least_score=experts.least_score)
        yield from _at_least(experts, "rules", 0, least_audience=experts.least_audience)
        yield from _weights(experts, "rules", "weights", experts.weights, WEIGHED["experts"])
        yield from _choice(experts, "rules", "channel", experts.channel, consents.column("channel").known)
        yield from _choice(experts, "rules", "purpose", experts.purpose, consents.column("purpose").known)


def _metrics(rulebook: Rulebook) -> Iterator[Problem]:
    retentions = {retention.name: retention for retention in rulebook.retentions}
    for metric in rulebook.metrics:
        yield from _choice(metric, "metric", "family", metric.family, METRIC_FAMILIES)
        yield from _choice(metric, "metric", "adds", metric.adds, ADDS)
        yield from _choice(metric, "metric", "needs", metric.needs, sorted(contract.tables()))
        if (metric.adds == "rate") != (metric.type == "ratio"):
            yield _refuse(
                metric, "metric", f"is of type {metric.type} and adds up as a {metric.adds}; a ratio is a rate, and nothing else is."
            )
        if metric.retention is None:
            continue
        yield from _choice(metric, "metric", "retention", metric.retention, sorted(retentions))
        if found := retentions.get(metric.retention):
            cells = (0, *found.brackets) if found.kind == "brackets" else range((found.periods or 0) + 1)
            if metric.period not in cells:
                yield _refuse(metric, "metric", f"looks at period {metric.period}, which the retention '{found.name}' has no cell for.")
        asked = [f"= '{metric.retention}'", f"= {metric.period}", "= 'total'"]
        if sorted(re.findall(r"= (?:'[^']*'|\d+)", metric.asks)) != sorted(asked):
            yield _refuse(
                metric, "metric", f"its filter does not ask for what its meta says: 'total', '{metric.retention}', {metric.period}."
            )


def _goals(rulebook: Rulebook) -> Iterator[Problem]:
    if not rulebook.goals:
        yield Problem(
            file=rulebook.files.get("goal_scorecard") or "models",
            rule="goal_scorecard",
            sentence="lists no goal under config.meta.goals; say what operations are there for.",
        )
    known = {metric.name: metric for metric in rulebook.metrics}
    for goal in rulebook.goals:
        if not goal.owner:
            yield _refuse(goal, "goal", "has no owner; say who answers for it.")
        if not goal.metrics:
            yield _refuse(goal, "goal", "has no metric; a goal that is not measured cannot be reached.")
        for bound in goal.metrics:
            yield from _choice(goal, "goal", "metric", bound.metric, sorted(known))
            yield from _choice(goal, "goal", "period", bound.period, GRAINS)
            if bound.target is None or bound.direction is None:
                yield _refuse(
                    goal, "goal", f"has the metric '{bound.metric}' without a target; give `target` a number and `direction` up or down."
                )
            if bound.at_least < 0 or (bound.at_least and bound.metric in known and known[bound.metric].adds != "rate"):
                yield _refuse(goal, "goal", f"at_least of '{bound.metric}' is the least denominator of a rate; take it out.")
        bindings = [(bound.metric, bound.period) for bound in goal.metrics]
        for metric, period in sorted({each for each in bindings if bindings.count(each) > 1}):
            yield _refuse(goal, "goal", f"has two targets for the metric '{metric}' by {period}; keep one.")


def _rfm_groups(rulebook: Rulebook, database: duckdb.DuckDBPyConnection) -> Iterator[Problem]:
    groups = rulebook.rfm_groups
    if not groups:
        yield Problem(
            file=rulebook.files.get("user_rfm") or "models",
            rule="user_rfm",
            sentence="lists no group under config.meta.groups; every buyer needs one.",
        )
        return
    faults = list(_sound(Typist(SCORE_COLUMNS, database), groups, "group"))
    yield from faults
    if faults:
        return
    yield from _first_match_wins(groups, "group")
    if not is_everything(groups[-1].when):
        yield _refuse(groups[-1], "group", "is the last one and must catch every score left; write `when: true`.")
    won = _winners(groups, database)
    for group in groups:
        if group.name not in won:
            yield _refuse(group, "group", "wins for no score at all; put it higher or take it out.")


def _winners(groups: Sequence[RfmGroup], database: duckdb.DuckDBPyConnection) -> set[str]:
    """The groups that win at least one of the 125 score triples."""
    rows = ", ".join(f"({r}, {f}, {m}, {(f + m + 1) // 2})" for r, f, m in itertools.product(range(1, 6), repeat=3))
    cases = " ".join(f"when {group.when} then {number}" for number, group in enumerate(groups))
    query = f"select distinct case {cases} end from (values {rows}) as scores(r, f, m, fm)"
    return {groups[number].name for (number,) in database.execute(query).fetchall() if number is not None}


def _lists(rulebook: Rulebook, known_tools: Collection[str]) -> Iterator[Problem]:
    consents = contract.tables()["consents"]
    segments = [segment.name for segment in rulebook.segments]
    fields = [
        *itertools.chain.from_iterable(rulebook.columns[model] for model in ("user_profile", "user_lifecycle", "user_tags")),
        *CONTACT_FIELDS,
    ]
    for each in rulebook.lists:
        yield from _one_of(each, "tool", each.tool, sorted(known_tools))
        yield from _one_of(each, "segment", each.segment, segments)
        yield from _one_of(each, "mode", each.mode, MODES)
        yield from _one_of(each, "match_key", each.match_key, MATCH_KEYS)
        yield from _one_of(each, "channel", each.channel, consents.column("channel").known)
        yield from _one_of(each, "purpose", each.purpose, consents.column("purpose").known)
        for tool_field, column in each.fields.items():
            if column not in fields:
                yield _refuse(
                    each,
                    "list",
                    f"fills the field '{tool_field}' from '{column}', which is no column a list may carry{closest(column, fields) or '.'}",
                )
        if not 0 < each.max_removed_share <= 1:
            yield _refuse(
                each, "list", "max_removed_share must lie above 0 and not above 1; 0.5 stops a list that would lose more than half."
            )
        if not each.depends_on_audiences:
            yield _refuse(each, "list", f"does not depend on ref('{LIST_MODEL}'), so the lineage ends before it; add it to depends_on.")


def _one_of(each: ContactList, key: str, value: str, known: Sequence[str]) -> Iterator[Problem]:
    if not value:
        yield _refuse(each, "list", f"has no {key}; say which: {', '.join(known)}.")
    elif value not in known:
        yield _refuse(
            each,
            "list",
            f"names the {key} '{value[:60]}', which does not exist{closest(value, known) or '; known are ' + ', '.join(known) + '.'}",
        )
