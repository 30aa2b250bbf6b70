{%- set active = activity_rules()["active"] -%}

with
    days as (
        select user_id, activity_on, day_number, qualifying_count
        from {{ ref("int_user_day") }}
        where qualifying_count > 0
    ),
    counted as (
        select
            user_id,
            activity_on,
            {%- if active["within_days"] == 1 %} qualifying_count as counted
            {%- else %}
                sum(qualifying_count) over (
                    partition by user_id
                    order by day_number range between {{ active["within_days"] - 1 }} preceding and current row
                ) as counted
            {%- endif %}
        from days
    )

select user_id, activity_on
from counted
where counted >= {{ active["minimum_count"] }}
