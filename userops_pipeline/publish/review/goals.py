"""Sections on what was aimed at: the scorecard of operating goals, and the metrics of the journey.

Add a section here when it holds a number against a target. Must not compute a metric: marts do.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from userops_pipeline.ground import reasons
from userops_pipeline.ground.words import Words, joined, named
from userops_pipeline.publish.review.parts import Cell, Mark, Part, Published, Table, section

STATUS: dict[str, Mark] = {
    "met": Mark(Words("met", "达成"), "good"),
    "on_track": Mark(Words("on track", "进展正常"), "good"),
    "missed": Mark(Words("missed", "未达成"), "bad"),
    "at_risk": Mark(Words("at risk", "有风险"), "bad"),
}
ROLLED = {
    "count": Words("sum", "合计"),
    "daily": Words("mean night", "日均"),
    "rate": Words("all together", "合并计算"),
    "stock": Words("last night", "期末"),
}
FAMILIES = {
    "acquisition": Words("Acquisition", "获客"),
    "activation": Words("Activation", "激活"),
    "retention": Words("Retention", "留存"),
    "revenue": Words("Revenue", "收入"),
    "referral": Words("Referral", "推荐"),
    "activity": Words("Activity", "活跃"),
    "scale": Words("Scale", "规模"),
    "satisfaction": Words("Satisfaction", "满意度"),
}


@section(
    "scorecard",
    Words("Goal scorecard", "运营目标记分卡"),
    Words(
        "Each operating goal by its metrics in the latest period; while it runs, a count is held against the share of the target that is due by now.",
        "各运营目标在最近周期的指标；周期未结束时，计数类指标与当前应达的目标份额比较。",
    ),
    "goal_scorecard",
)
def scorecard(published: Published) -> Iterator[Part]:
    found = published.rows(
        "select goal, goal_label, owner, metric, metric_label, period_on, is_complete, metric_value, direction, due_target, target, status, reason, "
        "change_share, denominator is not null from goal_scorecard qualify row_number() over (partition by goal, metric order by period_on desc) = 1 order by goal, metric"
    )
    rows: list[tuple[Cell, ...]] = []
    for (
        goal,
        goal_label,
        owner,
        metric,
        metric_label,
        period,
        done,
        value,
        direction,
        due,
        target,
        status,
        reason,
        change,
        is_rate,
    ) in found:
        bound = "≥" if direction == "up" else "≤"
        judged = STATUS.get(status) or Mark(reasons.in_words(reason or "not measurable"), "none")
        rows.append(
            (
                named(goal, goal_label),
                owner,
                named(metric, metric_label),
                Words(f"{period}" if done else f"{period}, still running", f"{period}" if done else f"{period}，进行中"),
                _number(value, metric, is_rate=is_rate),
                f"{bound} {_number(due, metric, is_rate=is_rate)}",
                f"{bound} {_number(target, metric, is_rate=is_rate)}",
                None if change is None else f"{100 * change:+.0f} %".replace("-", "−"),
                judged,
            )
        )
    if rows:
        heads = (
            Words("Goal", "目标"),
            Words("Owner", "负责人"),
            Words("Metric", "指标"),
            Words("Period", "周期"),
            Words("Value", "指标值"),
            Words("Due by now", "当前应达"),
            Words("Target", "目标值"),
            Words("Change", "环比"),
            Words("Status", "状态"),
        )
        yield Table(heads, rows)


@section(
    "metrics",
    Words("Metrics of the journey", "用户旅程指标"),
    Words(
        "Acquisition, activation, retention, revenue and referral, and what stands beside them: the last seven nights and the seven before.",
        "获客、激活、留存、收入、推荐及相关指标：最近七晚与再前七晚的对比。",
    ),
    "metrics_daily",
)
def metrics(published: Published) -> Iterator[Part]:
    """A count is summed over its nights, users of a night are their mean, a rate is the ratio of the sums, a stock is that of the last night."""
    found = published.rows(
        "with nights as (select *, night_on > $middle as is_now from metrics_daily where dimension = 'total' and night_on > $first), "
        "rolled as (select family, metric, label, adds, is_now, "
        "case adds when 'rate' then sum(numerator) / nullif(sum(denominator), 0) when 'stock' then max_by(numerator, night_on) when 'daily' then avg(numerator) "
        "else sum(numerator) end as value from nights group by family, metric, label, adds, is_now) "
        "select family, metric, label, adds, max(case when is_now then value end), max(case when not is_now then value end) "
        "from rolled group by family, metric, label, adds order by family, metric",
        {"middle": published.as_of - timedelta(7), "first": published.as_of - timedelta(14)},
    )
    order = {family: number for number, family in enumerate(FAMILIES)}
    rows: list[tuple[Cell, ...]] = []
    seen = ""
    for family, metric, label, adds, now, before in sorted(found, key=lambda row: (order.get(row[0], len(order)), row[0], row[1])):
        is_rate = adds == "rate"
        change = None if not before or now is None else f"{100 * (now - before) / abs(before):+.0f} %".replace("-", "−")
        head = joined(FAMILIES.get(family, named(family))) if family != seen else Words("")
        rolled = ROLLED.get(adds, named(adds))
        rows.append(
            (head, named(metric, label), rolled, _number(now, metric, is_rate=is_rate), _number(before, metric, is_rate=is_rate), change)
        )
        seen = family
    if rows:
        heads = (
            Words("Family", "类别"),
            Words("Metric", "指标"),
            Words("Of the nights", "口径"),
            Words("Last 7 nights", "最近 7 晚"),
            Words("7 before", "再前 7 晚"),
            Words("Change", "环比"),
        )
        yield Table(heads, rows)


def _number(value: Decimal | float | None, metric: str, *, is_rate: bool) -> str | None:
    """A rate in per cent, unless its name says that it is an amount, or something per something."""
    if value is None:
        return None
    number = float(value)
    if is_rate and "_per_" not in metric and not metric.endswith("_amount"):
        return f"{100 * number:.1f} %".replace("-", "−")
    return f"{number:,.0f}" if number == int(number) or abs(number) >= 1000 else f"{number:,.2f}"
