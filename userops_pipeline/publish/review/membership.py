"""The section on tiers and membership: who stands where, who is about to rise or fall, and what the benefits cost.

Add a section here when it shows where users stand on a ladder of the shop. Must not show a user, only counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from userops_pipeline.ground.words import Words, named
from userops_pipeline.publish.review.parts import Gauge, Part, Published, Table, section

SOON = timedelta(days=30)


def _gauge(part: float, whole: float) -> Gauge | None:
    return Gauge(part / whole, f"{100 * part / whole:.1f} %") if whole else None


@section(
    "membership",
    Words("Tiers and membership", "分层与会员"),
    Words(
        "How many users stand in each tier and at each level, who keeps the level, who is in the grace before losing it, and what the benefits are used for and cost.",
        "各分层与会员等级的人数，谁已达保级、谁处于降级宽限期，以及权益的使用与成本。",
    ),
    "user_tier",
    "user_membership",
    "membership_benefits",
)
def membership(published: Published) -> Iterator[Part]:
    tiers = published.rows(
        "select tier, any_value(label order by user_id), count(*), sum(count(*)) over (), "
        "sum(case when since_on = $night and previous_tier is not null then 1 else 0 end) from user_tier group by tier order by 3 desc, 1",
        {"night": published.as_of},
    )
    if tiers:
        yield Table(
            (Words("Tier", "分层"), Words("Users", "用户数"), Words("Share", "占比"), Words("Came that night", "当晚进入")),
            [(named(tier, label), count, _gauge(count, everybody), int(came)) for tier, label, count, everybody, came in tiers],
        )
    levels = published.rows(
        "select place, level, any_value(label order by user_id), count(*), sum(count(*)) over (), "
        "sum(case when is_qualified then 1 else 0 end), sum(case when is_in_grace then 1 else 0 end), "
        "sum(case when ends_on <= $soon then 1 else 0 end), sum(case when next_level_share >= 0.8 then 1 else 0 end) "
        "from user_membership group by place, level order by place desc",
        {"soon": published.as_of + SOON},
    )
    if levels:
        yield Table(
            (
                Words("Level", "等级"),
                Words("Members", "会员数"),
                Words("Share", "占比"),
                Words("Keep it", "已达保级"),
                Words("In grace", "宽限期内"),
                Words("End within 30 days", "30 天内降级"),
                Words("Near the next", "接近升级"),
            ),
            [
                (named(level, label), count, _gauge(count, everybody), *map(int, counts))
                for _, level, label, count, everybody, *counts in levels
            ],
        )
    benefits = published.rows(
        "select level, label, benefit, benefit_label, entitled_count, issued_count, used_count, redemption_share, cost_amount "
        "from membership_benefits where issued_count > 0 or is_entitled order by level, benefit"
    )
    if benefits:
        heads = (
            Words("Level", "等级"),
            Words("Benefit", "权益"),
            Words("Entitled", "享有人数"),
            Words("Issued", "发放"),
            Words("Used", "核销"),
            Words("Redemption", "核销率"),
            Words("Cost", "成本"),
        )
        yield Table(
            heads,
            [
                (named(level, label), named(benefit, zh), entitled, issued, used, None if share is None else f"{100 * share:.0f} %", cost)
                for level, label, benefit, zh, entitled, issued, used, share, cost in benefits
            ],
        )
