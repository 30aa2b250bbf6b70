{{ windowed("night_on") }}

{%- set now, before = standings("idle_days"), standings("idle_days_before") -%}

with
    clock as (
        select window_from, window_to, {{ days_after("window_from", -1) }} as before_on from {{ ref("int_clock") }}
    ),
    nights as (select night_on from {{ ref("int_night") }} where is_in_window),
    users as (select user_id, known_from_on, known_to_on, registered_on from {{ ref("int_user") }}),
    standing as (
        select user_id, changed_on, idle_days_before, idle_days, move
        from {{ ref("int_user_standing") }}
        where changed_on <= (select window_to from clock)
    ),
    activity as (
        select
            user_id,
            activity_on,
            active_days,
            order_count,
            {%- for kind in activity_kinds() %} {{ kind }}_count{{ "," if not loop.last }} {%- endfor %}
        from {{ ref("int_user_day") }}
        where activity_on between (select window_from from clock) and (select window_to from clock)
    ),
    active_days as (
        select user_id, activity_on
        from {{ ref("int_active_day") }}
        where activity_on between (select window_from from clock) and (select window_to from clock)
    ),
    payments as (
        select user_id, min(activity_on) as first_on
        from {{ ref("int_user_day") }}
        where order_count > 0
        group by user_id
    ),
    devices as (
        select first_of, first_on from {{ ref("int_device_first") }} where first_on <= (select window_to from clock)
    ),

    {#- All before the window is one sum: what the first night opens with. -#}
    changes as (
        select
            greatest(changed_on, (select before_on from clock)) as night_on,
            {%- for stock in user_stocks() %}
                sum({{ one_if(now[stock]) }} - {{ one_if(before[stock]) }}) as {{ stock }}_change,
            {%- endfor %}
            {%- for flow, condition in user_flows().items() %}
                sum({{ one_if(condition) }}) as {{ flow }}{{ "," if not loop.last }}
            {%- endfor %}
        from standing
        group by greatest(changed_on, (select before_on from clock))
    ),
    device_days as (
        select
            greatest(first_on, (select before_on from clock)) as night_on,
            sum({{ one_if("first_of = 'seen'") }}) as device_new,
            sum({{ one_if("first_of = 'installed'") }}) as installed
        from devices
        group by greatest(first_on, (select before_on from clock))
    ),

    {#- Days of users as they were known that night. -#}
    user_days as (
        select
            activity.activity_on,
            activity.active_days,
            activity.order_count,
            {%- for kind in activity_kinds() %} activity.{{ kind }}_count, {%- endfor %}
            active_days.user_id is not null as is_active,
            activity.activity_on = payments.first_on as is_first_payment
        from activity
        inner join
            users
            on activity.user_id = users.user_id
            and activity.activity_on >= users.known_from_on
            and activity.activity_on >= users.registered_on
            and (users.known_to_on is null or activity.activity_on < users.known_to_on)
        left join
            active_days on activity.user_id = active_days.user_id and activity.activity_on = active_days.activity_on
        left join payments on activity.user_id = payments.user_id
    ),
    days as (
        select
            activity_on as night_on,
            {%- for name, condition in user_day_counts().items() %}
                sum({{ one_if(condition) }}) as {{ name }}{{ "," if not loop.last }}
            {%- endfor %}
        from user_days
        group by activity_on
    ),

    spine as (
        select night_on
        from nights
        union all
        select before_on as night_on
        from clock
    ),
    summed as (
        select
            spine.night_on,
            coalesce(device_days.device_new, 0) as device_new,
            coalesce(device_days.installed, 0) as installed,
            sum(coalesce(device_days.device_new, 0)) over until_then as devices,
            {%- for name in user_day_counts() %} coalesce(days.{{ name }}, 0) as {{ name }}, {%- endfor %}
            {%- for flow in user_flows() %} coalesce(changes.{{ flow }}, 0) as {{ flow }}, {%- endfor %}
            {%- for stock in user_stocks() %}
                sum(coalesce(changes.{{ stock }}_change, 0)) over until_then as {{ stock }},
                coalesce(changes.{{ stock }}_change, 0) as {{ stock }}_change{{ "," if not loop.last }}
            {%- endfor %}
        from spine
        left join changes on spine.night_on = changes.night_on
        left join device_days on spine.night_on = device_days.night_on
        left join days on spine.night_on = days.night_on
        window until_then as (order by spine.night_on rows unbounded preceding)
    )

select
    night_on,
    cast(installed as bigint) as install_count,
    cast(device_new as bigint) as new_device_count,
    cast(devices as bigint) as device_count,
    {{ user_count_columns() }}
from summed
where night_on >= (select window_from from clock)
