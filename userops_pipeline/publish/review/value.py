"""Sections on what users are worth: RFM, concentration, and how right the value model was.

Add a section here when it shows amounts or predictions. Must not compute a business figure beyond a share for a curve.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from userops_pipeline.ground import reasons
from userops_pipeline.ground.words import Words, named
from userops_pipeline.publish import pictures
from userops_pipeline.publish.pictures import GridCell, Tenth, TrackedWeek
from userops_pipeline.publish.review.parts import Drawing, Gauge, Part, Published, Table, Unknown, section

BANDS = {
    "low": Words("low", "低"),
    "medium": Words("medium", "中"),
    "high": Words("high", "高"),
    "lost": Words("probably gone", "多半不再购买"),
}


@section(
    "rfm",
    Words("RFM", "RFM 分群"),
    Words(
        "Buyers by how recently they bought (right: recent) and how often and how much (up: more); best customers stand at the upper right.",
        "按最近一次购买（越右越近）与频次金额（越上越高）分布的买家；右上角为最好的客户。",
    ),
    "user_rfm",
)
def rfm(published: Published) -> Iterator[Part]:
    cells = published.rows(
        "select r, fm, count(*), rfm_group, any_value(label order by user_id) from user_rfm where r is not null group by r, fm, rfm_group order by all"
    )
    if not cells:
        yield Unknown(Words("nobody bought in the window of RFM", "RFM 窗口期内没有人购买"))
        return
    by_place: dict[tuple[int, int], list[tuple]] = defaultdict(list)
    for r, fm, count, group, label in cells:
        by_place[r, fm].append((count, group, label))
    grid = [
        GridCell(r, fm, sum(count for count, _, _ in found), named(*max(found)[1:]))  # one group a place; two where rules overlap
        for (r, fm), found in sorted(by_place.items())
    ]
    yield Drawing("rfm_grid", pictures.rfm_grid(grid, as_of=published.as_of))
    groups = published.rows(
        "select rfm_group, any_value(label order by user_id), count(*), count(*) / sum(count(*)) over (), sum(monetary_amount), "
        "sum(monetary_amount) / nullif(sum(sum(monetary_amount)) over (), 0) from user_rfm group by rfm_group order by 5 desc nulls last, 1"
    )
    yield Table(
        (
            Words("Group", "分组"),
            Words("Users", "用户数"),
            Words("Share of users", "用户占比"),
            Words("Spend", "消费"),
            Words("Share of spend", "消费占比"),
        ),
        [
            (named(group, label), count, Gauge(share, f"{100 * share:.1f} %"), amount, Gauge(paid or 0, f"{100 * (paid or 0):.1f} %"))
            for group, label, count, share, amount, paid in groups
        ],
    )


@section(
    "concentration",
    Words("Value concentration", "价值集中度"),
    Words(
        "Of everybody who ever paid, and of all they ever paid: how much the best-paying share of them brings; the further the curve stands off the dashed line, the more depends on few.",
        "以全部付费用户及其累计消费计：消费最高的一部分买家贡献了多少收入；曲线离虚线越远，收入越依赖少数人。",
    ),
    "user_profile",
)
def concentration(published: Published) -> Iterator[Part]:
    [(buyers, spend)] = published.rows("select count(*), sum(spend_amount) from user_profile where spend_amount > 0")
    if not buyers:
        yield Unknown(Words("nobody has paid anything yet", "还没有付费用户"))
        return
    ranks = sorted({max(-(-buyers * step // 100), 1) for step in range(1, 101)})  # where each hundredth of the buyers ends
    held = published.rows(
        "select place, held / $spend from (select row_number() over best as place, sum(spend_amount) over best as held from user_profile "
        "where spend_amount > 0 window best as (order by spend_amount desc, user_id rows unbounded preceding)) "
        "where place in (select unnest($ranks)) order by place",
        {"spend": spend, "ranks": ranks},
    )
    curve = [(0.0, 0.0), *((place / buyers, float(share)) for place, share in held)]
    marks = {top: next((share for at, share in curve if at >= top), 1.0) for top in (0.1, 0.2) if buyers * top >= 1}
    said = Words(f"{buyers:,} buyers, {spend:,.0f} spent in all", f"{buyers:,} 个买家，累计消费 {spend:,.0f}")
    yield Drawing("value_concentration", pictures.value_concentration(curve, marks, subtitle=said))


@section(
    "value_model",
    Words("Value model: was it right?", "价值模型：准不准？"),
    Words(
        "What the model of some months ago predicted of buyers, beside what they have bought since; bars and lines should stand close together.",
        "几个月前的模型对买家的预测与之后实际购买的对比；柱与线越接近越准。",
    ),
    "user_value",
    "value_model_fits",
    "value_calibration",
    "value_tracking",
)
def value_model(published: Published) -> Iterator[Part]:
    bands = published.rows(
        "select churn_risk, count(*), avg(alive_probability), sum(predicted_amount), sum(historic_amount) from user_value "
        "where eligibility = 'eligible' group by churn_risk order by 3 desc"
    )
    if bands:
        eligible = sum(row[1] for row in bands)
        yield Table(
            (
                Words("Risk not to buy again", "不再购买风险"),
                Words("Buyers", "买家数"),
                Words("Share", "占比"),
                Words("Mean P(alive)", "平均活跃概率"),
                Words("Paid so far", "已消费"),
                Words("Expected in the horizon", "预测期内预计消费"),
            ),
            [
                (
                    BANDS.get(risk, named(risk)),
                    count,
                    Gauge(count / eligible, f"{100 * count / eligible:.1f} %"),
                    f"{float(alive):.2f}",
                    paid,
                    expected,
                )
                for risk, count, alive, expected, paid in bands
            ],
        )
    for said, column in (
        (Words("No prediction", "没有预测"), "eligibility"),
        (Words("No predicted amount", "没有预测金额"), "amount_eligibility"),
    ):
        for reason, count in published.rows(
            f"select {column}, count(*) from user_value where {column} <> 'eligible' "
            "and (eligibility = 'eligible' or $column = 'eligibility') group by 1 order by 2 desc, 1",
            {"column": column},
        ):
            why = reasons.in_words(reason)
            yield Unknown(Words(f"{said.en} for {count:,} users: {why.en}", f"{count:,} 个用户{said.zh}：{why.zh}"))
    [(version,)] = published.rows("select max(version_on) from value_tracking")
    if version is None:
        yield Unknown(
            Words(
                "no version of the model is old enough to be compared with what came after it",
                "还没有足够久的模型版本可与之后的实际购买对比",
            )
        )
        return
    tenths = published.rows(
        "select decile, expected_count::double, actual_count::double from value_calibration where version_on = $version order by decile",
        {"version": version},
    )
    weeks = published.rows(
        "select week_to_on, expected_count::double, actual_count, is_holdout from value_tracking where version_on = $version order by week_to_on",
        {"version": version},
    )
    yield Drawing("predicted_and_actual_by_tenth", pictures.value_calibration([Tenth(*row) for row in tenths], version_on=version))
    yield Drawing("expected_and_actual_by_week", pictures.value_tracking([TrackedWeek(*row) for row in weeks], version_on=version))
