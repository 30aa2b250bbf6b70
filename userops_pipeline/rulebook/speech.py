"""Conditions in words: what a rule says, in English and in Chinese, with the names people use for columns, stages and segments.

Add the words of an operator here when `condition` allows a new one; a test goes through all it allows. Must not judge a condition, look
anything up, or know what an explanation looks like.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlglot import exp

from userops_pipeline.ground.words import Language
from userops_pipeline.rulebook.condition import parse

COMPARED: dict[type[exp.Expr], tuple[str, str]] = {
    exp.EQ: ("is {}", "为 {}"),
    exp.NEQ: ("is not {}", "不为 {}"),
    exp.GT: ("is over {}", "大于 {}"),
    exp.GTE: ("is at least {}", "至少 {}"),
    exp.LT: ("is under {}", "小于 {}"),
    exp.LTE: ("is at most {}", "至多 {}"),
    exp.NullSafeEQ: ("is {}", "为 {}"),
    exp.NullSafeNEQ: ("is not {}", "不为 {}"),
}
CALCULATED: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "−", exp.Mul: "×", exp.Div: "÷", exp.Mod: "mod", exp.DPipe: "‖"}
TURNED = {exp.GT: exp.LT, exp.GTE: exp.LTE, exp.LT: exp.GT, exp.LTE: exp.GTE}
CALLED: dict[type[exp.Expr], tuple[str, str]] = {
    exp.Abs: ("the size of {}", "{} 的绝对值"),
    exp.Ceil: ("{} rounded up", "{} 向上取整"),
    exp.Floor: ("{} rounded down", "{} 向下取整"),
    exp.Round: ("{} rounded", "{} 取整"),
    exp.Greatest: ("the largest of {}", "{} 中最大者"),
    exp.Least: ("the smallest of {}", "{} 中最小者"),
    exp.Length: ("the length of {}", "{} 的长度"),
    exp.Lower: ("{}", "{}"),
    exp.Upper: ("{}", "{}"),
    exp.Trim: ("{}", "{}"),
}

PARTS = {"year": "年份", "quarter": "季度", "month": "月份", "week": "周数", "day": "日", "dow": "星期", "hour": "小时"}


@dataclass(frozen=True)
class Speaker:
    """Says conditions and values in one language."""

    language: Language
    labels: Mapping[str, str] = field(default_factory=dict)
    """Chinese name by column, tags included."""
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Chinese name by value, of the columns whose values have names, such as `stage`."""
    segments: Mapping[str, str] = field(default_factory=dict)
    """Chinese name by segment."""

    def pick(self, en: str, zh: str) -> str:
        return zh if self.language == "zh" else en

    def column(self, name: str) -> str:
        """`order_count_90d` as `order count in the last 90 nights`, in Chinese by its label."""
        if self.language == "zh" and self.labels.get(name):
            return self.labels[name]
        window = re.fullmatch(r"(.+)_(\d+)d", name)
        plain = (window[1] if window else name).replace("_", " ").removeprefix("is ")
        return f"{plain} in the last {window[2]} nights" if window else plain

    def value(self, value: Any, column: str | None = None) -> str:
        """A value as it is said of a column: shares in per cent, stages by name."""
        if value is None:
            return self.pick("not known", "缺失")
        if isinstance(value, bool):
            return self.pick("yes", "是") if value else self.pick("no", "否")
        if column is not None and isinstance(value, str):
            known = self.values.get(column, {})
            return self.pick(value.replace("_", " ") if value in known else value, known.get(value) or value)
        if column is not None and _is_share(column) and isinstance(value, int | float | Decimal):
            return f"{float(value) * 100:.4g} %"
        return f"{value:f}" if isinstance(value, Decimal) else str(value)

    def segment(self, name: str, *, holds: bool = True) -> str:
        en, zh = name.replace("_", " "), self.segments.get(name) or name
        return self.pick(f"in segment {en}", f"属于分群「{zh}」") if holds else self.pick(f"not in segment {en}", f"不属于分群「{zh}」")

    def negated(self, column: str) -> str:
        return self.pick("not ", "非 ") + self.column(column)

    def rule(self, when: str, stays_when: str | None) -> str:
        """A condition, and the one that keeps it on where the rule has a memory."""
        said = self.condition(when)
        if stays_when is None:
            return said
        return said + self.pick("; stays while ", "；此后只要 ") + self.condition(stays_when) + self.pick("", " 就保持")

    def condition(self, text: str) -> str:
        """One condition that `guard` has passed, as a sentence without its end."""
        tree = parse(text).unnest()
        if isinstance(tree, exp.Boolean):
            return (
                self.pick("everybody", "所有人")
                if tree.this
                else self.pick("nobody by rule, only by the word of agents", "无规则，仅人工标注")
            )
        return self._clause(tree)

    def condition_not(self, text: str) -> str:
        """That a condition does not hold."""
        return self._negated(parse(text))

    def _clause(self, node: exp.Expr) -> str:
        """What is true or false."""
        match node:
            case exp.Paren():
                return f"{self.pick('(', '（')}{self._clause(node.this)}{self.pick(')', '）')}"
            case exp.And() | exp.Or():
                words = self.pick(" and ", " 且 ") if isinstance(node, exp.And) else self.pick(" or ", " 或 ")
                return f"{self._clause(node.this)}{words}{self._clause(node.expression)}"
            case exp.Not():
                return self._negated(node.this)
            case exp.Between():
                low, high = self._beside(node.this, node.args["low"]), self._beside(node.this, node.args["high"])
                return self._term(node.this) + self.pick(f" is between {low} and {high}", f" 在 {low} 到 {high} 之间")
            case exp.In():
                among = self.pick(" or ", "、").join(self._beside(node.this, entry) for entry in node.expressions)
                return self._term(node.this) + self.pick(f" is {among}", f" 为 {among}")
            case exp.Is():
                return self._is(node, positive=True)
            case exp.Like():
                return self._term(node.this) + self.pick(" looks like ", " 形如 ") + self._term(node.expression)
            case exp.Boolean():
                return self.pick("always" if node.this else "never", "总是" if node.this else "从不")
            case _ if type(node) in COMPARED:
                return self._compared(node)
            case _:
                return self._term(node)

    def _negated(self, node: exp.Expr) -> str:
        bare = node.unnest()
        match bare:
            case exp.Is():
                return self._is(bare, positive=False)
            case exp.In():
                among = self.pick(" or ", "、").join(self._beside(bare.this, entry) for entry in bare.expressions)
                return self._term(bare.this) + self.pick(f" is not {among}", f" 不为 {among}")
            case exp.Column():
                return self.negated(bare.name.lower())
            case _:
                return self.pick("not (", "并非（") + self._clause(bare) + self.pick(")", "）")

    def _is(self, node: exp.Expr, *, positive: bool) -> str:
        said, other = self._term(node.this), node.expression
        if isinstance(other, exp.Boolean):
            return said if bool(other.this) == positive else self.pick("not ", "非 ") + said
        return said + (self.pick(" is not known", " 缺失") if positive else self.pick(" is known", " 已知"))

    def _compared(self, node: exp.Expr) -> str:
        left, right, kind = node.this, node.expression, type(node)
        if isinstance(left, exp.Literal) and not isinstance(right, exp.Literal):
            left, right, kind = right, left, TURNED.get(kind, kind)
        if isinstance(right, exp.Boolean) and kind in (exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ):
            positive = bool(right.this) == (kind in (exp.EQ, exp.NullSafeEQ))
            return self._term(left) if positive else self.pick("not ", "非 ") + self._term(left)
        words = self.pick(*COMPARED[kind]).format(self._beside(left, right))
        return f"{self._term(left)} {words}"

    def _beside(self, left: exp.Expr, right: exp.Expr) -> str:
        """A value as it is said of what it is compared with."""
        column = left.unnest()
        bare = right.unnest()
        if isinstance(column, exp.Column) and isinstance(bare, exp.Literal):
            name = column.name.lower()
            return self.value(bare.this if bare.is_string else float(bare.this) if _is_share(name) else bare.this, name)
        return self._term(right)

    def _term(self, node: exp.Expr) -> str:
        """What has a value."""
        match node:
            case exp.Column():
                return self.column(node.name.lower())
            case exp.Literal():
                return str(node.this)
            case exp.Null():
                return self.pick("not known", "缺失")
            case exp.Boolean():
                return self.value(bool(node.this))
            case exp.Paren():
                return f"({self._term(node.this)})"
            case exp.Neg():
                return f"−{self._term(node.this)}"
            case exp.Cast():
                return self._term(node.this)
            case exp.Nullif():
                return self._term(node.this)
            case exp.Coalesce():
                fallbacks = self.pick(", else ", "，否则 ").join(self._term(entry) for entry in node.expressions)
                return self._term(node.this) + self.pick(f" (where not known {fallbacks})", f"（缺失时为 {fallbacks}）")
            case exp.Case():
                return self._case(node)
            case exp.Extract():
                part = node.name.lower()
                return self.pick("{} of {}", "{1} 的{0}").format(self.pick(part, PARTS.get(part, part)), self._term(node.expression))
            case _ if type(node) in CALCULATED:
                return f"{self._term(node.this)} {CALCULATED[type(node)]} {self._term(node.expression)}"
            case _ if type(node) in CALLED:
                parts = [node.this, *node.expressions] if isinstance(node, exp.Greatest | exp.Least) else [node.this]
                return self.pick(*CALLED[type(node)]).format(self.pick(", ", "、").join(map(self._term, parts)))
            case _:
                return self._clause(node) if isinstance(node, exp.Predicate | exp.Connector | exp.Not) else node.sql("duckdb")

    def _case(self, node: exp.Case) -> str:
        chosen = [
            self.pick("{then} if {when}", "若 {when} 则 {then}").format(when=self._clause(each.this), then=self._term(each.args["true"]))
            for each in node.args["ifs"]
        ]
        if node.args.get("default") is not None:
            chosen.append(self.pick("else ", "否则 ") + self._term(node.args["default"]))
        return self.pick("(", "（") + self.pick(", ", "，").join(chosen) + self.pick(")", "）")


def _is_share(column: str) -> bool:
    return re.search(r"_share(_\d+d)?$", column) is not None
