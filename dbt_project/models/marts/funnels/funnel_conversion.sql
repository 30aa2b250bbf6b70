with
    clock as (select as_of from {{ ref("int_clock") }}),
    users as (select user_id from {{ ref("user_profile") }}),
    acts as (
        select
            activity.user_id,
            activity.activity,
            activity.is_own,
            activity.object_type,
            activity.object_id,
            activity.campaign_id,
            activity.value,
            activity.activity_at,
            activity.activity_on,
            activity.source_table || '/' || activity.activity || '/' || activity.activity_id as activity_key
        from {{ ref("int_activity") }} as activity
        inner join users on activity.user_id = users.user_id
        cross join clock
        where activity.activity_on <= clock.as_of
    ),
    {%- for funnel in funnels() %} {{ funnel_steps(funnel) }} {%- endfor %}
    progress as (
        {%- for funnel in funnels() %}{{ funnel_progress(funnel) }} {{ "union all " if not loop.last }} {%- endfor %}
    ),
    counted as (
        select
            funnel,
            funnel_label,
            cast(date_trunc('month', entry_on) as date) as entry_month,
            step_number,
            step,
            label,
            sum(case when is_closed and is_reached then 1 else 0 end) as users,
            sum(case when not is_closed and is_reached then 1 else 0 end) as open_users,
            percentile_cont(0.5) within group (
                order by case when is_closed then cast(days as double) end
            ) as median_days,
            percentile_cont(0.9) within group (order by case when is_closed then cast(days as double) end) as p90_days
        from progress
        group by funnel, funnel_label, cast(date_trunc('month', entry_on) as date), step_number, step, label
    ),
    compared as (
        select
            funnel,
            funnel_label,
            entry_month,
            step_number,
            step,
            label,
            users,
            open_users,
            max(case when step_number = 1 then users end) over (partition by funnel, entry_month) as first_users,
            lag(users) over (partition by funnel, entry_month order by step_number) as previous_users,
            median_days,
            p90_days
        from counted
    )

select
    funnel,
    funnel_label,
    entry_month,
    step_number,
    step,
    label,
    cast(users as bigint) as users,
    {{ share("users", "first_users") }} as share_of_first,
    {{ share("users", "coalesce(previous_users, users)") }} as share_of_previous,
    {{ rounded("median_days", 9, 2) }} as median_days,
    {{ rounded("p90_days", 9, 2) }} as p90_days,
    cast(open_users as bigint) as open_users
from compared
