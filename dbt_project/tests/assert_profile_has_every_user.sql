-- user_profile holds every user who has registered by as_of and is not excluded (test, bot, internal), and nobody else.
with
    clock as (select as_of, business_zone from {{ ref("int_clock") }}),
    users as (
        select users.user_id
        from {{ ref("stg_users") }} as users
        cross join clock
        where
            users.excluded_as is null
            and {{ business_date("users.registered_at", "clock.business_zone") }} <= clock.as_of
    ),
    profiles as (select user_id from {{ ref("user_profile") }})

select users.user_id as expected_user_id, profiles.user_id as published_user_id
from users
full outer join profiles on users.user_id = profiles.user_id
where users.user_id is null or profiles.user_id is null
