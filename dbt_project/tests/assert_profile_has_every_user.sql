-- user_profile holds every user who has registered by as_of and is neither excluded (test, bot, internal, robot) nor
-- merged into another, and nobody else.
with
    clock as (select as_of, business_zone from {{ ref("int_clock") }}),
    users as (
        select users.user_id
        from {{ ref("stg_users") }} as users
        cross join clock
        where
            users.excluded_as is null
            and users.user_id not in (select user_id from {{ ref("int_user_merge") }})
            and {{ business_date("users.registered_at", "clock.business_zone") }} <= clock.as_of
    ),
    robots as (select subject_id as user_id from {{ ref("int_exclusion") }} where subject = 'user' and to_on is null),
    expected as (
        select users.user_id from users left join robots on users.user_id = robots.user_id where robots.user_id is null
    ),
    profiles as (select user_id from {{ ref("user_profile") }})

select users.user_id as expected_user_id, profiles.user_id as published_user_id
from expected as users
full outer join profiles on users.user_id = profiles.user_id
where users.user_id is null or profiles.user_id is null
