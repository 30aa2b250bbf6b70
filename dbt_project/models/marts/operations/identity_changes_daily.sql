{{ windowed("changed_on", start="facts_from") }}

with
    clock as (select facts_from from {{ ref("int_clock") }}),
    changes as (
        select device_id, user_id, from_on, stitched_from_on, change_number
        from {{ ref("int_identity") }}
        where from_on >= (select facts_from from clock)
    ),
    stitched as (
        select device_id, event_on
        from {{ ref("int_event") }}
        where
            identified_by = 'stitched'
            and event_on >= (select {{ days_after("facts_from", -1 * stitch_days()) }} from clock)
    ),
    given as (
        select changes.from_on, count(*) as event_count
        from changes
        inner join stitched on changes.device_id = stitched.device_id
        where changes.change_number = 1
        group by changes.from_on
    ),
    daily as (
        select
            from_on,
            count(distinct device_id) as device_count,
            count(distinct user_id) as user_count,
            sum(case when change_number = 1 then 1 else 0 end) as first_identification_count,
            sum(case when change_number > 1 then 1 else 0 end) as change_of_user_count
        from changes
        group by from_on
    )

select
    daily.from_on as changed_on,
    cast(daily.device_count as bigint) as device_count,
    cast(daily.user_count as bigint) as user_count,
    cast(daily.first_identification_count as bigint) as first_identification_count,
    cast(daily.change_of_user_count as bigint) as change_of_user_count,
    cast(coalesce(given.event_count, 0) as bigint) as stitched_event_count
from daily
left join given on daily.from_on = given.from_on
