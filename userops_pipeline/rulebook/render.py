"""An explanation in lines for a terminal, in English or in Chinese.

Here lives the wording only; add here when an explanation should read better. Must not look anything up (answers does) nor word a condition
(speech does).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from userops_pipeline.ground import reasons
from userops_pipeline.ground.words import Language
from userops_pipeline.rulebook.answers import Explanation, ListSeen, StepSeen, Worth
from userops_pipeline.rulebook.speech import Speaker


@dataclass(frozen=True)
class Words:
    """The fixed parts of the lines; braces are filled in."""

    user: str = "User {user_id}"
    stage: str = "Stage  {name}  since {since_on} ({days} days{before})"
    before: str = ", before that {stage}"
    because: str = "       because {rule}"
    worth: str = "Value  {historic_amount} from {order_count} purchases so far"
    expected: str = "       {predicted_amount} expected in the next year, still buys with probability {alive} (churn risk {churn_risk})"
    next_order: str = "       next purchase more likely than not by {next_order_on}"
    no_worth: str = "       no prediction: {why}"
    tags: str = "Tags ({count})"
    tag: str = "  {name}  since {since_on}: {why}"
    agent: str = "agent {author} said so"
    members: str = "In {count} segments"
    member: str = "  {name}: {why}"
    others: str = "Not in {count}"
    fails_include: str = "does not meet step {number}: {rule}"
    fails_exclude: str = "is excluded by step {number}: {rule}"
    lists: str = "Lists"
    entry: str = "  {on}  {name} ({tool}): {why}"
    on: str = "on "
    off: str = "off"
    not_in: str = "not in segment {segment}: {kind} step {number}"
    not_in_segment: str = "not in the segment"
    include: str = "include"
    exclude: str = "exclude"
    joint: str = "; "
    comma: str = ", "


WORDS: dict[Language, Words] = {
    "en": Words(),
    "zh": Words(
        user="用户 {user_id}",
        stage="阶段  {name}  自 {since_on} 起（{days} 天{before}）",
        before="，之前是 {stage}",
        because="      依据 {rule}",
        worth="价值  已消费 {historic_amount}，共 {order_count} 单",
        expected="      预计未来一年消费 {predicted_amount}，仍在购买的概率 {alive}（不再购买风险：{churn_risk}）",
        next_order="      下次购买多半在 {next_order_on} 之前",
        no_worth="      没有预测：{why}",
        tags="标签（{count}）",
        tag="  {name}  自 {since_on} 起：{why}",
        agent="由 {author} 人工标注",
        members="属于 {count} 个分群",
        member="  {name}：{why}",
        others="不属于 {count} 个",
        fails_include="不满足第 {number} 步：{rule}",
        fails_exclude="被第 {number} 步排除：{rule}",
        lists="名单",
        entry="  {on}  {name}（{tool}）：{why}",
        on="在  ",
        off="不在",
        not_in="不在分群「{segment}」中：{kind}条件第 {number} 步",
        not_in_segment="不在该分群中",
        include="纳入",
        exclude="排除",
        joint="；",
        comma="，",
    ),
}
DECISIONS: dict[str, tuple[str, str]] = {
    "exported": ("on the list", "在名单上"),
    "no_consent": ("no consent for this channel and purpose", "该渠道与用途没有授权"),
    "no_contact_point": ("no contact point for this channel", "该渠道没有联系方式"),
    "shared_match_value": ("the tool knows several people by the same match value", "同一匹配值对应多人"),
}
# Beside a decision, where it says more than the decision does.
REASONS: dict[str, tuple[str, str]] = {
    "no_match_value": ("they have no match value", "没有匹配值"),
    "not_subscribed": ("they have not subscribed at this address", "未在该地址订阅"),
    "withdrawn": ("the subscription was withdrawn", "已撤回授权"),
    "unsubscribed": ("unsubscribed through a message", "通过消息退订"),
    "complained": ("complained about a message", "投诉过消息"),
    "unreadable": ("a withdrawal that could not be read", "有无法识别的撤回记录"),
    "suppressed": ("on a suppression list", "在禁止联系名单上"),
    "bounced": ("the address takes no messages", "地址无法送达"),
    "excluded": ("left out as test, robot or internal account", "测试、机器或内部账号，已排除"),
}
RISKS = {"low": "低", "medium": "中", "high": "高", "lost": "多半不再购买"}


def as_lines(explanation: Explanation, language: Language = "en") -> Iterator[str]:
    """Stage, value, tags, segments and lists of one user, each with its rule and the values it saw, in words."""
    words = WORDS[language]
    segments = {segment.name: segment.label for segment in explanation.segments}
    speaker = Speaker(language, explanation.labels, explanation.stands, segments)

    def name(code: str, label: str) -> str:
        """What people say, and the name that rules use."""
        return speaker.pick(code, f"{label} {code}" if label not in ("", code) else code)

    def seen(rule: str, values: Mapping[str, Any]) -> str:
        """A rule with the values it saw behind it; a rule that is only the name of a tag says what it saw."""
        told = {column: value for column, value in values.items() if rule not in (speaker.column(column), speaker.negated(column))}
        said = words.comma.join(f"{speaker.column(column)} = {speaker.value(value, column)}" for column, value in told.items())
        return f"{rule}  [{said}]" if said else rule

    def step(each: StepSeen, *, holds: bool = True) -> str:
        """What a step asks, or that it is not so."""
        if each.when is None:
            return speaker.segment(each.segment or "", holds=holds)
        return seen(speaker.condition(each.when) if holds else speaker.condition_not(each.when), each.values)

    yield words.user.format(user_id=explanation.user_id)
    stage = explanation.stage
    if stage is not None:
        before = words.before.format(stage=speaker.value(stage.previous_stage, "stage")) if stage.previous_stage else ""
        yield ""
        yield words.stage.format(name=name(stage.name, stage.label), since_on=stage.since_on, days=stage.days_in_stage, before=before)
        yield words.because.format(rule=seen(speaker.rule(stage.when, stage.stays_when), stage.values))
    if explanation.worth is not None:
        yield ""
        yield from _worth(explanation.worth, words, speaker)
    yield ""
    yield words.tags.format(count=len(explanation.tags))
    for tag in explanation.tags:
        why = words.agent.format(author=tag.author) if tag.author else seen(speaker.rule(tag.when, tag.stays_when), tag.values)
        yield words.tag.format(name=name(tag.name, tag.label), since_on=tag.since_on, why=why)
    members = [segment for segment in explanation.segments if segment.is_member]
    others = [segment for segment in explanation.segments if not segment.is_member]
    yield ""
    yield words.members.format(count=len(members))
    for segment in members:
        steps = (step(each, holds=each.kind == "include") for each in segment.steps)
        yield words.member.format(name=name(segment.name, segment.label), why=words.joint.join(steps))
    yield words.others.format(count=len(others))
    for segment in others:
        failed = segment.failed
        if failed is not None:
            why = words.fails_exclude if failed.kind == "exclude" else words.fails_include
            yield words.member.format(name=name(segment.name, segment.label), why=why.format(number=failed.number, rule=step(failed)))
    yield ""
    yield words.lists
    for entry in explanation.lists:
        on, why = words.on if entry.is_on else words.off, _why(entry, words, speaker)
        yield words.entry.format(on=on, name=name(entry.name, entry.label), tool=entry.tool, why=why)


def _why(entry: ListSeen, words: Words, speaker: Speaker) -> str:
    """Why the user is on a list or not."""
    if entry.decision is not None:
        plain = entry.decision.replace("_", " ")
        said = speaker.pick(*DECISIONS.get(entry.decision, (plain, plain)))
        return f"{said} ({speaker.pick(*REASONS[entry.reason])})" if entry.reason in REASONS else said
    if entry.failed is None:
        return words.not_in_segment
    segment = speaker.pick(entry.segment, speaker.segments.get(entry.segment) or entry.segment)
    kind = words.exclude if entry.failed.kind == "exclude" else words.include
    return words.not_in.format(segment=segment, kind=kind, number=entry.failed.number)


def _worth(worth: Worth, words: Words, speaker: Speaker) -> Iterator[str]:
    values = worth.model_dump()
    yield words.worth.format(**values)
    if worth.alive_probability is None:
        yield words.no_worth.format(why=speaker.pick(*reasons.in_words(worth.eligibility)))
        return
    risk = speaker.pick(worth.churn_risk or "", RISKS.get(worth.churn_risk or "", worth.churn_risk or ""))
    amount = speaker.value(worth.predicted_amount)
    yield words.expected.format(
        **values | {"predicted_amount": amount, "churn_risk": risk, "alive": f"{100 * float(worth.alive_probability):.0f} %"}
    )
    if worth.next_order_on is not None:
        yield words.next_order.format(**values)
