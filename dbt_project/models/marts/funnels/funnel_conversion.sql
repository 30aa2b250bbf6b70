{%- do ref("int_activity") -%}
{%- set objects = (
    (["object_id"] + funnels() | selectattr("object", "defined") | map(attribute="object") | list)
    | unique
    | list
) -%}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    users as (select user_id from {{ ref("user_profile") }}),
    {%- for condition in funnel_conditions() %}
        acts_{{ loop.index }} as (
            select
                activity.user_id,
                {%- for object in objects %} activity.{{ object }}, {%- endfor %}
                activity.activity_at,
                activity.activity_on,
                activity.source_table,
                activity.activity,
                activity.activity_id
            from {{ ref("int_activity") }} as activity
            inner join users on activity.user_id = users.user_id
            where activity.activity_on <= (select as_of from clock) and ({{ condition }})
        ),
    {%- endfor %}
    {%- for funnel in funnels() %} {{ funnel_steps(funnel) }} {%- endfor %}
    progress as (
        {%- for funnel in funnels() %}{{ funnel_progress(funnel) }} {{ "union all " if not loop.last }} {%- endfor %}
    ),
    counted as (
        select
            funnel,
            step_number,
            entry_month,
            sum(case when is_closed then entry_count else 0 end) as users,
            sum(case when not is_closed then entry_count else 0 end) as open_users
        from progress
        group by funnel, step_number, entry_month
    ),
    closed as (select funnel, step_number, entry_month, days, entry_count from progress where is_closed),
    {#- Few numbers of days, each of many entries: a percentile is found in the counts. -#}
    durations as ({{ counted_values("closed", "funnel, step_number, entry_month", "days", "entry_count") }}),
    typical as (
        select
            funnel,
            step_number,
            entry_month,
            {{ percentile_of_counts(50, "value", "value_count", "place", "total") }} as median_days,
            {{ percentile_of_counts(90, "value", "value_count", "place", "total") }} as p90_days
        from durations
        group by funnel, step_number, entry_month
    ),
    steps as ({{ funnel_labels() }}),
    {#- A step nobody reached is a row of 0. -#}
    cells as (
        select
            steps.funnel,
            steps.funnel_label,
            months.entry_month,
            steps.step_number,
            steps.step,
            steps.label,
            coalesce(counted.users, 0) as users,
            coalesce(counted.open_users, 0) as open_users,
            typical.median_days,
            typical.p90_days
        from steps
        inner join
            (select funnel, entry_month from counted where step_number = 1) as months on steps.funnel = months.funnel
        left join
            counted
            on steps.funnel = counted.funnel
            and steps.step_number = counted.step_number
            and months.entry_month = counted.entry_month
        left join
            typical
            on steps.funnel = typical.funnel
            and steps.step_number = typical.step_number
            and months.entry_month = typical.entry_month
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
        from cells
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
