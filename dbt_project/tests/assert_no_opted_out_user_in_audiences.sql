-- One row per user on a list whose latest consent at that address is not `subscribed`: judged by the raw consents
-- themselves.
with
    clock as (select as_of from {{ ref("int_clock") }}),
    lists as ({{ contact_list_rows() }}),
    changes as (
        select
            user_id,
            channel,
            purpose,
            lower(trim(contact_point)) as point,
            state,
            row_number() over (
                partition by user_id, channel, purpose, contact_point
                order by changed_at desc, arrived_on desc, source_row desc, source_name desc, source_file desc
            ) as change_rank
        from {{ source("raw", "consents") }}
        where arrived_on <= (select as_of from clock)
    ),
    granted as (select user_id, channel, purpose, point from changes where change_rank = 1 and state = 'subscribed'),
    withdrawn as (select channel, purpose, point from changes where change_rank = 1 and state = 'unsubscribed')

select audiences.audience, audiences.user_id
from {{ ref("audiences") }} as audiences
inner join lists on audiences.audience = lists.audience
left join
    granted
    on audiences.user_id = granted.user_id
    and lists.channel = granted.channel
    and lists.purpose = granted.purpose
    and lower(trim(audiences.contact_point)) = granted.point
left join
    withdrawn
    on lists.channel = withdrawn.channel
    and lists.purpose = withdrawn.purpose
    and lower(trim(audiences.contact_point)) = withdrawn.point
where granted.user_id is null or withdrawn.point is not null
