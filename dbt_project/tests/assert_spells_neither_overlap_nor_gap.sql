-- The spells of a user follow each other, change the stage, and last exactly the nights on which the user was known.
with
    clock as (select first_on, {{ days_after("as_of", 1) }} as tomorrow_on from {{ ref("int_clock") }}),
    spells as (
        select
            user_id,
            stage,
            from_on,
            coalesce(to_on, (select tomorrow_on from clock)) as to_on,
            days,
            lag(stage) over (partition by user_id order by from_on) as previous_stage,
            lag(coalesce(to_on, (select tomorrow_on from clock))) over (
                partition by user_id order by from_on
            ) as previous_to_on
        from {{ ref("user_lifecycle_history") }}
    ),
    known as (
        select
            users.user_id,
            greatest(users.known_from_on, users.registered_on, clock.first_on) as from_on,
            least(coalesce(users.known_to_on, clock.tomorrow_on), clock.tomorrow_on) as to_on
        from {{ ref("int_user") }} as users
        cross join clock
    ),
    expected as (
        select user_id, sum({{ days_between("from_on", "to_on") }}) as days
        from known
        where to_on > from_on
        group by user_id
    ),
    found as (
        select user_id, sum({{ days_between("from_on", "to_on") }}) as days, sum(days) as stated_days
        from spells
        group by user_id
    )

select user_id, 'overlaps the spell before, or repeats its stage' as problem
from spells
where previous_to_on > from_on or (previous_to_on = from_on and previous_stage = stage)
union all
select coalesce(expected.user_id, found.user_id) as user_id, 'nights in spells differ from nights known' as problem
from expected
full outer join found on expected.user_id = found.user_id
where found.days is distinct from expected.days or found.stated_days is distinct from expected.days
