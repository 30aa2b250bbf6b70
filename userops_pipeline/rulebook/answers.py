"""Answers to people's questions: which rules are there, how many users a condition takes, and why a user is where he is.

Add a question here when it can be answered from the rulebook and published tables alone, by reading only.
Must not open the private warehouse, show a contact value, or print; the command line lays the answers out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import duckdb

from userops_pipeline.ground.sealing import seal
from userops_pipeline.rulebook.book import Rulebook, from_json
from userops_pipeline.rulebook.condition import Typist, columns_in, guard
from userops_pipeline.rulebook.kinds.lists import ContactList, Segment, Step
from userops_pipeline.rulebook.kinds.rule import Lasting, Told
from userops_pipeline.rulebook.problem import Frozen, RuleError

Value = Any


class RuleRow(Frozen):
    """One rule as a line of a table."""

    kind: Literal[
        "stage",
        "plan state",
        "paid for",
        "paid period",
        "tag",
        "segment",
        "funnel",
        "group",
        "tier",
        "level",
        "points",
        "benefit",
        "opinion leader",
        "retention",
        "survival",
        "churn",
        "precursor",
        "key behaviour",
        "metric",
        "goal",
        "list",
    ]
    name: str
    label: str
    owner: str
    rule: str
    file: str


class StageCount(Frozen):
    stage: str
    label: str
    users: int
    share: float
    """Share of the stage's own users."""


class Preview(Frozen):
    condition: str
    users: int
    everyone: int
    share: float
    stages: tuple[StageCount, ...]
    user_ids: tuple[str, ...] = ()  # as many as were asked for


class RuleSeen(Frozen):
    """A rule that put the user where he is, with the values it saw."""

    name: str
    label: str
    when: str
    stays_when: str | None
    values: dict[str, Value]


class TagSeen(RuleSeen):
    """A tag the user carries: since when, and by whose word where an agent gave it instead of the rule."""

    since_on: Value
    author: str | None


class StageSeen(RuleSeen):
    since_on: Value
    days_in_stage: Value
    previous_stage: Value


class StepSeen(Frozen):
    number: int
    kind: Literal["include", "exclude"]
    when: str | None
    segment: str | None
    is_passed: bool
    """Whether the user stays: an include step that holds, an exclude step that does not."""
    values: dict[str, Value]


class SegmentSeen(Frozen):
    name: str
    label: str
    is_member: bool
    steps: tuple[StepSeen, ...]
    failed: StepSeen | None
    """The first step at which the user falls out."""


class ListSeen(Frozen):
    name: str
    label: str
    tool: str
    segment: str
    is_on: bool
    decision: str | None
    """What became of the user on the way from the segment to the list; None where they are not in the segment."""
    reason: str | None
    """Why, more closely, where the user is not on the list."""
    failed: StepSeen | None
    """The first step of the segment at which the user falls out."""


class Worth(Frozen):
    """What the user has brought and is expected to bring, or why nothing can be said."""

    historic_amount: Value
    order_count: Value
    predicted_amount: Value
    alive_probability: Value
    churn_risk: str | None
    next_order_on: Value
    eligibility: str


class Explanation(Frozen):
    user_id: str
    stage: StageSeen | None
    worth: Worth | None
    tags: tuple[TagSeen, ...]
    segments: tuple[SegmentSeen, ...]
    lists: tuple[ListSeen, ...]
    labels: dict[str, str]
    """What people call the columns that conditions are written over, in Chinese."""
    stands: dict[str, dict[str, str]]
    """What people call the values of `stage` and `plan_state`, in Chinese."""


def list_rules(rulebook: Rulebook) -> list[RuleRow]:
    """Every rule as one row, in the order in which it is read."""
    kinds: list[tuple[str, Sequence[Told]]] = [
        ("stage", rulebook.stages),
        ("plan state", rulebook.plan_states),
        ("paid for", rulebook.paid_rules),
        ("paid period", rulebook.paid_periods),
        ("tag", rulebook.tags),
        ("segment", rulebook.segments),
        ("funnel", rulebook.funnels),
        ("group", rulebook.rfm_groups),
        ("tier", rulebook.tiers),
        ("level", rulebook.levels),
        ("points", rulebook.point_rules),
        ("benefit", rulebook.benefits),
        ("retention", rulebook.retentions),
        ("survival", rulebook.survivals),
        ("opinion leader", rulebook.kol_tiers),
        ("churn", rulebook.churn),
        ("precursor", rulebook.precursors),
        ("key behaviour", rulebook.key_behaviours),
        ("metric", rulebook.metrics),
        ("goal", rulebook.goals),
        ("list", rulebook.lists),
    ]
    return [
        RuleRow.model_validate(
            {
                "kind": kind,
                "name": rule.name,
                "label": rule.label,
                "owner": rule.owner.name if isinstance(rule, ContactList) else getattr(rule, "owner", ""),
                "rule": rule.text,
                "file": rule.file,
            }
        )
        for kind, rules in kinds
        for rule in rules
    ]


def preview(condition: str, rulebook: Rulebook, published_database: Path, *, ids: int = 0) -> Preview:
    """How many users of the published night a condition takes, in all and by stage, in one scan; and, where they are asked for, the first ids."""
    if faults := Typist(rulebook.state_columns).faults(condition):
        raise RuleError("This condition cannot be asked: " + " ".join(faults))
    with duckdb.connect(str(published_database), read_only=True) as database:
        seal(database, published_database.parent)
        state = _state_relation(database, "user_profile", "user_tags")
        _refuse_unpublished(columns_in(condition), _columns_of(database, state))
        rows = database.execute(
            f"select stage, count(*), coalesce(sum(case when ({condition}) then 1 else 0 end), 0) from {state} group by stage"
        ).fetchall()
        who = database.execute(f"select user_id from {state} where ({condition}) order by user_id limit ?", [ids]).fetchall() if ids else []
    order = {stage.name: (number, stage.label) for number, stage in enumerate(rulebook.stages)}
    rows.sort(key=lambda row: (order.get(row[0], (len(order), ""))[0], row[0]))
    users = sum(int(row[2]) for row in rows)
    everyone = sum(int(row[1]) for row in rows)
    return Preview(
        condition=condition,
        users=users,
        everyone=everyone,
        share=_share(users, everyone),
        stages=tuple(
            StageCount(stage=name, label=order.get(name, (0, ""))[1], users=int(taken), share=_share(int(taken), int(total)))
            for name, total, taken in rows
            if taken
        ),
        user_ids=tuple(str(user) for (user,) in who),
    )


def explain(user_id: str, generation_dir: Path) -> Explanation:
    """The stage, tags, segments and lists of one user in one generation, each with the rule and the values it saw."""
    rulebook = from_json((generation_dir / "rulebook.json").read_text(encoding="utf-8"))
    with duckdb.connect(":memory:") as database:
        seal(database, generation_dir)
        profile, tags, history, lifecycle, members = (
            f"read_parquet('{_quoted(generation_dir / f'{table}.parquet')}')"
            for table in ("user_profile", "user_tags", "user_tag_history", "user_lifecycle", "audience_members")
        )
        state = _state_relation(database, profile, tags)
        values = _one_row(database, state, user_id)
        if values is None:
            raise RuleError("There is no such user in this generation.")
        life = _one_row(database, lifecycle, user_id) or {}
        decisions: dict[str, tuple[str, str | None]] = {
            audience: (decision, reason)
            for audience, decision, reason in database.execute(
                f"select audience, decision, reason from {members} where user_id = $user_id", {"user_id": user_id}
            ).fetchall()
        }
        spells = {
            tag: (since_on, author)
            for tag, since_on, author in database.execute(
                f"select tag, from_on, author from {history} where user_id = $user_id and to_on is null", {"user_id": user_id}
            ).fetchall()
        }
        passed = _steps_passed(database, rulebook, state, user_id, values)
        worth = _one_row(database, f"read_parquet('{_quoted(generation_dir / 'user_value.parquet')}')", user_id)
        labels: dict[str, str] = dict(
            database.execute(
                "select column_name, any_value(label order by table_name) from "
                f"read_parquet('{_quoted(generation_dir / 'data_dictionary.parquet')}') "
                "where table_name in ('user_profile', 'user_tags') and label is not null group by column_name"
            ).fetchall()
        )
    stage = next((each for each in rulebook.stages if each.name == values.get("stage")), None)
    segments = tuple(_segment_seen(segment, passed, values) for segment in rulebook.segments)
    membership = {segment.name: segment for segment in segments}
    return Explanation(
        user_id=user_id,
        stage=None
        if stage is None
        else StageSeen(
            name=stage.name,
            label=stage.label,
            when=stage.when,
            stays_when=stage.stays_when,
            values=_seen_by(stage, values),
            since_on=life.get("since_on"),
            days_in_stage=life.get("days_in_stage"),
            previous_stage=life.get("previous_stage"),
        ),
        worth=None if worth is None else Worth(**{name: worth[name] for name in Worth.model_fields}),
        labels=labels,
        stands={
            "stage": {stage.name: stage.label for stage in rulebook.stages},
            "plan_state": {state.name: state.label for state in rulebook.plan_states},
        },
        tags=tuple(
            TagSeen(
                name=t.name,
                label=t.label,
                when=t.when,
                stays_when=t.stays_when,
                values=_seen_by(t, values),
                since_on=spells.get(t.name, (None, None))[0],
                author=spells.get(t.name, (None, None))[1],
            )
            for t in rulebook.tags
            if values.get(t.name) is True
        ),
        segments=segments,
        lists=tuple(
            ListSeen(
                name=each.name,
                label=each.label,
                tool=each.tool,
                segment=each.segment,
                is_on=decisions.get(each.name, (None, None))[0] == "exported",
                decision=decisions.get(each.name, (None, None))[0],
                reason=decisions.get(each.name, (None, None))[1],
                failed=membership[each.segment].failed if each.segment in membership else None,
            )
            for each in rulebook.lists
        ),
    )


def _state_relation(database: duckdb.DuckDBPyConnection, profile: str, tags: str) -> str:
    """What a condition sees, from published tables: the profile beside the tags."""
    known = set(_columns_of(database, profile))
    added = [f'tags."{name}"' for name in _columns_of(database, tags) if name not in known]
    return (
        f"(select {', '.join(['profile.*', *added])} from {profile} as profile left join {tags} as tags on tags.user_id = profile.user_id)"
    )


def _columns_of(database: duckdb.DuckDBPyConnection, relation: str) -> list[str]:
    return [row[0] for row in database.execute(f"describe select * from {relation} as described").fetchall()]


def _refuse_unpublished(wanted: Iterable[str], published: Iterable[str]) -> None:
    if missing := set(wanted) - set(published):
        raise RuleError(f"The published tables do not hold {', '.join(sorted(missing))} yet; build a night with the new rules first.")


def _one_row(database: duckdb.DuckDBPyConnection, relation: str, user_id: str) -> dict[str, Value] | None:
    found = database.execute(f"select * from {relation} as found where user_id = $user_id", {"user_id": user_id})
    names = [column[0] for column in found.description or ()]
    row = found.fetchone()
    return None if row is None else dict(zip(names, row, strict=True))


def _steps_passed(
    database: duckdb.DuckDBPyConnection, rulebook: Rulebook, state: str, user_id: str, published: Mapping[str, Value]
) -> dict[tuple[str, str, int], bool]:
    """Whether the user stays at each step of each segment; every condition passes the guard again before it is asked."""
    keys: list[tuple[str, str, int]] = []
    expressions: list[str] = []
    for segment in rulebook.segments:
        for kind, steps in (("include", segment.include), ("exclude", segment.exclude)):
            for number, step in enumerate(steps, 1):
                holds = f"coalesce({_step_sql(step, rulebook, published)}, false)"
                keys.append((segment.name, kind, number))
                expressions.append(holds if kind == "include" else f"not {holds}")
    if not expressions:
        return {}
    row = database.execute(
        f"select {', '.join(expressions)} from {state} as state where user_id = $user_id", {"user_id": user_id}
    ).fetchone()
    return dict(zip(keys, map(bool, row or ()), strict=True))


def _step_sql(step: Step, rulebook: Rulebook, published: Mapping[str, Value], within: tuple[str, ...] = ()) -> str:
    if step.segment is None:
        if faults := guard(step.when or "", rulebook.state_columns):
            raise RuleError("The rulebook of this generation cannot be asked: " + " ".join(faults))
        _refuse_unpublished(columns_in(step.when or ""), published)
        return f"({step.when})"
    segment = rulebook.segment(step.segment)
    if segment is None or step.segment in within:
        raise RuleError(f"The rulebook of this generation cannot be asked: the segment '{step.segment}' is missing or defined by itself.")
    deeper = (*within, step.segment)
    wanted = [f"coalesce({_step_sql(each, rulebook, published, deeper)}, false)" for each in segment.include]
    unwanted = [f"not coalesce({_step_sql(each, rulebook, published, deeper)}, false)" for each in segment.exclude]
    return f"({' and '.join([*wanted, *unwanted]) or 'true'})"


def _segment_seen(segment: Segment, passed: Mapping[tuple[str, str, int], bool], values: Mapping[str, Value]) -> SegmentSeen:
    kinds: tuple[tuple[Literal["include", "exclude"], tuple[Step, ...]], ...] = (("include", segment.include), ("exclude", segment.exclude))
    steps = tuple(
        StepSeen(
            number=number,
            kind=kind,
            when=step.when,
            segment=step.segment,
            is_passed=passed[segment.name, kind, number],
            values=_seen(step.when, values) if step.when is not None else {},
        )
        for kind, members in kinds
        for number, step in enumerate(members, 1)
    )
    failed = next((step for step in steps if not step.is_passed), None)
    return SegmentSeen(name=segment.name, label=segment.label, is_member=failed is None, steps=steps, failed=failed)


def _seen(condition: str, values: Mapping[str, Value]) -> dict[str, Value]:
    return {name: values.get(name) for name in columns_in(condition)}


def _seen_by(rule: Lasting, values: Mapping[str, Value]) -> dict[str, Value]:
    """What a rule saw: what switches it on, and what keeps it on."""
    return _seen(rule.when, values) | (_seen(rule.stays_when, values) if rule.stays_when is not None else {})


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
