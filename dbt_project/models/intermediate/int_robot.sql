{{ windowed("from_on", start="facts_from") }}

with
    days as (
        select
            device_id,
            user_id,
            event_on,
            count(*) as event_count,
            max(case when is_bot then 1 else 0 end) as is_declared
        from {{ ref("stg_events") }}
        group by device_id, user_id, event_on
    ),
    subject_days as (
        select
            'device' as subject,
            device_id as subject_id,
            event_on,
            sum(event_count) as event_count,
            max(is_declared) as is_declared
        from days
        where device_id is not null
        group by device_id, event_on
        union all
        select
            'user' as subject,
            user_id as subject_id,
            event_on,
            sum(event_count) as event_count,
            max(case when device_id is null then is_declared else 0 end) as is_declared
        from days
        where user_id is not null
        group by user_id, event_on
    ),
    seen as (
        select
            subject,
            subject_id,
            event_on,
            case when is_declared = 1 then 'declared_robot' else 'too_many_events' end as reason,
            row_number() over (partition by subject, subject_id order by event_on) as day_rank
        from subject_days
        where is_declared = 1 or event_count > {{ rules_of_int_robot()["events_per_day"] }}
    )

select subject, subject_id, reason, event_on as from_on
from seen
where
    day_rank = 1
    {%- if is_incremental() %}
        and not exists (
            select 1
            from {{ this }} as before
            where
                before.subject = seen.subject
                and before.subject_id = seen.subject_id
                and before.from_on < (select facts_from from {{ ref("int_clock") }})
        )
    {%- endif %}
