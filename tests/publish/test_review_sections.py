"""Promises of single sections: which rows of a table they show, and in which words.

Add a section with the rows that tell right from wrong. What holds of every section is in test_review.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from published_tables import declared, published, section_of

from userops_pipeline.publish import review


@pytest.fixture
def page_of(tmp_path: Path):
    """The section as it stands on the page of a generation with these rows, without markup."""

    def make(name: str, **rows: str) -> str:
        tables = {
            table: columns for table, columns in declared().items() if table in next(s for s in review.SECTIONS if s.name == name).tables
        }
        part = section_of(review.review(published(tmp_path, tables, **rows)).html, name)
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", part))

    return make


def test_the_scorecard_shows_the_latest_period_and_says_what_cannot_be_measured(page_of) -> None:
    columns = "goal, goal_label, owner, metric, metric_label, grain, period_on, is_complete, denominator, metric_value, direction, target, due_target, status, reason, change_share"
    rows = (
        "('activity', '活跃度', 'crm', 'stickiness', '粘性', 'month', date '2017-11-01', true, 9, 0.99, 'up', 0.15, 0.15, 'met', null, null)",
        "('activity', '活跃度', 'crm', 'stickiness', '粘性', 'month', date '2017-12-01', true, 9, 0.4, 'up', 0.15, 0.15, 'met', null, -0.05)",
        "('scale', '规模', 'growth', 'new_users', '新用户', 'month', date '2017-12-01', false, null, 1234, 'up', 2000, 1500, 'at_risk', null, 0.1)",
        "('value', '价值', 'crm', 'revenue_per_user', '人均', 'month', date '2017-12-01', true, 9, 12.5, 'up', 10, 10, 'met', null, null)",
        "('care', '满意', 'service', 'nps', 'NPS', 'month', date '2017-12-01', true, null, null, 'up', 1, 1, 'not_measurable', 'no feedback landed', null)",
    )
    said = page_of("scorecard", goal_scorecard=f"select * from (values {', '.join(rows)}) as t({columns})")
    assert "99.0 %" not in said
    assert "40.0 % ≥ 15.0 % ≥ 15.0 % −5 % met 达成" in said
    assert "2017-12-01, still running 2017-12-01，进行中 1,234 ≥ 1,500 ≥ 2,000 +10 % at risk 有风险" in said
    assert "12.50 ≥ 10 ≥ 10" in said
    assert "no feedback landed 没有到达过 feedback 数据" in said


def test_metrics_are_rolled_up_as_they_add_up(page_of) -> None:
    """A rate is the ratio of sums, not a mean of ratios; a stock is that of the last night; a count is a sum; who comes every night is one user."""
    columns = "night_on, family, metric, label, adds, dimension, value, numerator, denominator"
    rows = (
        "(date '2017-12-31', 'activity', 'stickiness', '粘性', 'rate', 'total', 'total', 1, 10)",
        "(date '2017-12-30', 'activity', 'stickiness', '粘性', 'rate', 'total', 'total', 30, 90)",
        "(date '2017-12-24', 'activity', 'stickiness', '粘性', 'rate', 'total', 'total', 1, 10)",
        "(date '2017-12-31', 'revenue', 'average_order_amount', '客单价', 'rate', 'total', 'total', 127.5, 4)",
        "(date '2017-12-31', 'scale', 'users', '用户', 'stock', 'total', 'total', 9, null)",
        "(date '2017-12-30', 'scale', 'users', '用户', 'stock', 'total', 'total', 7, null)",
        "(date '2017-12-31', 'scale', 'orders', '订单', 'count', 'total', 'total', 9, null)",
        "(date '2017-12-30', 'scale', 'orders', '订单', 'count', 'total', 'total', 7, null)",
        "(date '2017-12-30', 'scale', 'orders', '订单', 'count', 'channel', 'web', 99, null)",
        "(date '2017-12-17', 'scale', 'orders', '订单', 'count', 'total', 'total', 99, null)",
        "(date '2017-12-31', 'activity', 'daily_active_users', '日活', 'daily', 'total', 'total', 9, null)",
        "(date '2017-12-30', 'activity', 'daily_active_users', '日活', 'daily', 'total', 'total', 6, null)",
    )
    said = page_of("metrics", metrics_daily=f"select * from (values {', '.join(rows)}) as t({columns})")
    assert "Stickiness 粘性 all together 合并计算 31.0 % 10.0 % +210 %" in said
    assert "Average order amount 客单价 all together 合并计算 31.88 –" in said
    assert "Users 用户 last night 期末 9 –" in said
    assert "Orders 订单 sum 合计 16 –" in said
    assert "Daily active users 日活 mean night 日均 7.50 –" in said


def test_what_precedes_churn_is_told_from_what_cannot_be_compared(page_of) -> None:
    columns = "behaviour, label, with_count, churned_with_share, churned_without_share, matched_difference, matched_low, matched_high, verdict, eligibility"
    precursors = (
        "('complained', '投诉', 40, 0.5, 0.2, 0.25, 0.1, 0.4, 'precedes_churn', 'eligible')",
        "('unfollowed', '取关', 3, null, null, null, null, null, 'not_eligible', 'not_eligible: fewer than 30 users with it')",
    )
    risk = (
        "select * from (values ('u1', 'eligible', 'late', '逾期', 1.5, 1), ('u2', 'eligible', 'on_time', '正常', 0.5, 0), "
        "('u3', 'not_eligible: never a purchase', null, null, null, 0)) as t(user_id, eligibility, band, label, churn_ratio, precursor_count)"
    )
    said = page_of("churn_risk", churn_precursors=f"select * from (values {', '.join(precursors)}) as t({columns})", user_churn_risk=risk)
    assert "Complained 投诉 40 50 % 20 % +25.0" in said
    assert "precedes churn 先于流失" in said
    assert "Unfollowed: fewer than 30 users with it 取关：有该行为的用户不足 30 个" in said
    assert "no risk for 1 users: never a purchase 1 个用户无法评估：从未购买" in said
    assert "Late 逾期 1 50.0 % 1.50 × 1" in said


def test_key_behaviours_say_that_they_are_associations(page_of) -> None:
    columns = (
        "outcome, outcome_label, place, behaviour, label, done_count, within_days, with_count, with_share, without_share, matched_difference, "
        "matched_low, matched_high, verdict, evidence, is_chosen, eligibility"
    )
    rows = (
        "('stays', '留下', 2, 'search', '搜索', 1, 3, 400, 0.6, 0.5, 0.01, -0.02, 0.04, 'correlates_only', 'association', false, 'eligible')",
        "('stays', '留下', 1, 'follow', '关注', 2, 7, 300, 0.7, 0.5, 0.12, 0.08, 0.16, 'holds', 'association', true, 'eligible')",
    )
    chain = "select * from (values ('u1', 1, 'follow', '关注', true, true, false), ('u2', 1, 'follow', '关注', false, false, true)) as t(user_id, position, step, label, is_done, is_in_time, is_next)"
    said = page_of("key_behaviours", key_behaviours=f"select * from (values {', '.join(rows)}) as t({columns})", value_chain_progress=chain)
    assert said.index("Follow, 2× within 7 days 关注，7 天内 2 次") < said.index("Search, 1× within 3 days")
    assert "holds among like users 同类用户间成立 Association 相关 in the chain" in said
    assert "correlates only 仅相关 Association 相关 –" in said
    assert "Follow 关注 1 50.0 % 1 1" in said


def test_membership_counts_who_rises_and_who_falls(page_of) -> None:
    members = (
        "select * from (values ('u1', 'gold', '金卡', 2, true, false, null, null), ('u2', 'basic', '普通', 1, false, true, date '2018-01-15', 0.9), "
        "('u3', 'basic', '普通', 1, false, false, date '2018-03-01', 0.1)) as t(user_id, level, label, place, is_qualified, is_in_grace, ends_on, next_level_share)"
    )
    tiers = "select 'u' || i as user_id, 'star' as tier, '明星' as label, date '2017-12-31' as since_on, case when i > 1 then 'calm' end as previous_tier from range(4) as r(i)"
    said = page_of("membership", user_membership=members, user_tier=tiers)
    assert "Star 明星 4 100.0 % 2" in said
    assert "Gold 金卡 1 33.3 % 1 0 0 0" in said
    assert "Basic 普通 2 66.7 % 0 1 1 1" in said


def test_a_persona_shows_what_its_ratio_is_made_of(page_of) -> None:
    """Thirty of forty members, ten of sixty others, forty of all hundred: 1.9 times all users, whose share stands beside it."""
    columns = "segment, kind, trait, value, label, user_share, rest_share, base_user_count, base_size_count, difference, difference_low, difference_high, over_index, is_distinct, is_by_rule, eligibility"
    trait = "'fans', 'tag', 'night_shopper', 'true', '夜购', 0.75, 0.1667, 40, 100, 0.58, 0.4, 0.7, 1.875, true, false, 'eligible'"
    said = page_of(
        "personas",
        segment_personas=f"select * from (values ({trait})) as t({columns})",
        segment_persona_texts="select 'fans' as segment, '粉丝' as label, 40 as user_count, 0.4 as user_share",
    )
    assert "Members 成员 Others 其他 All users 全部用户 Members ÷ all 成员÷全部" in said
    assert "Night shopper 夜购 75 % 17 % 40 % 1.9 ×" in said


def test_core_users_are_counted_by_what_they_give(page_of) -> None:
    core = "select 'u' || i as user_id, i < 2 as is_core_user, 'spend' as main_reason, 0.25 as contribution_share, i = 0 as is_over_service_cap from range(4) as r(i)"
    tenths = (
        "select measure, i as decile, least(0.3 + i / 10, 1) as cumulative_measure_share, 0.62 as gini "
        "from range(1, 11) as r(i), (values ('spend'), ('content')) as m(measure)"
    )
    leaders = "select 'u1' as user_id, 'rising' as kol_tier, '腰部达人' as label, 44 as kol_score"
    experts = "select * from (values ('u1', 'tea', true), ('u1', 'tents', true), ('u2', 'tea', false)) as t(user_id, topic, is_contactable)"
    said = page_of("core_users", user_contribution=core, contribution_concentration=tenths, kol=leaders, expert_directory=experts)
    assert "Top 10 % of all users" in said
    assert "Content 内容 40.0 % 50.0 % 0.62" in said
    assert "Spend 消费 40.0 %" not in said  # over buyers at value concentration, and nowhere else over another base
    assert "Spend 消费 2 50.0 % 1" in said
    assert "Rising 腰部达人 1 44" in said
    assert "2 experts in 2 topics; 1 of them have agreed to be asked." in said
