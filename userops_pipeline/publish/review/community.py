"""The section on who carries the shop: core users, opinion leaders and experts.

Add a section here when it shows what users contribute. Must not show a user, only counts.
"""

from __future__ import annotations

from collections.abc import Iterator

from userops_pipeline.ground.words import Words, named
from userops_pipeline.publish.review.parts import Cell, Gauge, Part, Published, Sentence, Table, Unknown, section

MEASURES = {
    "spend": Words("Spend", "消费"),
    "content": Words("Content", "内容"),
    "referrals": Words("Referrals", "邀请"),
    "influence": Words("Influence on others", "对他人的影响"),
    "contribution": Words("All together", "综合贡献"),
}


@section(
    "core_users",
    Words("Core users, opinion leaders, experts", "核心用户、意见领袖与专家"),
    Words(
        "How much of what was given in the window the tenth of all users who gave most makes (Gini: 0 all the same, 1 one makes everything), and how many "
        "users carry the shop by what. How spend is concentrated stands at value concentration, over buyers.",
        "以全部用户及窗口期计：贡献最多的十分之一用户占内容、邀请与影响的多少（基尼系数：0 为人人相同，1 为一人独占），以及哪些贡献撑起核心用户。消费的集中程度见“价值集中度”（以买家计）。",
    ),
    "user_contribution",
    "contribution_concentration",
    "kol",
    "expert_directory",
)
def core_users(published: Published) -> Iterator[Part]:
    shares = published.rows(
        "select measure, max(case when decile = 1 then cumulative_measure_share end)::double, "
        "max(case when decile = 2 then cumulative_measure_share end)::double, max(gini)::double from contribution_concentration where measure <> 'spend' group by measure"
    )
    rows: list[tuple[Cell, ...]] = [
        (MEASURES.get(measure, named(measure)), _share_of(first), _share_of(second), None if gini is None else f"{gini:.2f}")
        for measure, first, second, gini in sorted(
            shares, key=lambda row: (list(MEASURES).index(row[0]) if row[0] in MEASURES else 9, row[0])
        )
    ]
    if rows:
        days = next((rules.window_days for rules in published.rulebook.contributions), "–")
        heads = (
            Words(f"Of the last {days} days", f"近 {days} 天"),
            Words("Top 10 % of all users", "全部用户前 10%"),
            Words("Top 20 %", "前 20%"),
            Words("Gini", "基尼系数"),
        )
        yield Table(heads, rows)
    core = published.rows(
        "select main_reason, count(*), sum(contribution_share)::double, sum(case when is_over_service_cap then 1 else 0 end) "
        "from user_contribution where is_core_user group by 1 order by 2 desc, 1"
    )
    if core:
        yield Table(
            (
                Words("Core users by their main contribution", "核心用户的主要贡献"),
                Words("Users", "用户数"),
                Words("Share of all contribution", "占全部贡献"),
                Words("Service above the cap", "服务超限"),
            ),
            [(MEASURES.get(reason, named(reason or "none")), count, _share_of(share), int(over)) for reason, count, share, over in core],
        )
    else:
        yield Unknown(Words("nobody is a core user yet", "还没有核心用户"))
    leaders = published.rows(
        "select kol_tier, any_value(label order by user_id), count(*), max(kol_score) from kol where kol_tier is not null group by 1 order by 4 desc, 1"
    )
    if leaders:
        yield Table(
            (Words("Opinion leaders", "意见领袖"), Words("Users", "用户数"), Words("Highest score", "最高得分")),
            [(named(tier, label), count, score) for tier, label, count, score in leaders],
        )
    [(topics, experts, asked)] = published.rows(
        "select count(distinct topic), count(distinct user_id), count(distinct case when is_contactable then user_id end) from expert_directory"
    )
    yield Sentence(
        Words(
            f"{experts:,} experts in {topics:,} topics; {asked:,} of them have agreed to be asked.",
            f"{topics:,} 个话题共 {experts:,} 位专家，其中 {asked:,} 位同意被联系。",
        )
    )


def _share_of(share: float | None) -> Gauge | None:
    return None if share is None else Gauge(share, f"{100 * share:.1f} %")
