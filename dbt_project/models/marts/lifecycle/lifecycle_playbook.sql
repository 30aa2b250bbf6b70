{%- set texts = [
    "state",
    "state_zh",
    "goal",
    "goal_zh",
    "touchpoint",
    "touchpoint_zh",
    "action",
    "action_zh",
    "content",
    "content_zh",
    "segment",
] -%}

with
    tonight as (select night_on from {{ ref("int_night") }} where is_as_of),
    all_states as (select {{ state_columns() | join(", ") }} from {{ ref("int_user_state") }}),
    states as (
        select {{ state_columns() | join(", ") }} from all_states where night_on = (select night_on from tonight)
    ),
    measured as (
        select
            {%- for stage in stages() %}
                sum(case when stage = {{ text_literal(stage["name"]) }} then 1 else 0 end) as users_{{ loop.index }},
                {{ stage["kpi"]["sql"] }} as kpi_{{ loop.index }},
            {%- endfor %}
            count(*) as everybody
        from states
    ),
    playbook as (
        {%- for stage in stages() %}
            select
                cast({{ loop.revindex }} as bigint) as position,
                {{ text_literal(stage["name"]) }} as stage,
                {{ text_literal(stage["label"]) }} as label,
                {{ text_literal(stage["when"]) }} as rule,
                {%- for text in texts %}
                    {{ text_literal(stage[text]) if text in stage else "cast(null as varchar)" }} as {{ text }},
                {%- endfor %}
                cast(coalesce(users_{{ loop.index }}, 0) as bigint) as user_count,
                {{ share("users_" ~ loop.index, "everybody") }} as user_share,
                {{ text_literal(stage["kpi"]["name"]) }} as kpi,
                cast(kpi_{{ loop.index }} as decimal(18, 4)) as kpi_value
            from measured {{- "\n        union all" if not loop.last }}
        {%- endfor %}
    )

select position, stage, label, rule, {{ texts | join(", ") }}, user_count, user_share, kpi, kpi_value
from playbook
