with
    clock as (select business_zone from {{ ref("int_clock") }}),
    incentives as (
        select incentive_id, user_id, campaign_id, kind, code, issued_at, issued_on, used_at, value, cost
        from {{ ref("stg_incentives") }}
    ),
    campaigns as (select campaign_id, campaign_type, channel, strategy, incentive from {{ ref("stg_campaigns") }}),
    merges as (select user_id, survivor_id from {{ ref("int_user_merge") }}),
    described as (
        select
            incentives.incentive_id,
            coalesce(merges.survivor_id, incentives.user_id) as user_id,
            incentives.issued_on,
            {{ business_date("greatest(incentives.used_at, incentives.issued_at)", "clock.business_zone") }} as used_on,
            incentives.used_at is not null as is_used,
            incentives.kind,
            incentives.code,
            incentives.campaign_id,
            campaigns.campaign_type,
            campaigns.channel,
            campaigns.strategy,
            campaigns.incentive,
            incentives.value,
            incentives.cost
        from incentives
        cross join clock
        left join campaigns on incentives.campaign_id = campaigns.campaign_id
        left join merges on incentives.user_id = merges.user_id
    )

select
    incentive_id,
    user_id,
    issued_on,
    case when is_used then used_on end as used_on,
    kind,
    code,
    campaign_id,
    campaign_type,
    channel,
    strategy,
    incentive,
    value,
    cost,
    case
        {%- for benefit in benefits() %}
            when {{ benefit["when"] }} then {{ text_literal(benefit["name"]) }}
        {%- endfor %}
        else cast(null as string)
    end as benefit
from described
