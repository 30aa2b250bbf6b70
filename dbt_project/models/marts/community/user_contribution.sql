{%- set rules = contribution_rules() %}
{%- set days = rules.get("window_days", 90) %}
{%- set after = rules.get("follow_days", 7) %}
{%- set service = rules.get("service", {}) %}
{%- set counts = (
    (content_counts().values() | list)
    + ["reaction_count", "audience_count", "reshare_count", "follower_count"]
    + ["invitee_count", "screened_invitee_count", "activated_invitee_count", "paid_invitee_count"]
) %}
{%- set parts = contribution_parts() | list %}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    users as (select user_id, ticket_count_{{ days }}d as ticket_count from {{ ref("user_profile") }}),
    contributions as (
        select
            user_id,
            spend_amount,
            {{ counts | join(",\n            ") }},
            invitee_spend_amount,
            {%- for part in parts %} share_from_{{ part }}, {%- endfor %}
            contribution_share,
            contribution_rank,
            cumulative_share,
            is_core_user
        from {{ ref("int_user_community") }}
        where night_on = (select as_of from clock)
    ),
    interactions as (
        select owner_id, user_id, min(acted_on) as acted_on
        from {{ ref("int_interaction") }}
        where not is_shared_device and acted_on > (select {{ days_after("as_of", -1 * days) }} from clock)
        group by owner_id, user_id
    ),
    days as (
        select user_id, activity_on, spend_amount
        from {{ ref("int_user_day") }}
        where
            (active_days > 0 or spend_amount > 0)
            and activity_on > (select {{ days_after("as_of", -1 * days) }} from clock)
    ),

    {#- What somebody did in the days after the first time they met the author in the window; only where those days are over. -#}
    observed as (
        select owner_id, user_id, acted_on
        from interactions
        where acted_on <= (select {{ days_after("as_of", -1 * after) }} from clock)
    ),
    followed as (
        select observed.owner_id, observed.user_id, sum(days.spend_amount) as spend_amount
        from observed
        inner join
            days
            on observed.user_id = days.user_id
            and days.activity_on > observed.acted_on
            and days.activity_on <= {{ days_after("observed.acted_on", after) }}
        group by observed.owner_id, observed.user_id
    ),
    influenced as (
        select
            observed.owner_id,
            count(*) as observed_audience_count,
            count(followed.user_id) as returned_audience_count,
            sum(followed.spend_amount) as audience_spend_amount
        from observed
        left join followed on observed.owner_id = followed.owner_id and observed.user_id = followed.user_id
        group by observed.owner_id
    ),
    together as (
        select
            users.user_id,
            coalesce(contributions.spend_amount, 0) as spend_amount,
            {%- for count in counts %} coalesce(contributions.{{ count }}, 0) as {{ count }}, {%- endfor %}
            coalesce(contributions.invitee_spend_amount, 0) as invitee_spend_amount,
            coalesce(influenced.observed_audience_count, 0) as observed_audience_count,
            coalesce(influenced.returned_audience_count, 0) as returned_audience_count,
            coalesce(influenced.audience_spend_amount, 0) as audience_spend_amount,
            {%- for part in parts %}
                coalesce(contributions.share_from_{{ part }}, 0) as share_from_{{ part }},
            {%- endfor %}
            coalesce(contributions.contribution_share, 0) as contribution_share,
            contributions.contribution_rank,
            contributions.cumulative_share,
            coalesce(contributions.is_core_user, false) as is_core_user,
            users.ticket_count,
            users.ticket_count * {{ service.get("ticket_cost_amount", 0) }} as service_cost_amount
        from users
        left join contributions on users.user_id = contributions.user_id
        left join influenced on users.user_id = influenced.owner_id
    )

select
    user_id,
    cast(spend_amount as decimal(18, 2)) as spend_amount,
    {%- for count in counts %} {{ count }}, {%- endfor %}
    cast(invitee_spend_amount as decimal(18, 2)) as invitee_spend_amount,
    observed_audience_count,
    returned_audience_count,
    {{ share("returned_audience_count", "observed_audience_count") }} as returned_audience_share,
    cast(audience_spend_amount as decimal(18, 2)) as audience_spend_amount,
    {%- for part in parts %} cast(share_from_{{ part }} as decimal(18, 12)) as share_from_{{ part }}, {%- endfor %}
    cast(contribution_share as decimal(18, 12)) as contribution_share,
    case when contribution_share > 0 then contribution_rank end as contribution_rank,
    case when contribution_share > 0 then cumulative_share end as cumulative_share,
    case
        {%- for part in parts %}
            when
                share_from_{{ part }} > 0
                {%- for other in parts if other != part %}
                    and share_from_{{ part }} >= share_from_{{ other }}
                {%- endfor %}
            then {{ text_literal(part) }}
        {%- endfor %}
    end as main_reason,
    is_core_user,
    ticket_count,
    cast(service_cost_amount as decimal(18, 2)) as service_cost_amount,
    {{ ratio("service_cost_amount", "spend_amount + invitee_spend_amount", 18, 6) }} as service_cost_share,
    is_core_user
    and service_cost_amount
    > {{ service.get("cap_share", 0) }} * (spend_amount + invitee_spend_amount) as is_over_service_cap
from together
