{{ windowed("changed_on", start="facts_from") }}

{%- set gone_after = (activity_rules() or {"churned_after_days": 90})["churned_after_days"] %}
{%- set now, before = standings("idle_days"), standings("idle_days_before") -%}

with
    clock as (select as_of, first_on, facts_from from {{ ref("int_clock") }}),
    users as (select user_id, known_from_on, known_to_on, registered_on from {{ ref("int_user") }}),
    active_days as (select user_id, activity_on from {{ ref("int_active_day") }}),

    {#- Nights a user is counted on. What the source's first night tells holds for the time before it. -#}
    spells as (
        select
            users.user_id,
            case
                when users.known_from_on <= clock.first_on
                then users.registered_on
                else greatest(users.known_from_on, users.registered_on)
            end as from_on,
            users.known_to_on as to_on
        from users
        cross join clock
        where users.known_to_on is null or users.known_to_on > clock.first_on
    ),

    {#- Of the days before the window only the last one matters. -#}
    days as (
        select user_id, max(activity_on) as activity_on
        from active_days
        where activity_on < (select facts_from from clock)
        group by user_id
        union all
        select user_id, activity_on
        from active_days
        where activity_on >= (select facts_from from clock)
    ),
    spaced as (
        select
            user_id,
            activity_on,
            lag(activity_on) over (partition by user_id order by activity_on) as previous_on,
            lead(activity_on) over (partition by user_id order by activity_on) as next_on
        from days
    ),

    {#- Who would have churned inside a paid period does so when it ends. -#}
    paid as (select user_id, from_on, to_on from {{ ref("int_paid_spell") }}),
    silent as (select user_id, next_on, {{ days_after("activity_on", gone_after) }} as silent_on from spaced),
    churned as (
        select silent.user_id, silent.next_on, coalesce(paid.to_on, silent.silent_on) as gone_on
        from silent
        left join
            paid on silent.user_id = paid.user_id and silent.silent_on >= paid.from_on and silent.silent_on < paid.to_on
    ),

    {#- A mark sets what is known of a user from its date on: whether they are counted, and how long they have been idle at least. -#}
    marks as (
        select user_id, from_on as marked_on, 1 as is_counted, cast(null as bigint) as idle_days
        from spells
        where to_on is null or from_on < to_on
        union all
        select user_id, to_on as marked_on, 0 as is_counted, cast(null as bigint) as idle_days
        from spells
        where from_on < to_on
        union all
        select user_id, activity_on as marked_on, cast(null as integer) as is_counted, cast(0 as bigint) as idle_days
        from spaced
        where previous_on is null or {{ days_between("previous_on", "activity_on") }} > {{ idle_steps()[0] }}
        {%- for days in idle_steps() if days != gone_after %}
            union all
            select
                user_id,
                {{ days_after("activity_on", days) }} as marked_on,
                cast(null as integer) as is_counted,
                cast({{ days }} as bigint) as idle_days
            from spaced
            where next_on is null or {{ days_between("activity_on", "next_on") }} > {{ days }}
        {%- endfor %}
        union all
        select
            user_id,
            gone_on as marked_on,
            cast(null as integer) as is_counted,
            cast({{ gone_after }} as bigint) as idle_days
        from churned
        where next_on is null or next_on > gone_on
    ),
    due as (select user_id, marked_on, is_counted, idle_days from marks where marked_on <= (select as_of from clock)),
    touched as (select distinct user_id from due where marked_on >= (select facts_from from clock)),
    dates as (
        select
            due.user_id,
            due.marked_on,
            {{ days_between("cast('0001-01-01' as date)", "due.marked_on") }} as day_number,
            max(due.is_counted) as is_counted,
            max(due.idle_days) as idle_days
        from due
        inner join touched on due.user_id = touched.user_id
        group by due.user_id, due.marked_on
    ),

    {#- The latest mark of each kind, carried on: the greatest number of day and value carries the value. -#}
    carried as (
        select
            user_id,
            marked_on,
            min(case when is_counted = 1 then marked_on end) over (
                partition by user_id order by marked_on rows unbounded preceding
            ) as entered_on,
            mod(
                max(day_number * 10 + is_counted) over (
                    partition by user_id order by marked_on rows unbounded preceding
                ),
                10
            ) as is_counted,
            mod(
                max(day_number * 100000 + idle_days) over (
                    partition by user_id order by marked_on rows unbounded preceding
                ),
                100000
            ) as idle_days
        from dates
    ),
    stood as (
        select
            user_id,
            marked_on,
            entered_on,
            cast(case when is_counted = 1 then coalesce(idle_days, -1) end as bigint) as idle_days
        from carried
    ),
    changes as (
        select
            user_id,
            marked_on,
            entered_on,
            idle_days,
            lag(idle_days) over (partition by user_id order by marked_on) as idle_days_before
        from stood
    )

select
    user_id,
    marked_on as changed_on,
    idle_days_before,
    idle_days,
    case
        when idle_days is null
        then 'removed'
        when {{ now["active"] }} and (idle_days_before = -1 or (idle_days_before is null and marked_on = entered_on))
        then 'new'
        when {{ now["active"] }} and not coalesce({{ before["active"] }}, false)
        then 'resurrected'
        when {{ now["dormant"] }} and {{ before["active"] }}
        then 'dormant'
        when {{ now["churned"] }} and not coalesce({{ before["churned"] }}, false)
        then 'churned'
    end as move
from changes
where marked_on >= (select facts_from from clock) and idle_days is distinct from idle_days_before
