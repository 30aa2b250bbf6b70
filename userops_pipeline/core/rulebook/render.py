"""An explanation in lines for a terminal, in English (with the Chinese labels people use) or in Chinese.

Here lives the wording only; add here when an explanation should read better. Must not look anything up: answers does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from userops_pipeline.core.rulebook.answers import Explanation, Worth

Language = Literal["en", "zh"]


@dataclass(frozen=True)
class Words:
    """The fixed parts of the lines; braces are filled in."""

    user: str = "User {user_id}"
    stage: str = "Stage  {name} {label}  since {since_on} ({days} days{before})"
    before: str = ", before that {stage}"
    because: str = "       because {rule}"
    worth: str = "Value  {historic_amount} from {order_count} purchases so far"
    expected: str = (
        "       {predicted_amount} expected in the next year, still buys with probability {alive_probability} (churn risk {churn_risk})"
    )
    next_order: str = "       next purchase more likely than not by {next_order_on}"
    no_worth: str = "       no prediction, {eligibility}"
    tags: str = "Tags ({count})"
    tag: str = "  {name} {label}  since {since_on}: {why}"
    agent: str = "agent {author} said so"
    members: str = "In {count} segments"
    negation: str = "not "
    others: str = "Not in {count}"
    fails_include: str = "does not meet step {number}, {rule}"
    fails_exclude: str = "is excluded by step {number}, {rule}"
    lists: str = "Lists"
    on: str = "on "
    off: str = "off"
    missing: str = "missing"
    joint: str = "; "


WORDS: dict[Language, Words] = {
    "en": Words(),
    "zh": Words(
        user="用户 {user_id}",
        stage="阶段  {label} {name}  自 {since_on} 起（{days} 天{before}）",
        before="，之前是 {stage}",
        because="      依据 {rule}",
        worth="价值  已消费 {historic_amount}，共 {order_count} 单",
        expected="      预计未来一年消费 {predicted_amount}，仍在购买的概率 {alive_probability}（流失风险 {churn_risk}）",
        next_order="      下次购买多半在 {next_order_on} 之前",
        no_worth="      没有预测，{eligibility}",
        tags="标签（{count}）",
        tag="  {label} {name}  自 {since_on} 起：{why}",
        agent="由 {author} 人工标注",
        members="属于 {count} 个分群",
        negation="非 ",
        others="不属于 {count} 个",
        fails_include="不满足第 {number} 步 {rule}",
        fails_exclude="被第 {number} 步排除 {rule}",
        lists="名单",
        on="在 ",
        off="不在",
        missing="缺失",
        joint="；",
    ),
}


def as_lines(explanation: Explanation, language: Language = "en") -> Iterator[str]:
    """Stage, value, tags, segments and lists of one user, each with its rule and the values it saw."""
    words = WORDS[language]
    labels = explanation.labels if language == "zh" else {}

    def seen(values: Mapping[str, Any]) -> str:
        """The values a condition saw, behind it; nothing where it saw none of its own."""
        if not values:
            return ""
        said = (f"{labels.get(name, name)} = {words.missing if value is None else value}" for name, value in values.items())
        return "  [" + ", ".join(said) + "]"

    yield words.user.format(user_id=explanation.user_id)
    stage = explanation.stage
    if stage is not None:
        before = words.before.format(stage=stage.previous_stage) if stage.previous_stage else ""
        yield ""
        yield words.stage.format(name=stage.name, label=stage.label, since_on=stage.since_on, days=stage.days_in_stage, before=before)
        yield words.because.format(rule=f"{stage.when}{seen(stage.values)}")
    if explanation.worth is not None:
        yield ""
        yield from _worth(explanation.worth, words)
    yield ""
    yield words.tags.format(count=len(explanation.tags))
    for tag in explanation.tags:
        why = words.agent.format(author=tag.author) if tag.author else f"{tag.when}{seen(tag.values)}"
        yield words.tag.format(name=tag.name, label=tag.label, since_on=tag.since_on, why=why)
    members = [segment for segment in explanation.segments if segment.is_member]
    others = [segment for segment in explanation.segments if not segment.is_member]
    yield ""
    yield words.members.format(count=len(members))
    for segment in members:
        yield f"  {segment.name} {segment.label}: " + words.joint.join(
            f"{words.negation if step.kind == 'exclude' else ''}{step.text}{seen(step.values)}" for step in segment.steps
        )
    yield words.others.format(count=len(others))
    for segment in others:
        failed = segment.failed
        if failed is not None:
            why = words.fails_exclude if failed.kind == "exclude" else words.fails_include
            yield f"  {segment.name} {segment.label}: " + why.format(number=failed.number, rule=f"{failed.text}{seen(failed.values)}")
    yield ""
    yield words.lists
    for entry in explanation.lists:
        reason = entry.reason_zh if language == "zh" else entry.reason
        yield f"  {words.on if entry.is_on else words.off}  {entry.name} {entry.label} ({entry.tool}): {reason}"


def _worth(worth: Worth, words: Words) -> Iterator[str]:
    values = worth.model_dump()
    yield words.worth.format(**values)
    if worth.alive_probability is None:
        yield words.no_worth.format(**values)
        return
    yield words.expected.format(
        **values | {"predicted_amount": words.missing if worth.predicted_amount is None else worth.predicted_amount}
    )
    if worth.next_order_on is not None:
        yield words.next_order.format(**values)
