"""Why something is not known: the reasons that tables give (`not_eligible: …`), in words for people, in English and Chinese.

Add a line here for every new reason a model or a score can give; a test looks for reasons that are missing.
Must not decide whether something is eligible.
"""

from __future__ import annotations

import re

from userops_pipeline.ground.words import Words

NOT_ELIGIBLE = "not_eligible: "

# Each reason as a pattern; what it captures stands in the Chinese at \1, \2, …
REASONS: tuple[tuple[str, str], ...] = (
    (r"has not bought", "还没有购买"),
    (r"(\d+) days of purchases, (\d+) are needed", r"只有 \1 天的购买记录，至少需要 \2 天"),
    (r"no purchase for (\d+) days, at most (\d+)", r"全店已有 \1 天没有购买，最多允许 \2 天"),
    (r"(\d+) buyers, (\d+) are needed", r"只有 \1 个买家，至少需要 \2 个"),
    (r"(\d+) repeat buyers, (\d+) are needed", r"只有 \1 个复购买家，至少需要 \2 个"),
    (r"nobody has bought on (\d+) days", r"还没有人在 \1 个不同的日子购买过"),
    (r"nobody is known for longer than a day", "没有观测超过一天的买家"),
    (r"the purchases are not", "购买次数尚不可预测"),
    (r"the fit of the purchases has not converged", "购买模型的拟合没有收敛"),
    (r"the fit of the amounts has not converged", "金额模型的拟合没有收敛"),
    (r"the amounts have no mean \(q is not above 1\)", "金额分布没有均值（q 不大于 1）"),
    (r"amounts and frequency correlate by (\S+), at most (\S+)", r"金额与频次的相关系数为 \1，最多允许 \2"),
    (r".+, of whom bg_nbd knows nothing", "购买历史不足，bg_nbd 模型对此无从判断"),
    (r"when they registered is not known", "注册时间未知"),
    (r"nobody has (\d+) .+", r"还没有人有 \1 次购买"),
    (r"there is no such version", "没有这个版本"),
    (r"there is no version of the model yet that could be fitted", "还没有可以拟合的模型版本"),
    (r"fewer than half have churned at the ages seen so far", "在已观测的天龄内流失的用户不到一半"),
    (r"the segment is everybody", "该分群包含所有用户"),
    (r"fewer than (\d+) users in the segment", r"分群内不足 \1 个用户"),
    (r"fewer than (\d+) users outside it", r"分群外不足 \1 个用户"),
    (r"fewer than (\d+) expected in a cell", r"有单元格的期望人数不足 \1"),
    (r"fewer than (\d+) users with it", r"有该行为的用户不足 \1 个"),
    (r"fewer than (\d+) users without it", r"没有该行为的用户不足 \1 个"),
    (r"fewer than (\d+) have a like to be compared with", r"可匹配比较的用户不足 \1 个"),
    (r"a purchase without an amount", "有一次没有金额的购买"),
    (r"inside a paid period, of which models of free buying know nothing", "仍在付费期内，自由购买模型无从判断"),
    (r"never a purchase", "从未购买"),
    (r"never .+", "从未活跃"),
    (r"no (\w+) landed", r"没有到达过 \1 数据"),
    (r"the first night lies within the period", "第一晚落在该周期之内"),
    (r"nothing to measure in the period", "该周期内没有可衡量的数据"),
    (r"its denominator is below (\d+)", r"分母不足 \1"),
)


def in_words(reason: str) -> Words:
    """`not_eligible: 60 days of purchases, 180 are needed` as a person says it; an unknown reason stands in English in both."""
    said = reason.removeprefix(NOT_ELIGIBLE)
    for pattern, zh in REASONS:
        found = re.fullmatch(pattern, said)
        if found:
            return Words(said, found.expand(zh))
    return Words(said, said)
