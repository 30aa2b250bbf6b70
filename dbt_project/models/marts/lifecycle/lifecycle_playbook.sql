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
                {{ measured(stage["kpi"]["sql"]) }} as kpi_{{ loop.index }},
            {%- endfor %}
            count(*) as everybody
        from states
    ),
    {%- set names = ["position", "stage", "label", "rule"] + texts + ["user_count", "user_share", "kpi", "kpi_value"] %}
    {%- set rows = [] %}
    {%- for stage in stages() %}
        {%- set row = [
            "cast(%s as bigint)" % loop.revindex,
            text_literal(stage["name"]),
            text_literal(stage["label"]),
            text_literal(stage["when"]),
        ] %}
        {%- for text in texts %}
            {%- do row.append(text_literal(stage[text]) if text in stage else "cast(null as string)") %}
        {%- endfor %}
        {%- do row.append("cast(coalesce(users_%s, 0) as bigint)" % loop.index) %}
        {%- do row.append(share("users_" ~ loop.index, "everybody")) %}
        {%- do row.append(text_literal(stage["kpi"]["name"])) %}
        {%- do row.append(rounded("kpi_" ~ loop.index, 18, 4)) %}
        {%- do rows.append(row) %}
    {%- endfor %}
    playbook as ({{ as_rows("measured", names, rows) }})

select position, stage, label, rule, {{ texts | join(", ") }}, user_count, user_share, kpi, kpi_value
from playbook
