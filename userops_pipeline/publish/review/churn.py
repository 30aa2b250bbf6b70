"""Sections on who is about to leave and what makes people stay: churn risk with its precursors, key behaviours with the value chain.

Add a section here when it looks at leaving. Must not call an association a cause: what the table says is shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from userops_pipeline.ground import reasons
from userops_pipeline.ground.words import Words, named
from userops_pipeline.publish.review.parts import Cell, Gauge, Mark, Part, Published, Sentence, Span, Table, Unknown, section

CANDIDATES_SHOWN = 8
PRECURSOR: dict[str, Mark] = {
    "precedes_churn": Mark(Words("precedes churn", "先于流失"), "bad"),
    "precedes_staying": Mark(Words("precedes staying", "先于留存"), "good"),
    "no_difference": Mark(Words("no difference among like users", "同类用户间无差别"), "none"),
}
KEY: dict[str, Mark] = {
    "holds": Mark(Words("holds among like users", "同类用户间成立"), "good"),
    "correlates_only": Mark(Words("correlates only", "仅相关"), "none"),
}


@section(
    "churn_risk",
    Words("Churn risk and what precedes it", "流失风险与前兆"),
    Words(
        "How long users have been silent against how long they may be; then behaviours and how much more often like users who showed them churned "
        "(dot with 95 % interval, the tick is no difference). What precedes churn need not cause it.",
        "用户未活动时长与允许时长之比；以及各行为使同类用户流失率高出多少（圆点及 95% 区间，竖线为无差别）。先于流失不等于导致流失。",
    ),
    "user_churn_risk",
    "churn_precursors",
)
def churn_risk(published: Published) -> Iterator[Part]:
    bands = published.rows(
        "select band, any_value(label order by user_id), count(*), count(*) / sum(count(*)) over (), median(churn_ratio)::double, "
        "sum(case when precursor_count > 0 then 1 else 0 end) from user_churn_risk where eligibility = 'eligible' group by band order by 5"
    )
    if bands:
        yield Table(
            (
                Words("Band", "分级"),
                Words("Users", "用户数"),
                Words("Share", "占比"),
                Words("Median silence, of what is allowed", "未活动倍数中位数"),
                Words("With a precursor", "有前兆"),
            ),
            [
                (named(band, label), count, Gauge(share, f"{100 * share:.1f} %"), f"{ratio:.2f} ×", int(shown))
                for band, label, count, share, ratio, shown in bands
            ],
        )
    for reason, count in published.rows(
        "select eligibility, count(*) from user_churn_risk where eligibility <> 'eligible' group by 1 order by 2 desc, 1"
    ):
        why = reasons.in_words(reason)
        yield Unknown(Words(f"no risk for {count:,} users: {why.en}", f"{count:,} 个用户无法评估：{why.zh}"))
    found = published.rows(
        "select behaviour, label, with_count, churned_with_share, churned_without_share, matched_difference::double, matched_low::double, "
        "matched_high::double, verdict, eligibility from churn_precursors order by matched_difference desc nulls last, behaviour"
    )
    bounds = _bounds([row[6:8] for row in found])
    rows = [
        (
            named(behaviour, label),
            count,
            _percent(shown),
            _percent(others),
            _points(difference),
            Span(difference, low, high, 0, bounds),
            PRECURSOR.get(verdict, Mark(named(verdict), "none")),
        )
        for behaviour, label, count, shown, others, difference, low, high, verdict, _ in found
        if difference is not None and low is not None and high is not None
    ]
    if rows:
        heads = (
            Words("Behaviour", "行为"),
            Words("Users", "用户数"),
            Words("Churned of these", "其流失率"),
            Words("Of others", "其他用户"),
            Words("Among like users", "同类用户差值"),
            _axis(bounds),
            Words("Verdict", "结论"),
        )
        yield Table(heads, rows)
    yield from _not_compared([(named(row[0], row[1]), row[9]) for row in found if row[5] is None])


@section(
    "key_behaviours",
    Words("Key behaviours and the value chain", "关键行为与价值链"),
    Words(
        "Early behaviours by how much more often like users who did them came back or paid later. It is an association until an experiment confirms it. "
        "Below, how far users are on the chosen chain.",
        "按同类用户比较，早期做过该行为者之后回访或付费高出多少；未经实验证实前只是相关。下方为用户在选定价值链上的进度。",
    ),
    "key_behaviours",
    "value_chain_progress",
)
def key_behaviours(published: Published) -> Iterator[Part]:
    candidates: dict[tuple[str, str], list[tuple]] = defaultdict(list)
    for outcome, label, *row in published.rows(
        "select outcome, outcome_label, behaviour, label, done_count, within_days, with_count, with_share, without_share, "
        "matched_difference::double, matched_low::double, matched_high::double, verdict, evidence, is_chosen, eligibility "
        "from key_behaviours order by outcome, place, behaviour, done_count, within_days"
    ):
        candidates[outcome, label].append(tuple(row))
    for (outcome, label), found in candidates.items():
        shown = [row for row in found if None not in row[7:10]][:CANDIDATES_SHOWN]
        if not shown:
            yield from _not_compared([(named(outcome, label), found[0][13])])
            continue
        bounds = _bounds([row[8:10] for row in shown])
        rows: list[tuple[Cell, ...]] = [
            (
                Words(f"{named(name).en}, {times}× within {days} days", f"{zh or name}，{days} 天内 {times} 次"),
                count,
                _percent(done),
                _percent(others),
                _points(difference),
                Span(difference, low, high, 0, bounds),
                (KEY.get(verdict, Mark(named(verdict), "none")), named(evidence, EVIDENCE.get(evidence, evidence))),
                Mark(Words("in the chain", "已入价值链"), "good") if chosen else None,
            )
            for name, zh, times, days, count, done, others, difference, low, high, verdict, evidence, chosen, _ in shown
        ]
        yield Sentence(Words(f"Later: {named(outcome).en.lower()}", f"之后：{label}"))
        heads = (
            Words("Behaviour", "行为"),
            Words("Users", "用户数"),
            Words("Outcome of these", "其结果占比"),
            Words("Of others", "其他用户"),
            Words("Among like users", "同类用户差值"),
            _axis(bounds),
            Words("Verdict", "结论"),
            Words("Chosen", "选用"),
        )
        yield Table(heads, rows)
    steps = published.rows(
        "select position, step, any_value(label order by user_id), count(*), sum(case when is_done then 1 else 0 end), "
        "sum(case when is_in_time then 1 else 0 end), sum(case when is_next then 1 else 0 end) from value_chain_progress "
        "group by position, step order by position"
    )
    if steps:
        yield Table(
            (
                Words("Step of the chain", "价值链步骤"),
                Words("Done", "已完成"),
                Words("Share of users", "用户占比"),
                Words("In time", "按期完成"),
                Words("Next step of", "作为下一步的用户"),
            ),
            [
                (named(step, label), int(done), Gauge(done / everybody, f"{100 * done / everybody:.1f} %"), int(in_time), int(following))
                for _, step, label, everybody, done, in_time, following in steps
            ],
        )


EVIDENCE = {"association": "相关"}


def _bounds(intervals: Sequence[Sequence[float | None]]) -> tuple[float, float]:
    """As far to both sides of no difference as any interval reaches."""
    far = max((abs(end) for interval in intervals for end in interval if end is not None), default=1.0) or 1.0
    return (-far, far)


def _axis(bounds: tuple[float, float]) -> Words:
    return Words(f"−{100 * bounds[1]:.0f} … +{100 * bounds[1]:.0f} points", f"−{100 * bounds[1]:.0f} … +{100 * bounds[1]:.0f} 个百分点")


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}".replace("-", "−")


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.0f} %"


def _not_compared(found: Sequence[tuple[Words, str]]) -> Iterator[Unknown]:
    for name, eligibility in found:
        why = reasons.in_words(eligibility)
        yield Unknown(Words(f"{name.en}: {why.en}", f"{name.zh}：{why.zh}"))
