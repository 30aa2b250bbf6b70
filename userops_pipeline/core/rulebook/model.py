"""The shapes of the rules, and how they are read from dbt's manifest and written beside a generation.

Add here when a rule gets a new key or a new kind of rule appears; reading is lenient on purpose, so that one mistake never hides another.
Must not judge a rule beyond its shape (check does), evaluate a condition, or open a database.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from userops_pipeline.core import scored

LIST_MODEL = "audiences"
NO_SETTING = ("label", "owner", "window", "window_start")  # in the meta of a table, and no setting of it
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
RULED_MODELS = ("user_plan_state", "user_rfm", "user_tier", "user_membership", "user_churn_risk", "goal_scorecard")
LADDERS = ("stage", "plan_state", "tier", "level")
LEVEL_COLUMNS = {"next_level_share": "decimal(9,6)", "days_to_level_end": "bigint"}
COMMUNITY_COLUMNS = ("contribution_share", "is_core_user", "kol_score", "kol_tier")
"""Columns of int_user_community that tags and segments see beside the features."""
NOT_ADDED_UP = ("day_number", "gap_days")  # numbers of int_user_day whose sum over days means nothing


class RuleError(ValueError):
    """A rule, a rulebook or a question that cannot be used; the message is a sentence for a person."""


class Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Problem(Frozen):
    """What is wrong with one rule and how to mend it."""

    file: str
    rule: str
    sentence: str
    is_warning: bool = False
    line: int | None = None

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.rule}: {self.sentence}"


def _as_sql(value: Any) -> Any:
    """`when: true` is YAML's boolean and SQL's `true`."""
    return str(value).lower() if isinstance(value, bool) else value


def _as_step(value: Any) -> Any:
    return {"when": value} if isinstance(value, (str, bool)) else value


Sql = Annotated[str, BeforeValidator(_as_sql)]


def condition_text(when: str, stays_when: str | None) -> str:
    """A rule as people read it: when it is switched on and, where it has a memory, as long as what it stays on."""
    return when if stays_when is None else f"{when}; stays while {stays_when}"


class Rule(Frozen):
    """What every rule has: a name, the label people read, and the YAML file it stands in."""

    name: str = ""
    label: str = ""
    file: str = ""


class Kpi(Frozen):
    """What a stage is measured by on every night: an aggregate over all users, and what it should reach."""

    name: str = ""
    label: str = ""
    sql: Sql = ""
    target: float | None = None
    direction: Literal["up", "down"] | None = None
    """`up` where more is better."""


class Stage(Rule):
    """A lifecycle stage with its line of the playbook; of several stages that are on, the first one listed wins.

    `when` switches it on, and it stays on from night to night while `stays_when` holds, where that is given.
    """

    when: Sql = ""
    stays_when: Sql | None = None
    state: str = ""
    state_zh: str = ""
    goal: str = ""
    goal_zh: str = ""
    touchpoint: str = ""
    touchpoint_zh: str = ""
    kpi: Kpi = Kpi()
    action: str = ""
    action_zh: str = ""
    content: str = ""
    content_zh: str = ""
    segment: str = ""


class PlanState(Rule):
    """A step between visitor and loyal payer; it is chosen as a stage is."""

    when: Sql = ""
    stays_when: Sql | None = None
    goal: str = ""
    goal_zh: str = ""


class Tier(Rule):
    """A cell of value by activity; it is chosen as a stage is. `care` says what its users get."""

    when: Sql = ""
    stays_when: Sql | None = None
    care: str = ""
    care_zh: str = ""


class Level(Rule):
    """A membership level: reached at `reach` of the ladder's measure, kept down to `keep`, then valid and gracious for some days."""

    reach: float | None = None
    keep: float | None = None
    valid_days: int | None = None
    valid_months: int | None = None
    grace_days: int = 0


class PointRule(Rule):
    """What a user's day earns: a number over the counts and amounts of int_user_day."""

    points: Sql = ""


class Membership(Rule):
    """The ladder as a whole: the feature it measures."""

    measure: str = ""


class Benefit(Rule):
    """What an incentive is counted as, and the levels that have a claim to it."""

    when: Sql = ""
    levels: tuple[str, ...] = ()


class Tag(Rule):
    """True or false of every user; `precedence` says whose word counts where an agent has spoken and the rule knows an answer too."""

    family: str = ""
    owner: str = ""
    when: Sql = ""
    precedence: str = "manual"
    purpose: str = ""
    basis: str = ""
    stays_when: Sql | None = None


class Step(Frozen):
    """One step of a segment: a condition, or all members of another segment."""

    when: Sql | None = None
    segment: str | None = None

    @property
    def text(self) -> str:
        return f"segment {self.segment}" if self.segment is not None else (self.when or "")


Steps = tuple[Annotated[Step, BeforeValidator(_as_step)], ...]


class Segment(Rule):
    owner: str = ""
    purpose: str = ""
    basis: str = ""
    include: Steps = ()
    exclude: Steps = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.include + self.exclude


class FunnelStep(Frozen):
    name: str = ""
    label: str = ""
    when: Sql = ""
    within_days: int | None = None
    same_object: bool = False


class Funnel(Rule):
    """Ordered steps of a user, or of a user and one object (the int_activity column named by `object`)."""

    unit: Literal["user", "user_object"] = "user"
    object: str = "object_id"
    steps: tuple[FunnelStep, ...] = ()


class RfmGroup(Rule):
    when: Sql = ""


class RfmScores(Rule):
    """How scores are given: as fifths of the buyers (`quantiles`), or by declared bounds of the scores 2 to 5 (`thresholds`)."""

    mode: str = ""
    window_days: int | None = None
    thresholds: dict[str, tuple[float, ...]] = Field(default_factory=dict)


class PeriodRules(Rule):
    """When a user is new in a period."""

    new_by: str = ""


class Retention(Rule):
    """Who starts, who comes back, and in which periods that is looked at."""

    start: str = ""
    returns: str = ""
    grain: str = ""
    kind: str = ""
    entry: str = ""
    periods: int | None = None
    brackets: tuple[int, ...] = ()
    dimensions: tuple[str, ...] = ()


class Survival(Rule):
    """From when a user lives, and by what; the silence that ends it is that of ChurnRules."""

    entry: str = ""
    activity: str = ""


class RiskRules(Frozen):
    """What silence is measured in, and from which multiple of it on it is a risk."""

    by: str = ""
    activity: str = ""
    min_gaps: int = 1
    least_days: int = 1
    at_risk_ratio: float = 1
    lapsed_ratio: float = 2


class ChurnRules(Rule):
    """After how many days of silence a user has churned, by activity: the one place where that is said."""

    after_days: dict[str, int] = Field(default_factory=dict)
    risk: RiskRules = RiskRules()


class Comparison(Rule):
    """How many users a comparison needs, and what share of those called different may be so by chance."""

    least_users: int = 1
    least_expected: float = 5
    false_discovery_rate: float = 0.05


class PrecursorRules(Comparison):
    """Of whom, over which days and against which like users behaviours before churn are looked at."""

    activity: str = ""
    look_back_days: int = 0
    tenure_bounds: tuple[int, ...] = ()
    value_days: int = 0
    value_groups: int = 0
    active_bounds: tuple[int, ...] = ()


class Precursor(Rule):
    """A behaviour that may precede churn: a condition over sums of int_user_day."""

    when: Sql = ""


class Likeness(Frozen):
    measure: str = ""
    bounds: tuple[int, ...] = ()


class KeyBehaviourRules(Comparison):
    """Which users, how often and within how many first days; what days must be alike in."""

    cohort_days: int = 0
    counts: tuple[int, ...] = ()
    within_days: tuple[int, ...] = ()
    adjust_for: tuple[Likeness, ...] = ()


class Behaviour(Rule):
    """A behaviour that may keep users: a column of int_user_day, added up."""

    measure: str = ""


class Outcome(Rule):
    """What is hoped for later: an activity on one of the days since registration."""

    activity: str = ""
    from_day: int = 0
    to_day: int = -1


class KeyBehaviour(Rule):
    """A step of the value chain: a candidate that was chosen, and the experiment that confirmed it, if one has."""

    behaviour: str = ""
    count: int = 0
    within_days: int = 0
    confirmed_by: str = ""


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


class KolTier(Rule):
    when: Sql = ""


class Experts(Rule):
    """Who is an expert in a topic, and with which consent they may be asked."""

    window_days: int | None = None
    channel: str = ""
    purpose: str = ""
    weights: dict[str, int] = Field(default_factory=dict)
    least_score: int | None = None
    least_audience: int | None = None


class Metric(Rule):
    """A dbt metric that is published night by night; `adds` says how it is rolled up, `needs` the table without which there is none.

    One of a declared retention names it, and the period of it; `asks` is then what MetricFlow is told to look at.
    """

    type: str = ""
    family: str = ""
    adds: str = ""
    needs: str = ""
    retention: str | None = None
    period: int | None = None
    asks: str = ""
    of: str = ""
    """The measure, or the numerator and the denominator."""


class GoalMetric(Frozen):
    """What a goal is measured by: a metric over a period, and what it should reach."""

    metric: str = ""
    period: str = ""
    target: float | None = None
    direction: Literal["up", "down"] | None = None
    """`up` where more is better."""
    at_least: int = 0
    """The denominator below which a rate says nothing."""


class Goal(Rule):
    """An operating goal, who answers for it, and the metrics it is measured by."""

    owner: str = ""
    metrics: tuple[GoalMetric, ...] = ()


class ContactList(Rule):
    """A dbt exposure: one segment kept up to date in one campaign tool."""

    tool: str = ""
    segment: str = ""
    mode: str = ""
    match_key: str = ""
    channel: str = ""
    purpose: str = ""
    fields: dict[str, str] = Field(default_factory=dict)
    max_removed_share: float = 0.5
    depends_on_audiences: bool = True


class Rulebook(Frozen):
    stages: tuple[Stage, ...] = ()
    plan_states: tuple[PlanState, ...] = ()
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


def closest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing when nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


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

    def settings(kind: type[AnyRule], model: str, key: str, lists: Collection[str] = ()) -> tuple[AnyRule, ...]:
        """One mapping of the model's meta as a rule of that name, without the lists in it; none where it is not there."""
        node = models.get(model, {})
        found = _meta(node).get(key)
        kept = {name: value for name, value in found.items() if name not in lists} if isinstance(found, Mapping) else {}
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

    lists = tuple(
        _read(
            ContactList,
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
        stages=listed(Stage, "user_lifecycle", "stages"),
        plan_states=listed(PlanState, "user_plan_state", "stages"),
        tags=from_columns(Tag, "user_tags"),
        segments=from_columns(Segment, "user_segments"),
        funnels=listed(Funnel, "funnel_conversion", "funnels"),
        rfm_groups=listed(RfmGroup, "user_rfm", "groups"),
        rfm_scores=stated(RfmScores, "user_rfm", "rfm"),
        tiers=listed(Tier, "user_tier", "stages"),
        memberships=stated(Membership, "user_membership", "membership"),
        levels=listed(Level, "user_membership", "levels"),
        point_rules=listed(PointRule, "user_membership", "points"),
        benefits=listed(Benefit, "membership_benefits", "benefits"),
        periods=settings(PeriodRules, "period_lifecycle", "periods"),
        retentions=listed(Retention, "retention_cohorts", "retentions"),
        survivals=listed(Survival, "user_survival", "survivals"),
        contributions=settings(Contribution, "user_contribution", "contribution"),
        referrals=settings(ReferralRules, "user_contribution", "referrals"),
        kol_scores=stated(KolScore, "kol", "kol"),
        kol_tiers=listed(KolTier, "kol", "tiers"),
        experts=settings(Experts, "expert_directory", "experts"),
        churn=settings(ChurnRules, "user_churn_risk", "churn"),
        precursor_rules=settings(PrecursorRules, "churn_precursors", "precursors", ["behaviours"]),
        precursors=nested(Precursor, "churn_precursors", "precursors", "behaviours"),
        key_behaviour_rules=settings(KeyBehaviourRules, "key_behaviours", "key_behaviours", ["behaviours", "outcomes", "chosen"]),
        behaviours=nested(Behaviour, "key_behaviours", "key_behaviours", "behaviours"),
        outcomes=nested(Outcome, "key_behaviours", "key_behaviours", "outcomes"),
        key_behaviours=nested(KeyBehaviour, "key_behaviours", "key_behaviours", "chosen"),
        metrics=tuple(
            _read(
                Metric,
                {**_meta(metric), "name": metric["name"], "type": metric.get("type"), "asks": _asks(metric), "of": _of(metric)},
                metric.get("original_file_path", ""),
                f"metric {metric['name']}",
                misread,
            )
            for metric in sorted(document.get("metrics", {}).values(), key=lambda each: each["name"])
            if "family" in _meta(metric)
        ),
        goals=listed(Goal, "goal_scorecard", "goals"),
        dimensions=tuple(
            str(dimension["name"])
            for dimension in _meta(models.get("user_structure_daily", {})).get("dimensions", [])
            if isinstance(dimension, Mapping) and "name" in dimension
        ),
        lists=lists,
        value=value,
        columns={name: _column_types(models[name]) for name in DESCRIBED_MODELS if name in models},
        sensitive=tuple(
            name for name, column in models.get("int_user_features", {}).get("columns", {}).items() if _meta(column).get("sensitive")
        ),
        files={name: _file(models[name]) for name in sorted({*DESCRIBED_MODELS, *RULED_MODELS} & models.keys())}
        | ({scored.USERS: _file(values)} if values else {}),
        misread=tuple(misread),
    )


def to_json(rulebook: Rulebook) -> str:
    """The rulebook as text: what a generation keeps as rulebook.json."""
    return rulebook.model_dump_json(indent=1)


def from_json(text: str) -> Rulebook:
    """The rulebook a generation was built with."""
    try:
        return Rulebook.model_validate_json(text)
    except ValidationError as error:
        raise RuleError("This rulebook.json was written by another version of the project; build the night again.") from error


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
    return any(node.rsplit(".", 1)[-1] == LIST_MODEL for node in (exposure.get("depends_on") or {}).get("nodes", []))
