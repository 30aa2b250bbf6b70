with
    changes as (
        select
            device_id,
            user_id,
            from_at,
            from_on,
            lead(from_at) over (partition by device_id order by from_at, user_id) as to_at,
            row_number() over (partition by device_id order by from_at, user_id) as change_number
        from {{ ref("int_device_user") }}
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
