"""Sections on who stays: retention by cohort, survival.

Add a section here when it shows users by age since their start. Must not estimate: shares and bands come from the tables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from userops_pipeline.ground import reasons
from userops_pipeline.ground.words import Words, joined, named
from userops_pipeline.publish import pictures
from userops_pipeline.publish.pictures import Cohort, Curve, SurvivalStep
from userops_pipeline.publish.review.parts import Drawing, Part, Published, Unknown, section

COHORTS_SHOWN = {"day": 42, "week": 14, "month": 14}
LEAST_COHORT = 10  # users; a share of fewer is noise, and shows single users. They are in the mean
GRAINS = {"day": Words("days", "天"), "week": Words("weeks", "周"), "month": Words("months", "月")}
KINDS = {
    "on_period": Words("came back in that period", "在该期回访"),
    "on_or_after": Words("came back in that period or later", "在该期或之后回访"),
}


ENTRIES = {"first_time": Words("first start only", "仅首次进入"), "recurring": Words("every start", "每次进入")}


@section(
    "retention",
    Words("Retention", "留存"),
    Words(
        "A row is the cohort that began in a period, a cell the share in % of it that came back so many periods later. "
        "Hatched grey cells have not fully elapsed and will still grow; the first row is the mean of complete cells, weighted by size.",
        "每行是同期开始的一群用户，每格为其后第几期回访的百分比。灰色斜线格尚未走完，数值还会上升；首行为已走完各格的加权平均。",
    ),
    "retention_cohorts",
    "retention_curve",
)
def retention(published: Published) -> Iterator[Part]:
    means = {
        (name, period): (float(share), int(entries))
        for name, period, share, entries in published.rows(
            "select retention, first_period, weighted_share, entry_count from retention_curve where dimension = 'total' and weighted_share is not null"
        )
    }
    cohorts: dict[tuple, dict[Any, list[tuple]]] = defaultdict(lambda: defaultdict(list))
    for row in published.rows(
        "select retention, label, grain, kind, entry, cohort_on, cohort_size, first_period, retention_share, is_complete "
        "from retention_cohorts where dimension = 'total' and kind in ('on_period', 'on_or_after') order by retention, cohort_on, first_period"
    ):
        cohorts[row[:5]][row[5]].append(row[6:])
    for (name, label, grain, kind, entry), by_start in cohorts.items():
        known = sorted(start for start in by_start if by_start[start][0][0] >= LEAST_COHORT)
        starts = known[-COHORTS_SHOWN[grain] :]
        periods = sorted({period for start in by_start for _, period, _, _ in by_start[start]})
        if len(periods) < 2:
            yield Unknown(Words(f"{named(name).en}: no cohort is a whole period old", f"{label}：还没有满一期的群组"))
            continue
        title = Words(f"{named(name).en}, by {grain} of start", f"{label}，按{GRAINS[grain].zh}")
        said = Words(f"share that {KINDS[kind].en}, in %", f"{KINDS[kind].zh}的比例（%）")
        said = joined(said, ENTRIES[entry], by=("; ", "；"))
        if len(known) < len(by_start):
            said = joined(
                said, Words(f"cohorts of fewer than {LEAST_COHORT} left out", f"不足 {LEAST_COHORT} 人的群组不列"), by=("; ", "；")
            )
        rows = [_mean(name, periods, means)] if any((name, period) in means for period in periods) else []
        for start in starts:
            cells = {period: (share, done) for _, period, share, done in by_start[start]}
            found = [cells.get(period, (None, False)) for period in periods]
            rows.append(
                Cohort(
                    f"{start:%Y-%m}" if grain == "month" else f"{start:%Y-%m-%d}",
                    int(by_start[start][0][0]),
                    [None if share is None else float(share) for share, _ in found],
                    [bool(done) for _, done in found],
                )
            )
        if not rows:
            yield Unknown(Words(f"{named(name).en}: no cohort of {LEAST_COHORT} users yet", f"{label}：还没有满 {LEAST_COHORT} 人的群组"))
            continue
        heat = pictures.retention_heat_map(rows, [str(period) for period in periods], title=title, subtitle=said)
        yield Drawing(f"retention_{name}", heat)


def _mean(name: str, periods: list[int], means: dict[tuple[str, int], tuple[float, int]]) -> Cohort:
    found = [means.get((name, period)) for period in periods]
    return Cohort(
        Words("weighted mean", "加权平均"),
        max((entry[1] for entry in found if entry), default=0),
        [entry[0] if entry else None for entry in found],
        [entry is not None for entry in found],
    )


@section(
    "survival",
    Words("Survival", "生存曲线"),
    Words(
        "The share of users who have not churned by an age in days, with the 95 % band of the estimate; "
        "where the curve crosses 50 % half have churned (the median lifetime).",
        "到某天龄仍未流失的用户比例及其 95% 置信带；曲线降到 50% 处即寿命中位数。",
    ),
    "user_survival",
    "survival_monthly",
)
def survival(published: Published) -> Iterator[Part]:
    latest = {
        row[0]: row[1:]
        for row in published.rows(
            "select survival, label, user_count, churned_count, median_days, median_reason from survival_monthly "
            "where dimension = 'total' qualify row_number() over (partition by survival order by month_on desc) = 1 order by survival"
        )
    }
    steps: dict[str, list[SurvivalStep]] = defaultdict(list)
    for name, age, share, lower, upper in published.rows(
        "select survival, age_days, survival_share::double, lower_share::double, upper_share::double from user_survival "
        "where dimension = 'total' order by survival, age_days"
    ):
        steps[name].append(SurvivalStep(age, share, lower, upper))
    ends = {rule.name: published.rulebook.churned_after(rule.activity) for rule in published.rulebook.survivals}
    for name, (label, users, churned, median, reason) in latest.items():
        title, after = named(name, label), ends.get(name)
        if not churned:
            yield Unknown(
                Words(
                    f"{title.en}: none of {users:,} users has churned so far, which takes {after} silent days; there is no curve to draw",
                    f"{title.zh}：{users:,} 个用户中还没有人流失（需连续 {after} 天未活动），因此没有曲线",
                )
            )
            continue
        said = Words(
            f"{users:,} users, {churned:,} churned (after {after} silent days)",
            f"{users:,} 个用户，{churned:,} 个流失（连续 {after} 天未活动）",
        )
        curve = Curve(Words("all users", "全部用户"), steps[name], median)
        yield Drawing(f"survival_{name}", pictures.survival_curves([curve], title=title, subtitle=said))
        if median is None and reason:
            why = reasons.in_words(reason)
            yield Unknown(Words(f"median of {title.en.lower()}: {why.en}", f"{title.zh}中位数：{why.zh}"))
