with
    spells as (
        select
            user_id,
            stage,
            from_on,
            to_on,
            days,
            lag(stage) over (partition by user_id order by from_on) as previous_stage
        from {{ ref("user_lifecycle_history") }}
    )

select
    user_id,
    stage,
    {{ state_label("stage", "stage") }} as label,
    from_on as since_on,
    days as days_in_stage,
    previous_stage
from spells
where to_on is null
