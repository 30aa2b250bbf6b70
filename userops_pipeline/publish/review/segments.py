"""Sections on groups of users and what is sent to them: personas, tags, lists.

Add a section here when it shows segments, tags or lists. Must not show a user, only counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from userops_pipeline.ground import reasons
from userops_pipeline.ground.words import Words, joined, named
from userops_pipeline.publish import pictures
from userops_pipeline.publish.pictures import ListSize
from userops_pipeline.publish.review.parts import (
    Card,
    Drawing,
    Folded,
    Gauge,
    Mark,
    Part,
    Published,
    Sentence,
    Span,
    Table,
    Unknown,
    section,
)

TRAITS_SHOWN = 6
FLAPS_ABOVE = 4  # times a carrier got or lost the tag in 90 nights
SAME_FROM = 0.9  # Jaccard overlap from which two tags say the same


@section(
    "personas",
    Words("Personas", "分群画像"),
    Words(
        "What is more common in a segment than outside it: the dot is its share among members, the bar its 95 % interval, the tick its share among others. "
        "Traits that the segment's own rule makes are left out; only differences that hold after correction for many tests are shown.",
        "分群内比分群外更常见的特征：圆点为成员占比，横条为 95% 区间，竖线为其他用户占比。由分群规则本身决定的特征不列；只列经多重检验校正后仍显著的差异。",
    ),
    "segment_personas",
    "segment_persona_texts",
)
def personas(published: Published) -> Iterator[Part]:
    traits: dict[str, list[tuple]] = defaultdict(list)
    for segment, *row in published.rows(
        "select segment, kind, trait, value, label, user_share::double, rest_share::double, base_user_count / nullif(base_size_count, 0), difference_low::double, difference_high::double, over_index "
        "from segment_personas where is_distinct and not is_by_rule and difference > 0 "
        "qualify row_number() over (partition by segment order by difference_low desc, kind, trait, value) <= $most "
        "order by segment, difference_low desc, kind, trait, value",
        {"most": TRAITS_SHOWN},
    ):
        traits[segment].append(tuple(row))
    blocked = dict(
        published.rows(
            "select segment, any_value(eligibility order by trait) from segment_personas group by segment having max(eligibility) like 'not_eligible%' "
            "and min(eligibility) like 'not_eligible%' order by segment"
        )
    )
    heads = (
        Words("Trait", "特征"),
        Words("Members", "成员"),
        Words("Others", "其他"),
        Words("All users", "全部用户"),
        Words("Members ÷ all", "成员÷全部"),
        Words("0 – 100 %", "0 – 100 %"),
    )
    steps = {("stage", stage.name): stage.label for stage in published.rulebook.stages}
    steps |= {("plan_state", state.name): state.label for state in published.rulebook.plan_states}
    cards, quiet = [], []
    for segment, label, count, share in published.rows(
        "select segment, label, user_count, coalesce(user_share, 0)::double from segment_persona_texts order by user_count desc, segment"
    ):
        size = Words(f"{count:,} users, {100 * share:.1f} % of all", f"{count:,} 个用户，占 {100 * share:.1f} %")
        title = named(segment, label)
        if traits[segment]:
            rows = [
                (
                    named(trait, tag) if kind == "tag" else _attribute(trait, value, tag, steps),
                    f"{100 * inside:.0f} %",
                    f"{100 * others:.0f} %",
                    f"{100 * everybody:.0f} %",
                    f"{index:.1f} ×",
                    Span(inside, min(max(others + low, 0), 1), min(max(others + high, 0), 1), others),
                )
                for kind, trait, value, tag, inside, others, everybody, low, high, index in traits[segment]
            ]
            cards.append(Card(title, (Sentence(size), Table(heads, rows))))
        else:
            why = (
                reasons.in_words(blocked[segment])
                if segment in blocked
                else Words("nothing is more common in it for sure", "没有可靠的差别")
            )
            quiet.append(Unknown(Words(f"{title.en} ({size.en}): {why.en}", f"{title.zh}（{size.zh}）：{why.zh}")))
    yield from cards
    yield from quiet


def _attribute(attribute: str, value: str, label: str, steps: Mapping[tuple[str, str], str]) -> Words:
    """`Stage: loyal`, in Chinese with the label of the stage; other values are as they are in the data."""
    known = steps.get((attribute, value))
    return Words(f"{named(attribute).en}: {named(value).en.lower() if known else value}", f"{label}：{known or value}")


@section(
    "tags",
    Words("Tag quality", "标签质量"),
    Words(
        "Which tags tell users apart: how many carry it, how soon after sign-up it comes, how long it is held, how often it flips, and which tag says nearly the same.",
        "哪些标签真正区分用户：覆盖多少人、注册后多久打上、持有多久、多久反复一次，以及与哪个标签几乎重复。",
    ),
    "tag_quality",
)
def tags(published: Published) -> Iterator[Part]:
    heads = (
        Words("Tag", "标签"),
        Words("Users", "用户数"),
        Words("Coverage", "覆盖率"),
        Words("By agents", "人工"),
        Words("Days to first tag", "打标时延（天）"),
        Words("Days held", "持有天数"),
        Words("Flips per carrier, 90 nights", "近 90 天人均变动"),
        Words("Nearest tag", "最重叠标签"),
        Words("Remarks", "提示"),
    )
    labels = {tag.name: tag.label for tag in published.rulebook.tags}
    families: dict[str, list[tuple]] = defaultdict(list)
    for family, *row in published.rows(
        "select family, tag, label, user_count, coalesce(coverage_share, 0)::double, manual_count, latency_days, age_days, flips_per_carrier_90d, "
        "overlap_tag, overlap_jaccard::double, holds_for from tag_quality order by family, user_count desc, tag"
    ):
        families[family].append(tuple(row))
    told = [row for rows in families.values() for row in rows]
    useless = sum(row[10] != "some" for row in told)
    yield Sentence(
        Words(
            f"{len(told)} tags in {len(families)} families; {useless} hold for nobody or everybody tonight and so tell no users apart.",
            f"{len(families)} 类共 {len(told)} 个标签；其中 {useless} 个今晚适用于无人或所有人，无法区分用户。",
        )
    )
    for family, rows in families.items():
        cells = []
        for tag, label, count, coverage, manual, latency, age, flips, near, overlap, holds in rows:
            remarks = []
            if holds != "some":
                remarks.append(
                    Mark({"nobody": Words("nobody", "无人"), "everybody": Words("everybody", "所有人")}.get(holds, named(holds)), "none")
                )
            if flips is not None and flips > FLAPS_ABOVE:
                remarks.append(Mark(Words("flaps", "反复"), "bad"))
            if overlap is not None and overlap >= SAME_FROM:
                remarks.append(Mark(Words("says the same", "重复"), "bad"))
            nearest = joined(named(near, labels.get(near)), f"{100 * overlap:.0f} %", by=(" ", " ")) if near and overlap else None
            cells.append(
                (
                    named(tag, label),
                    count,
                    Gauge(coverage, f"{100 * coverage:.1f} %"),
                    manual or None,
                    latency,
                    age,
                    None if flips is None else f"{flips:.1f}",
                    nearest,
                    tuple(remarks) or None,
                )
            )
        yield Folded(FAMILIES.get(family, named(family)), (Table(heads, cells),))


FAMILIES = {
    "lifecycle": Words("Lifecycle", "生命周期"),
    "value": Words("Value", "价值"),
    "activity": Words("Activity", "活跃"),
    "preference": Words("Preference", "偏好"),
    "price": Words("Price", "价格"),
    "channel": Words("Channel", "渠道"),
    "content": Words("Content", "内容"),
    "risk": Words("Risk", "风险"),
}


@section(
    "lists",
    Words("Campaign lists", "活动名单"),
    Words(
        "Of the users in each list's segment, how many may be contacted and are exported, and how many are withheld and why.",
        "每个名单的分群中，有多少用户可以联系并已导出，又有多少因何被扣留。",
    ),
    "audience_sizes",
)
def lists(published: Published) -> Iterator[Part]:
    labels = {entry.name: entry.label for entry in published.rulebook.lists}
    found = published.rows(
        "select audience, exported, without_consent, without_contact_point, with_shared_match_value from audience_sizes order by audience"
    )
    if found:
        sizes = [ListSize(named(name, labels.get(name)), *map(int, counts)) for name, *counts in found]
        yield Drawing("list_sizes", pictures.list_sizes(sizes, as_of=published.as_of))


@section(
    "data",
    Words("What it rests on", "数据来源与检查"),
    Words(
        "Rows that arrived by table up to this night: in = kept + quarantined + duplicates; and what the checks of the night said.",
        "截至当晚各表到达的行数：到达 = 保留 + 隔离 + 重复；以及当晚各项检查的结果。",
    ),
    "load_accounting",
)
def data(published: Published) -> Iterator[Part]:
    checks = published.generation.manifest.checks
    warned = sorted(check.name for check in checks if not check.passed)
    yield Sentence(
        Words(
            f"{sum(check.passed for check in checks)} checks passed"
            + (f"; warned: {', '.join(warned)}." if warned else "; nothing warned."),
            f"{sum(check.passed for check in checks)} 项检查通过" + (f"；警告：{'、'.join(warned)}。" if warned else "；没有警告。"),
        )
    )
    rows = published.rows(
        "select table_name, sum(rows_in), sum(rows_kept), sum(rows_quarantined), sum(rows_duplicate) from load_accounting "
        "group by table_name having sum(rows_in) > 0 order by sum(rows_in) desc, table_name"
    )
    if rows:
        heads = (
            Words("Table", "表"),
            Words("In", "到达"),
            Words("Kept", "保留"),
            Words("Quarantined", "隔离"),
            Words("Duplicates", "重复"),
        )
        yield Table(heads, [(name, *map(int, counts)) for name, *counts in rows])
