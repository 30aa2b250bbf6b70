"""Promises of conditions in words: every operator that a rule may use is said in both languages, and means what it says."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from sqlglot import exp

from userops_pipeline.rulebook.condition import ARITHMETIC, COMPARISONS, FUNCTIONS, LOGIC, guard, parse
from userops_pipeline.rulebook.speech import Speaker

LABELS = {
    "order_count_90d": "近90天订单数",
    "discount_share": "优惠占比",
    "stage": "阶段",
    "is_member": "会员",
    "complained": "有投诉",
    "gender": "性别",
    "last_on": "末单日期",
}
STANDS = {"stage": {"at_risk": "流失预警", "loyal": "忠诚"}}
EN, ZH = Speaker("en", LABELS, STANDS), Speaker("zh", LABELS, STANDS, {"big_basket": "大篮子"})
SAID = {
    "order_count_90d >= 3": ("order count in the last 90 nights is at least 3", "近90天订单数 至少 3"),
    "order_count_90d <= 3 or order_count_90d > 9": (
        "order count in the last 90 nights is at most 3 or order count in the last 90 nights is over 9",
        "近90天订单数 至多 3 或 近90天订单数 大于 9",
    ),
    "3 < order_count_90d": ("order count in the last 90 nights is over 3", "近90天订单数 大于 3"),
    "discount_share < 0.25": ("discount share is under 25 %", "优惠占比 小于 25 %"),
    "discount_share between 0.25 and 1": ("discount share is between 25 % and 100 %", "优惠占比 在 25 % 到 100 % 之间"),
    "stage in ('at_risk', 'loyal')": ("stage is at risk or loyal", "阶段 为 流失预警、忠诚"),
    "stage not in ('at_risk', 'loyal')": ("stage is not at risk or loyal", "阶段 不为 流失预警、忠诚"),
    "stage <> 'loyal'": ("stage is not loyal", "阶段 不为 忠诚"),
    "gender is not distinct from 'male'": ("gender is male", "性别 为 male"),
    "gender is distinct from 'male'": ("gender is not male", "性别 不为 male"),
    "is_member and not complained": ("member and not complained", "会员 且 非 有投诉"),
    "is_member = false": ("not member", "非 会员"),
    "is_member is true": ("member", "会员"),
    "gender is null and last_on is not null": ("gender is not known and last on is known", "性别 缺失 且 末单日期 已知"),
    "not (complained or gender = 'male')": ("not (complained or gender is male)", "并非（有投诉 或 性别 为 male）"),
    "(complained or is_member) and stage = 'loyal'": ("(complained or member) and stage is loyal", "（有投诉 或 会员） 且 阶段 为 忠诚"),
    "gender like 'm%'": ("gender looks like m%", "性别 形如 m%"),
    "order_count_90d * 3 - 1 + 2 > -order_count_90d / nullif(discount_share, 0) % 2": (
        "order count in the last 90 nights × 3 − 1 + 2 is over −order count in the last 90 nights ÷ discount share mod 2",
        "近90天订单数 × 3 − 1 + 2 大于 −近90天订单数 ÷ 优惠占比 mod 2",
    ),
    "coalesce(order_count_90d, 0) = 0": ("order count in the last 90 nights (where not known 0) is 0", "近90天订单数（缺失时为 0） 为 0"),
    "not coalesce(is_member, false)": ("not (member (where not known no))", "并非（会员（缺失时为 否））"),
    "abs(order_count_90d) > ceil(floor(round(order_count_90d)))": (
        "the size of order count in the last 90 nights is over order count in the last 90 nights rounded rounded down rounded up",
        "近90天订单数 的绝对值 大于 近90天订单数 取整 向下取整 向上取整",
    ),
    "greatest(order_count_90d, 3) > least(order_count_90d, 2)": (
        "the largest of order count in the last 90 nights, 3 is over the smallest of order count in the last 90 nights, 2",
        "近90天订单数、3 中最大者 大于 近90天订单数、2 中最小者",
    ),
    "lower(upper(trim(gender))) = 'x' and length(gender) > 2": (
        "gender is x and the length of gender is over 2",
        "性别 为 x 且 性别 的长度 大于 2",
    ),
    "cast(gender as varchar) || 'a' = 'ba'": ("gender ‖ a is ba", "性别 ‖ a 为 ba"),
    "try_cast(gender as integer) = 1": ("gender is 1", "性别 为 1"),
    "case when is_member then 2 else 3 end > 2": ("(2 if member, else 3) is over 2", "（若 会员 则 2，否则 3） 大于 2"),
    "extract(month from last_on) = 2": ("month of last on is 2", "末单日期 的月份 为 2"),
    "true": ("everybody", "所有人"),
    "false": ("nobody by rule, only by the word of agents", "无规则，仅人工标注"),
}


@pytest.mark.parametrize("condition", SAID)
def test_a_condition_is_said_in_both_languages(condition: str) -> None:
    assert guard(condition, dict.fromkeys(LABELS, "integer")) == []
    assert (EN.condition(condition), ZH.condition(condition)) == SAID[condition]


def test_every_operator_a_rule_may_use_has_words() -> None:
    said = {type(node) for condition in SAID for node in parse(condition).walk()}
    allowed = {
        *FUNCTIONS,
        *COMPARISONS,
        *ARITHMETIC,
        *LOGIC,
        exp.Between,
        exp.Boolean,
        exp.Case,
        exp.DPipe,
        exp.In,
        exp.Is,
        exp.Like,
        exp.Null,
    }
    assert {kind.__name__ for kind in allowed - said} == set()
    names = {literal.this for condition in SAID for literal in parse(condition).find_all(exp.Literal)} | {"mod"}
    for condition in SAID:
        latin = set(re.findall(r"[A-Za-z_]{2,}", ZH.condition(condition)))
        assert latin <= {word for name in names for word in re.findall(r"[A-Za-z_]+", name)}, condition


def test_a_rule_with_a_memory_says_what_keeps_it() -> None:
    assert EN.rule("order_count_90d >= 4", "order_count_90d >= 3").endswith("; stays while order count in the last 90 nights is at least 3")
    assert ZH.rule("order_count_90d >= 4", "order_count_90d >= 3") == "近90天订单数 至少 4；此后只要 近90天订单数 至少 3 就保持"


def test_a_step_that_must_not_hold_is_said_so() -> None:
    assert (EN.condition_not("complained"), ZH.condition_not("complained")) == ("not complained", "非 有投诉")
    assert ZH.condition_not("order_count_90d > 1") == "并非（近90天订单数 大于 1）"
    assert (EN.segment("big_basket"), ZH.segment("big_basket", holds=False)) == ("in segment big basket", "不属于分群「大篮子」")


def test_values_are_said_as_people_read_them() -> None:
    assert [ZH.value(value, "discount_share") for value in (Decimal("0.666667"), None)] == ["66.67 %", "缺失"]
    assert [EN.value(value, "stage") for value in ("at_risk", None, True)] == ["at risk", "not known", "yes"]
    assert (ZH.value("at_risk", "stage"), ZH.value("who_knows", "stage"), ZH.value(Decimal("1134.83"))) == (
        "流失预警",
        "who_knows",
        "1134.83",
    )
    assert (ZH.column("no_label_30d"), EN.column("is_member")) == ("no label in the last 30 nights", "member")
