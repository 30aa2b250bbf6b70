with
    lists as ({{ contact_list_rows() }}),
    members as (select segment, user_id from {{ ref("segment_members") }}),
    points as (
        select user_id, channel, contact_point, email, phone
        from {{ ref("int_contact_point") }}
        where channel in ({{ listed("channel") }})
    ),
    permissions as (
        select user_id, channel, purpose, point, stopped_by
        from {{ ref("int_contact_permission") }}
        where channel in ({{ listed("channel") }}) and purpose in ({{ listed("purpose") }})
    ),
    reached as (
        select
            lists.audience,
            lists.tool,
            lists.segment,
            lists.channel,
            lists.purpose,
            members.user_id,
            {{ same_point("points.contact_point") }} as point,
            case
                when lists.match_key = 'user_id' then members.user_id else {{ same_point(match_value("points")) }}
            end as match_value
        from lists
        inner join members on lists.segment = members.segment
        left join points on members.user_id = points.user_id and lists.channel = points.channel
    ),
    judged as (
        select
            reached.audience,
            reached.tool,
            reached.segment,
            reached.user_id,
            reached.match_value,
            case
                when reached.point is null or reached.match_value is null
                then 'no_contact_point'
                when permissions.user_id is null or permissions.stopped_by is not null
                then 'no_consent'
                else 'exported'
            end as decision,
            case
                when reached.point is null
                then 'no_address'
                when reached.match_value is null
                then 'no_match_value'
                when permissions.user_id is null
                then 'not_subscribed'
                else permissions.stopped_by
            end as reason
        from reached
        left join
            permissions
            on reached.user_id = permissions.user_id
            and reached.channel = permissions.channel
            and reached.purpose = permissions.purpose
            and reached.point = permissions.point
    ),
    -- A tool knows one person by a value: how many would be sent under it, or are known by it and have said stop.
    counted as (
        select
            audience,
            tool,
            segment,
            user_id,
            decision,
            reason,
            count(
                case when decision = 'exported' or (decision = 'no_consent' and reason <> 'not_subscribed') then 1 end
            ) over (partition by audience, match_value) as people
        from judged
    )

select
    audience,
    tool,
    segment,
    user_id,
    case when decision = 'exported' and people > 1 then 'shared_match_value' else decision end as decision,
    case when decision = 'exported' and people > 1 then 'shared_match_value' else reason end as reason
from counted
