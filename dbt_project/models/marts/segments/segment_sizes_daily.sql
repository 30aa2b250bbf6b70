{{ windowed("night_on") }}

with
    states as (select {{ state_columns() | join(", ") }} from {{ ref("int_user_state") }}),
    {#- All steps of all segments come out of one scan; the next step turns its columns into rows. -#}
    counted as (
        select
            night_on
            {%- for segment in segments() %}
                {%- set name = segment["name"] %}
                {%- for step in segment["steps"] %}
                    ,
                    sum(
                        case when {{ segment["steps"][: loop.index] | join(" and ") }} then 1 else 0 end
                    ) as {{ name }}_{{ loop.index }}
                {%- endfor %}
            {%- endfor %},
            count(*) as everybody
        from states
        group by night_on
    ),
    {%- set names = ["segment", "label", "step", "condition", "kind", "is_last", "user_count", "removed_count"] %}
    {%- set rows = [] %}
    {%- for segment in segments() %}
        {%- set left = ["everybody"] -%}
        {%- for condition in segment["conditions"] -%}
            {%- do left.append(segment["name"] ~ "_" ~ loop.index) -%}
        {%- endfor -%}
        {%- for condition in ["everybody"] + segment["conditions"] %}
            {%- do rows.append(
                [
                    text_literal(segment["name"]),
                    text_literal(segment["label"]),
                    "cast(%s as bigint)" % loop.index0,
                    text_literal(condition),
                    text_literal(
                        "everybody"
                        if loop.first
                        else "include" if loop.index0 <= segment["include"] | length else "exclude"
                    ),
                    "true" if loop.last else "false",
                    "cast(%s as bigint)" % left[loop.index0],
                    "cast(%s - %s as bigint)" % (left[[loop.index0 - 1, 0] | max], left[loop.index0]),
                ]
            ) %}
        {%- endfor %}
    {%- endfor %}
    sizes as ({{ as_rows("counted", names, rows, keep=["night_on"]) }})

select night_on, segment, label, step, condition, kind, is_last, user_count, removed_count
from sizes
