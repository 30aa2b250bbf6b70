with
    links as (select device_id, user_id, from_at, from_on from {{ ref("int_device_user") }}),
    -- A counter, a kiosk, or no device at all (an id that stands for nothing): on such a day it is nobody's, and
    -- stays so
    -- until somebody is seen on it alone.
    crowded as (
        select device_id, from_on
        from links
        group by device_id, from_on
        having count(distinct user_id) > {{ rules_of_int_identity()["most_users_a_day"] }}
    ),
    changes as (
        select
            device_id,
            user_id,
            from_at,
            from_on,
            lead(from_at) over (partition by device_id order by from_at, user_id) as to_at,
            row_number() over (partition by device_id order by from_at, user_id) as change_number
        from links
    )

select
    device_id,
    user_id,
    from_at,
    from_on,
    to_at,
    case
        when change_number = 1 then {{ days_after("from_on", -1 * stitch_days()) }} else from_on
    end as stitched_from_on,
    change_number
from changes
where
    not exists (select 1 from crowded where crowded.device_id = changes.device_id and crowded.from_on = changes.from_on)
