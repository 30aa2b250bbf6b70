with
    clock as (select as_of from {{ ref("int_clock") }}),
    users as (
        select
            user_id,
            name,
            email,
            phone,
            row_number() over (
                partition by user_id order by arrived_on desc, source_row desc, source_name desc, source_file desc
            ) as version_rank
        from {{ source("raw", "users") }}
        where arrived_on <= (select as_of from clock)
    ),
    excluded as (
        select exclusions.subject_id as user_id
        from {{ ref("int_exclusion") }} as exclusions
        cross join clock
        where
            exclusions.subject = 'user'
            and exclusions.from_on <= clock.as_of
            and (exclusions.to_on is null or exclusions.to_on > clock.as_of)
    ),
    {#- Where the latest change of all names an address, what the changes before it said is not asked: raw rows will do. -#}
    consents as (
        select
            user_id,
            channel,
            contact_point,
            row_number() over (partition by user_id, channel order by changed_at desc, contact_point) as consent_rank
        from {{ source("raw", "consents") }}
        where arrived_on <= (select as_of from clock) and channel not in ('email', 'sms', 'phone')
    ),
    points as (
        select user_id, 'email' as channel, email as contact_point
        from users
        where version_rank = 1
        union all
        select user_id, 'sms' as channel, phone as contact_point
        from users
        where version_rank = 1
        union all
        select user_id, 'phone' as channel, phone as contact_point
        from users
        where version_rank = 1
        union all
        select user_id, channel, contact_point
        from consents
        where consent_rank = 1
    )

select points.user_id, points.channel, points.contact_point, users.name, users.email, users.phone
from points
inner join users on points.user_id = users.user_id and users.version_rank = 1
where points.contact_point is not null and points.user_id not in (select user_id from excluded)
