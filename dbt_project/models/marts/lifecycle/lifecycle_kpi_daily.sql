{{ windowed("night_on") }}

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
    clock as (select window_from from {{ ref("int_clock") }}),
    states as (select {{ state_columns() | join(", ") }} from {{ ref("int_user_state") }}),
    flows as (
        select night_on, stage, entered_count, left_count
        from {{ ref("lifecycle_flow_daily") }}
        where night_on >= (select window_from from clock)
    ),
    measured as (
        select
            night_on,
            {%- for stage in states_of("stage") %}
                sum(case when stage = {{ text_literal(stage["name"]) }} then 1 else 0 end) as users_{{ loop.index }},
                {{ measured(stage["kpi"]["sql"]) }} as kpi_{{ loop.index }},
            {%- endfor %}
            count(*) as everybody
        from states
        group by night_on
    ),
    {%- set names = (
        ["position", "stage", "label", "rule"]
        + texts
        + [
            "user_count",
            "user_share",
            "kpi",
            "kpi_label",
            "kpi_value",
            "kpi_target",
            "kpi_direction",
        ]
    ) %}
    {%- set rows = [] %}
    {%- for stage in states_of("stage") %}
        {%- set row = [
            "cast(%s as bigint)" % loop.revindex,
            text_literal(stage["name"]),
            text_literal(stage["label"]),
            text_literal(rule_text(stage)),
        ] %}
        {%- for text in texts %}
            {%- do row.append(text_literal(stage[text]) if text in stage else "cast(null as string)") %}
        {%- endfor %}
        {%- do row.append("cast(users_%s as bigint)" % loop.index) %}
        {%- do row.append(share("users_" ~ loop.index, "everybody")) %}
        {%- do row.append(text_literal(stage["kpi"]["name"])) %}
        {%- do row.append(text_literal(stage["kpi"]["label"])) %}
        {%- do row.append(rounded("kpi_" ~ loop.index, 18, 4)) %}
        {%- do row.append("cast(%s as decimal(18, 4))" % stage["kpi"]["target"]) %}
        {%- do row.append(text_literal(stage["kpi"]["direction"])) %}
        {%- do rows.append(row) %}
    {%- endfor %}
    playbook as ({{ as_rows("measured", names, rows, keep=["night_on"]) }})

select
    playbook.night_on,
    playbook.position,
    playbook.stage,
    playbook.label,
    playbook.rule,
    {%- for text in texts %} playbook.{{ text }}, {%- endfor %}
    playbook.user_count,
    playbook.user_share,
    flows.entered_count,
    flows.left_count,
    playbook.kpi,
    playbook.kpi_label,
    playbook.kpi_value,
    playbook.kpi_target,
    playbook.kpi_direction,
    case
        when playbook.kpi_value is null
        then 'no_value'
        when playbook.kpi_direction = 'up' and playbook.kpi_value >= playbook.kpi_target
        then 'met'
        when playbook.kpi_direction = 'down' and playbook.kpi_value <= playbook.kpi_target
        then 'met'
        else 'missed'
    end as kpi_status
from playbook
inner join flows on playbook.night_on = flows.night_on and playbook.stage = flows.stage
