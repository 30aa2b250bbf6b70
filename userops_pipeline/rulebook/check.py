"""The judgement over a whole rulebook: every reason not to build, and every doubt, each with the file, the rule and the way to mend it.

Add a check, in the file of its subject under checks/, when a mistake in the rules would otherwise surface as wrong numbers, a broken build or a message to the wrong person.
Must not read data or files, and must not stop at the first problem.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator, Sequence

import duckdb

from userops_pipeline.rulebook.book import DESCRIBED_MODELS, Rulebook
from userops_pipeline.rulebook.checks.churn import churn, key_behaviours, precursors
from userops_pipeline.rulebook.checks.community import community
from userops_pipeline.rulebook.checks.goals import goals, metrics
from userops_pipeline.rulebook.checks.groups import benefits, membership, point_rules, rfm_groups, rfm_scores, tiers, value
from userops_pipeline.rulebook.checks.journeys import funnels, periods, retentions, survivals
from userops_pipeline.rulebook.checks.judging import NAME, OUTSIDE, memory, owners, refuse, warn
from userops_pipeline.rulebook.checks.lifecycle import paid, plan_states, stages
from userops_pipeline.rulebook.checks.lists import lists, segments, tags
from userops_pipeline.rulebook.condition import Typist, sealed_database
from userops_pipeline.rulebook.kinds.rule import Rule
from userops_pipeline.rulebook.problem import Problem

COLUMN_TYPE = re.compile(r"[a-z]+(\(\d+(, ?\d+)?\))?( with time zone)?")


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
            *stages(rulebook, Typist(rulebook.feature_columns, database), state),
            *plan_states(rulebook, Typist(rulebook.feature_columns, database)),
            *paid(rulebook),
            *tags(rulebook, Typist(rulebook.tag_columns, database)),
            *memory(Typist(rulebook.feature_columns, database), rulebook.tags, "tag"),
            *segments(rulebook, state),
            *funnels(rulebook, Typist(rulebook.activity_columns, database)),
            *rfm_groups(rulebook, database),
            *rfm_scores(rulebook),
            *tiers(rulebook, Typist(rulebook.feature_columns, database)),
            *membership(rulebook),
            *point_rules(rulebook, Typist(rulebook.columns["int_user_day"], database)),
            *benefits(rulebook, Typist(rulebook.benefit_columns, database)),
            *periods(rulebook),
            *retentions(rulebook),
            *survivals(rulebook),
            *value(rulebook),
            *community(rulebook, Typist(rulebook.community_columns, database)),
            *churn(rulebook),
            *precursors(rulebook, Typist(rulebook.look_back_columns, database)),
            *key_behaviours(rulebook),
            *metrics(rulebook),
            *goals(rulebook),
            *lists(rulebook, known_tools),
            *owners(rulebook),
        ]
    return sorted(dict.fromkeys(problems), key=lambda problem: problem.is_warning)


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
        ("paid period", rulebook.paid_periods, ()),
        ("family", rulebook.families, ()),
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
                yield refuse(rule, kind, f"'{rule.name[:60]}' is not a name; use lower-case letters, digits and _ and begin with a letter.")
            elif rule.name in _reserved_words():
                yield refuse(rule, kind, f"'{rule.name}' is a reserved word of SQL; take another name.")
            if rule.name in seen:
                yield refuse(rule, kind, f"another {kind} has the same name; rename one of them.")
            if rule.name in taken:
                yield refuse(rule, kind, f"'{rule.name}' is already a column of the table it would be added to; rename it.")
            if not rule.label:
                yield refuse(rule, kind, "has no label; add what people call it.")
            if kind in ("stage", "plan state", "tier", "tag", "segment"):
                if re.search(r"\d", rule.name):
                    yield warn(rule, kind, "has a number in its name; the name stays when the threshold changes, so leave the number out.")
                if tools := [tool for tool in known_tools if f"_{tool}_" in f"_{rule.name}_"]:
                    yield warn(rule, kind, f"names the tool '{tools[0]}'; name the users, not where the list goes.")
            seen.add(rule.name)
