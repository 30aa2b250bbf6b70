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
    sizes as (
        {%- for segment in segments() %}
            {%- set name = segment["name"] %}
            {%- for condition in ["everybody"] + segment["conditions"] %}
                select
                    night_on,
                    {{ text_literal(name) }} as segment,
                    {{ text_literal(segment["label"]) }} as label,
                    cast({{ loop.index0 }} as bigint) as step,
                    {{ text_literal(condition) }} as condition,
                    {{ "true" if loop.last else "false" }} as is_last,
                    cast({{ "everybody" if loop.first else name ~ "_" ~ loop.index0 }} as bigint) as user_count
                from counted {{- "\n        union all" if not loop.last }}
                {%- endfor %} {{- "\n        union all" if not loop.last }}
        {%- endfor %}
    )

select night_on, segment, label, step, condition, is_last, user_count
from sizes
