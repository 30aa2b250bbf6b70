{{ windowed("ends_on", start="facts_from") }}

with
    clock as (
        select
            as_of,
            first_on,
            facts_from,
            least({{ period_on("week", "facts_from") }}, {{ period_on("month", "facts_from") }}) as read_from
        from {{ ref("int_clock") }}
    ),
    users as (select user_id, known_from_on, known_to_on, registered_on from {{ ref("int_user") }}),
    active_days as (
        select user_id, activity_on
        from {{ ref("int_active_day") }}
        where activity_on between (select read_from from clock) and (select as_of from clock)
    ),

    {#- As each user was known that day; what the source's first night tells holds for the time before it. -#}
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
    ),
    counted as (
        select active_days.user_id, active_days.activity_on
        from active_days
        inner join
            spells
            on active_days.user_id = spells.user_id
            and active_days.activity_on >= spells.from_on
            and (spells.to_on is null or active_days.activity_on < spells.to_on)
    ),
    periods as (
        {%- for grain in grains() %}
            select
                user_id,
                '{{ grain }}' as grain,
                {{ period_number(grain, "activity_on") }} as period_number,
                {{ period_end(grain, "activity_on") }} as ends_on,
                activity_on
            from counted {{ "union all" if not loop.last }}
        {%- endfor %}
    )

select user_id, grain, period_number, ends_on, min(activity_on) as first_on
from periods
where ends_on >= (select facts_from from clock)
group by user_id, grain, period_number, ends_on
