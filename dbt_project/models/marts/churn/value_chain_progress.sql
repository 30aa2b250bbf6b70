{%- set steps = value_chain() %}
{%- set measures = steps | map(attribute="measure") | unique | list %}
{%- set rows = [] %}
{%- for step in steps %}
    {%- do rows.append(
        [
            loop.index,
            text_literal(step["name"]),
            text_literal(step["label"]),
            text_literal(step["behaviour"]),
            step["count"],
            step["within_days"],
            "coalesce(" ~ step["measure"] ~ ", 0)",
            "step_" ~ loop.index ~ "_on",
        ]
    ) %}
{%- endfor %}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    users as (select user_id, registered_on from {{ ref("user_profile") }}),
    days as (
        select user_id, activity_on {%- for measure in measures %}, {{ measure }} {%- endfor %}
        from {{ ref("int_user_day") }}
        where
            activity_on <= (select as_of from clock)
            and ({% for measure in measures %}{{ measure }} > 0 {{ "or " if not loop.last }}{% else %}false{% endfor %})
    ),
    running as (
        select
            user_id,
            activity_on
            {%- for measure in measures %}, sum({{ measure }}) over so_far as {{ measure }} {%- endfor %}
        from days
        window so_far as (partition by user_id order by activity_on rows unbounded preceding)
    ),
    reached as (
        select
            user_id
            {%- for measure in measures %}, max({{ measure }}) as {{ measure }} {%- endfor %}
            {%- for step in steps %}
                ,
                min(
                    case when {{ step["measure"] }} >= {{ step["count"] }} then activity_on end
                ) as step_{{ loop.index }}_on
            {%- endfor %}
        from running
        group by user_id
    ),
    standing as (
        select
            users.user_id,
            users.registered_on
            {%- for measure in measures %}, reached.{{ measure }} {%- endfor %}
            {%- for step in steps %}, reached.step_{{ loop.index }}_on {%- endfor %}
            {%- if steps %}
                ,
                case
                    {%- for step in steps %}
                        when reached.step_{{ loop.index }}_on is null then {{ loop.index }}
                    {%- endfor %}
                end as next_position
            {%- else %}, cast(null as integer) as next_position
            {%- endif %}
        from users
        left join reached on users.user_id = reached.user_id
    ),
    progress as (
        {%- if rows %}
            {{
                as_rows(
                    "standing",
                    [
                        "position",
                        "step",
                        "label",
                        "behaviour",
                        "needed_count",
                        "within_days",
                        "done_count",
                        "done_on",
                    ],
                    rows,
                    keep=["user_id", "registered_on", "next_position"],
                )
            }}
        {%- else %}
            select
                user_id,
                registered_on,
                next_position,
                1 as position,
                '' as step,
                '' as label,
                '' as behaviour,
                1 as needed_count,
                1 as within_days,
                0 as done_count,
                cast(null as date) as done_on
            from standing
            where false
        {%- endif %}
    )

select
    user_id,
    cast(position as bigint) as position,
    step,
    label,
    behaviour,
    cast(needed_count as bigint) as needed_count,
    cast(within_days as bigint) as within_days,
    cast(done_count as bigint) as done_count,
    done_on is not null as is_done,
    done_on,
    {{ days_between("registered_on", "done_on") }} as days_to_do,
    coalesce({{ days_between("registered_on", "done_on") }} < within_days, false) as is_in_time,
    coalesce(position = next_position, false) as is_next
from progress
