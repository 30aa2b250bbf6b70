"""How the rulebook is read from dbt's manifest: where each kind of rule stands in it.

Add a line in `load` when a new kind of rule appears; reading is lenient on purpose, so that one mistake never hides another.
Must not judge a rule beyond its shape (check does), evaluate a condition, or open a database.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from userops_pipeline.core import scored
from userops_pipeline.core.rulebook.book import DESCRIBED_MODELS, Rulebook
from userops_pipeline.core.rulebook.kinds import churn, community, goals, groups, journeys, lifecycle, lists
from userops_pipeline.core.rulebook.kinds.rule import Rule
from userops_pipeline.core.rulebook.problem import Problem, closest

NO_SETTING = ("label", "owner", "window", "window_start")  # in the meta of a table, and no setting of it
RULED_MODELS = ("user_plan_state", "user_rfm", "user_tier", "user_membership", "user_churn_risk", "goal_scorecard")


def load(manifest: Mapping[str, Any] | Path) -> Rulebook:
    """The rules in a dbt manifest (target/manifest.json or its content)."""
    document: Mapping[str, Any] = json.loads(manifest.read_text(encoding="utf-8")) if isinstance(manifest, Path) else manifest
    models = {node["name"]: node for node in document.get("nodes", {}).values() if node.get("resource_type") == "model"}
    misread: list[Problem] = []

    def listed(kind: type[AnyRule], model: str, key: str) -> tuple[AnyRule, ...]:
        node = models.get(model, {})
        entries = _meta(node).get(key, [])
        if not isinstance(entries, list):
            misread.append(
                Problem(file=_file(node), rule=model, sentence=f"'{key}' must be a list, in the order in which it is to be read.")
            )
            return ()
        return tuple(_read(kind, entry, _file(node), f"{key} entry {number}", misread) for number, entry in enumerate(entries, 1))

    def settings(kind: type[AnyRule], model: str, key: str, inner: Collection[str] = ()) -> tuple[AnyRule, ...]:
        """One mapping of the model's meta as a rule of that name, without the lists in it (`inner`); none where it is not there."""
        node = models.get(model, {})
        found = _meta(node).get(key)
        kept = {name: value for name, value in found.items() if name not in inner} if isinstance(found, Mapping) else {}
        return (_read(kind, {**kept, "name": key}, _file(node), key, misread),) if isinstance(found, Mapping) else ()

    def nested(kind: type[AnyRule], model: str, key: str, inner: str) -> tuple[AnyRule, ...]:
        node = models.get(model, {})
        found = _meta(node).get(key)
        entries = found.get(inner, []) if isinstance(found, Mapping) else []
        if not isinstance(entries, list):
            misread.append(Problem(file=_file(node), rule=model, sentence=f"'{inner}' of '{key}' must be a list."))
            return ()
        return tuple(_read(kind, entry, _file(node), f"{inner} entry {number}", misread) for number, entry in enumerate(entries, 1))

    def from_columns(kind: type[AnyRule], model: str) -> tuple[AnyRule, ...]:
        node = models.get(model, {})
        return tuple(
            _read(kind, {**_meta(column), "name": name}, _file(node), f"column {name}", misread)
            for name, column in node.get("columns", {}).items()
            if (column.get("data_type") or "").lower() in ("boolean", "bool") or {"when", "include", "exclude"} & set(_meta(column))
        )

    def stated(kind: type[AnyRule], model: str, name: str) -> tuple[AnyRule, ...]:
        """Those keys of the model's meta itself that the rule has."""
        meta = _meta(models.get(model, {}))
        found = {field: meta[field] for field in kind.model_fields.keys() & meta.keys()}
        return (_read(kind, {"name": name, **found}, _file(models[model]), name, misread),) if found else ()

    exported = tuple(
        _read(
            lists.ContactList,
            {
                **_meta(exposure),
                "name": exposure["name"],
                "label": exposure.get("label") or _meta(exposure).get("label", ""),
                "depends_on_audiences": _depends_on_audiences(exposure),
            },
            exposure.get("original_file_path", ""),
            f"exposure {exposure['name']}",
            misread,
        )
        for exposure in sorted(document.get("exposures", {}).values(), key=lambda each: each["name"])
        if _depends_on_audiences(exposure) or {"tool", "segment"} & set(_meta(exposure))
    )
    values = next((node for node in document.get("sources", {}).values() if node["name"] == scored.USERS), {})
    value = _settings(scored.ValueRules, values, misread)
    _settings(scored.HistoryRules, models.get("int_value_history", {}), misread)
    return Rulebook(
        activity=settings(
            lifecycle.ActivityRules,
            "user_counts_daily",
            "activity",
            ["active", "reached", "engaged", "followed", "unfollowed", "converted"],
        ),
        stages=listed(lifecycle.Stage, "user_lifecycle", "stages"),
        plan_states=listed(lifecycle.PlanState, "user_plan_state", "stages"),
        paid_rules=settings(lifecycle.PaidRules, "user_plan_state", "paid", ["periods"]),
        paid_periods=nested(lifecycle.PaidPeriod, "user_plan_state", "paid", "periods"),
        tags=from_columns(lists.Tag, "user_tags"),
        segments=from_columns(lists.Segment, "user_segments"),
        funnels=listed(journeys.Funnel, "funnel_conversion", "funnels"),
        rfm_groups=listed(groups.RfmGroup, "user_rfm", "groups"),
        rfm_scores=stated(groups.RfmScores, "user_rfm", "rfm"),
        tiers=listed(groups.Tier, "user_tier", "stages"),
        memberships=stated(groups.Membership, "user_membership", "membership"),
        levels=listed(groups.Level, "user_membership", "levels"),
        point_rules=listed(groups.PointRule, "user_membership", "points"),
        benefits=listed(groups.Benefit, "membership_benefits", "benefits"),
        periods=settings(journeys.PeriodRules, "period_lifecycle", "periods"),
        retentions=listed(journeys.Retention, "retention_cohorts", "retentions"),
        survivals=listed(journeys.Survival, "user_survival", "survivals"),
        contributions=settings(community.Contribution, "user_contribution", "contribution"),
        referrals=settings(community.ReferralRules, "user_contribution", "referrals"),
        kol_scores=stated(community.KolScore, "kol", "kol"),
        kol_tiers=listed(community.KolTier, "kol", "tiers"),
        experts=settings(community.Experts, "expert_directory", "experts"),
        churn=settings(churn.ChurnRules, "user_churn_risk", "churn"),
        precursor_rules=settings(churn.PrecursorRules, "churn_precursors", "precursors", ["behaviours"]),
        precursors=nested(churn.Precursor, "churn_precursors", "precursors", "behaviours"),
        key_behaviour_rules=settings(churn.KeyBehaviourRules, "key_behaviours", "key_behaviours", ["behaviours", "outcomes", "chosen"]),
        behaviours=nested(churn.Behaviour, "key_behaviours", "key_behaviours", "behaviours"),
        outcomes=nested(churn.Outcome, "key_behaviours", "key_behaviours", "outcomes"),
        key_behaviours=nested(churn.KeyBehaviour, "key_behaviours", "key_behaviours", "chosen"),
        metrics=tuple(
            _read(
                goals.Metric,
                {**_meta(metric), "name": metric["name"], "type": metric.get("type"), "asks": _asks(metric), "of": _of(metric)},
                metric.get("original_file_path", ""),
                f"metric {metric['name']}",
                misread,
            )
            for metric in sorted(document.get("metrics", {}).values(), key=lambda each: each["name"])
            if "family" in _meta(metric)
        ),
        goals=listed(goals.Goal, "goal_scorecard", "goals"),
        dimensions=tuple(
            str(dimension["name"])
            for dimension in _meta(models.get("user_structure_daily", {})).get("dimensions", [])
            if isinstance(dimension, Mapping) and "name" in dimension
        ),
        lists=exported,
        value=value,
        columns={name: _column_types(models[name]) for name in DESCRIBED_MODELS if name in models},
        sensitive=tuple(
            name for name, column in models.get("int_user_features", {}).get("columns", {}).items() if _meta(column).get("sensitive")
        ),
        files={name: _file(models[name]) for name in sorted({*DESCRIBED_MODELS, *RULED_MODELS} & models.keys())}
        | ({scored.USERS: _file(values)} if values else {}),
        misread=tuple(misread),
    )


AnyRule = TypeVar("AnyRule", bound=Rule)


def _read(kind: type[AnyRule], entry: Any, file: str, position: str, misread: list[Problem]) -> AnyRule:
    """One rule; keys that cannot be read are reported and left out, so that the rest is still checked."""
    if not isinstance(entry, Mapping):
        misread.append(Problem(file=file, rule=position, sentence="must be a mapping of keys to values."))
        return kind(file=file)
    keys = {str(key): value for key, value in entry.items() if value is not None}
    rule = str(keys.get("name") or position)
    try:
        return kind.model_validate({**keys, "file": file})
    except ValidationError as error:
        for key, sentence in _faults(error, kind):
            misread.append(Problem(file=file, rule=rule, sentence=sentence))
            keys.pop(key, None)
        return kind.model_validate({**keys, "file": file})


AnySettings = TypeVar("AnySettings", bound=BaseModel)


def _settings(kind: type[AnySettings], node: Mapping[str, Any], misread: list[Problem]) -> AnySettings | None:
    """What is declared of one table as a whole, each key of it needed; None, with a problem for every fault, where it cannot be read."""
    if not node:
        return None
    declared = {key: value for key, value in _meta(node).items() if key not in NO_SETTING}
    try:
        return kind.model_validate(declared)
    except ValidationError as error:
        misread += [
            Problem(file=_file(node), rule=f"settings of {node['name']}", sentence=sentence) for _, sentence in _faults(error, kind)
        ]
        return None


def _faults(error: ValidationError, kind: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """The key and the sentence of everything pydantic refuses."""
    for fault in error.errors(include_url=False, include_input=False):
        where = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            sentence = f"the key '{where}' is not known here{closest(where, kind.model_fields) or '.'}"
        elif fault["type"] == "missing":
            sentence = f"the key '{where}' is missing; declare it."
        else:
            sentence = f"'{where}' cannot be read: {fault['msg'][0].lower()}{fault['msg'][1:]}."
        yield str(fault["loc"][0]), sentence


def _meta(node: Mapping[str, Any]) -> dict[str, Any]:
    return dict((node.get("config") or {}).get("meta") or node.get("meta") or {})


def _file(node: Mapping[str, Any]) -> str:
    """The YAML file that documents the model, inside the dbt project."""
    return str(node.get("patch_path") or node.get("original_file_path") or "").split("://")[-1]


def _column_types(node: Mapping[str, Any]) -> dict[str, str]:
    return {name.lower(): str(column.get("data_type") or "").lower() for name, column in node.get("columns", {}).items()}


def _asks(metric: Mapping[str, Any]) -> str:
    """The conditions MetricFlow puts on the rows of a metric, as written."""
    return " and ".join(each["where_sql_template"] for each in (metric.get("filter") or {}).get("where_filters", []))


def _of(metric: Mapping[str, Any]) -> str:
    parts = metric.get("type_params") or {}
    return " / ".join(parts[part]["name"] for part in ("measure", "numerator", "denominator") if parts.get(part))


def _depends_on_audiences(exposure: Mapping[str, Any]) -> bool:
    return any(node.rsplit(".", 1)[-1] == lists.LIST_MODEL for node in (exposure.get("depends_on") or {}).get("nodes", []))
