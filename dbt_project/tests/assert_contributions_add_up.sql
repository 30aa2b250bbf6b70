-- One row per way in which the shares of all users are not 1, the core is not the smallest set, or two tables tell
-- different standings.
{%- set core = contribution_rules().get("core", {}) %}

with
    contributions as (
        select
            user_id,
            share_from_spend + share_from_content + share_from_referrals + share_from_influence as parts,
            contribution_share,
            contribution_rank,
            cumulative_share,
            is_core_user
        from {{ ref("user_contribution") }}
    ),
    profile as (select user_id, contribution_share, is_core_user, kol_score, kol_tier from {{ ref("user_profile") }}),
    leaders as (select user_id, kol_score, kol_tier from {{ ref("kol") }}),
    concentration as (
        select measure, user_count, measure_share, cumulative_measure_share from {{ ref("contribution_concentration") }}
    ),
    totals as (
        select
            count(*) as user_count,
            count(contribution_rank) as ranked_count,
            count(distinct contribution_rank) as rank_count,
            max(contribution_rank) as last_rank,
            sum(contribution_share) as contribution_share,
            max(cumulative_share) as cumulative_share,
            count(case when parts <> contribution_share then 1 end) as broken_count,
            sum(case when is_core_user then contribution_share else 0 end) as core_share,
            min(case when is_core_user then contribution_share end) as least_core_share,
            max(case when is_core_user then contribution_rank end) as last_core_rank,
            count(case when is_core_user then 1 end) as core_count
        from contributions
    )

select 'shares' as broken
from totals
where
    ranked_count > 0
    and (
        abs(contribution_share - 1) > 0.000001
        or contribution_share <> cumulative_share
        or broken_count > 0
        or rank_count <> ranked_count
        or last_rank <> ranked_count
    )
union all
select 'core' as broken
from totals
where
    ranked_count > 0
    and (
        last_core_rank <> core_count
        {%- if "share_of_contribution" in core %}
            or core_share < {{ core["share_of_contribution"] }} - 0.000001
            or core_share - least_core_share >= {{ core["share_of_contribution"] }}
        {%- endif %}
    )
union all
select 'concentration of ' || concentration.measure as broken
from concentration
cross join totals
group by concentration.measure, totals.user_count
having
    sum(concentration.user_count) <> totals.user_count
    or abs(sum(concentration.measure_share) - 1) > 0.00001
    or max(concentration.cumulative_measure_share) <> 1
union all
select 'standing of ' || profile.user_id as broken
from profile
left join contributions on profile.user_id = contributions.user_id
left join leaders on profile.user_id = leaders.user_id
where
    profile.contribution_share is distinct from contributions.contribution_share
    or profile.is_core_user is distinct from contributions.is_core_user
    or profile.kol_score <> coalesce(leaders.kol_score, 0)
    or profile.kol_tier is distinct from leaders.kol_tier
