with
    lists as ({{ contact_list_rows() }}),
    members as (select segment, user_id from {{ ref("segment_members") }}),
    points as (
        select user_id, channel, contact_point, email, phone
        from {{ ref("int_contact_point") }}
        where channel in ({{ listed("channel") }})
    ),
    consents as (
        select user_id, channel, purpose, {{ same_point("contact_point") }} as point, state
        from {{ ref("int_consent") }}
        where channel in ({{ listed("channel") }}) and purpose in ({{ listed("purpose") }})
    ),
    subscribed as (select distinct user_id, channel, purpose, point from consents where state = 'subscribed'),
    -- An address somebody opted out with is left alone for every user who shares it.
    refused as (select distinct channel, purpose, point from consents where state = 'unsubscribed'),
    reached as (
        select
            lists.audience,
            lists.tool,
            lists.segment,
            lists.channel,
            lists.purpose,
            members.user_id,
            {{ same_point("points.contact_point") }} as point,
            {{ match_value("points") }} as match_value
        from lists
        inner join members on lists.segment = members.segment
        left join points on members.user_id = points.user_id and lists.channel = points.channel
    )

select
    reached.audience,
    reached.tool,
    reached.segment,
    reached.user_id,
    case
        when reached.point is null or reached.match_value is null
        then 'no_contact_point'
        when subscribed.user_id is null or refused.point is not null
        then 'no_consent'
        else 'exported'
    end as decision
from reached
left join
    subscribed
    on reached.user_id = subscribed.user_id
    and reached.channel = subscribed.channel
    and reached.purpose = subscribed.purpose
    and reached.point = subscribed.point
left join
    refused on reached.channel = refused.channel and reached.purpose = refused.purpose and reached.point = refused.point
