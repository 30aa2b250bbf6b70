{%- set rules = expert_rules() %}
{%- set days = rules.get("window_days", 365) %}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    users as (select user_id from {{ ref("user_profile") }}),
    contents as (
        select user_id, kind, topic, created_on
        from {{ ref("int_content") }}
        where
            kind <> 'like'
            and topic is not null
            and created_on <= (select as_of from clock)
            and created_on > (select {{ days_after("as_of", -1 * days) }} from clock)
    ),
    interactions as (
        select owner_id, user_id, topic, act_count
        from {{ ref("int_interaction") }}
        where
            not is_shared_device
            and topic is not null
            and acted_on > (select {{ days_after("as_of", -1 * days) }} from clock)
    ),
    points as (
        select user_id, {{ same_point("contact_point") }} as point
        from {{ ref("int_contact_point") }}
        where channel = {{ text_literal(rules.get("channel", "")) }}
    ),
    permissions as (
        select user_id, point, stopped_by
        from {{ ref("int_contact_permission") }}
        where
            channel = {{ text_literal(rules.get("channel", "")) }}
            and purpose = {{ text_literal(rules.get("purpose", "")) }}
    ),

    written as (
        select
            user_id,
            topic,
            max(created_on) as last_written_on
            {%- for kind, column in content_counts().items() %}
                , count(case when kind = {{ text_literal(kind) }} then 1 end) as {{ column }}
            {%- endfor %}
        from contents
        group by user_id, topic
    ),
    received as (
        select owner_id, topic, sum(act_count) as reaction_count, count(distinct user_id) as audience_count
        from interactions
        group by owner_id, topic
    ),
    together as (
        select
            written.user_id,
            written.topic,
            written.last_written_on,
            {%- for column in content_counts().values() %} written.{{ column }}, {%- endfor %}
            coalesce(received.reaction_count, 0) as reaction_count,
            coalesce(received.audience_count, 0) as audience_count
        from written
        inner join users on written.user_id = users.user_id
        left join received on written.user_id = received.owner_id and written.topic = received.topic
    ),
    scored as (
        select
            user_id,
            topic,
            last_written_on,
            {{ content_counts().values() | join(", ") }},
            reaction_count,
            audience_count,
            {{ weighted(rules.get("weights", {}), expert_counts()) }} as expertise_score
        from together
    ),
    experts as (
        select
            user_id,
            topic,
            last_written_on,
            {{ content_counts().values() | join(", ") }},
            reaction_count,
            audience_count,
            expertise_score,
            row_number() over (
                partition by topic order by expertise_score desc, audience_count desc, user_id
            ) as topic_rank
        from scored
        where
            expertise_score >= {{ rules.get("least_score", 0) }}
            and audience_count >= {{ rules.get("least_audience", 0) }}
    )

select
    experts.user_id,
    experts.topic,
    cast(experts.topic_rank as bigint) as topic_rank,
    experts.expertise_score,
    {%- for column in content_counts().values() %} cast(experts.{{ column }} as bigint) as {{ column }}, {%- endfor %}
    cast(experts.reaction_count as bigint) as reaction_count,
    cast(experts.audience_count as bigint) as audience_count,
    experts.last_written_on,
    permissions.user_id is not null and permissions.stopped_by is null as is_contactable,
    case
        when points.point is null
        then 'no_contact_point'
        when permissions.user_id is null or permissions.stopped_by is not null
        then 'no_consent'
        else 'contactable'
    end as decision
from experts
left join points on experts.user_id = points.user_id
left join permissions on experts.user_id = permissions.user_id and points.point = permissions.point
