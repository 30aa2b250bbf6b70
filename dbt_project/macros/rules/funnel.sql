{#- The funnels as declared at funnel_conversion. -#}
{% macro funnels() -%}
    {{ return(declared("funnel_conversion").config.meta["funnels"] if execute else []) }}
{%- endmacro %}

{#-
    The CTEs of one funnel over a relation `acts` (user_id, object columns, activity_at, activity_on, activity_key): one CTE per step,
    named <funnel>_<number>, with one row per entry that reached it. An entry is a user, or a user and an object; it begins with the first
    activity that fits step 1. Every further step is the earliest fitting activity that is none of the steps before, not earlier than the
    step before, and within its days of it (business dates). Of activities at the same instant the lowest key comes first.
-#}
{% macro funnel_steps(funnel) -%}
    {%- set object = funnel.get("object", "object_id") -%}
    {%- set holds_object = funnel["unit"] == "user_object" -%}
    {%- set entry = "acts.user_id, acts." ~ object if holds_object else "acts.user_id" -%}
    {%- for step in funnel["steps"] %}
        {%- set number = loop.index %}
        {{ funnel["name"] }}_{{ number }}_found as (
            select
                {%- if number == 1 %}
                    acts.user_id,
                    {{ "acts." ~ object if holds_object else "cast(null as string)" }} as object_id,
                    acts.activity_on as entry_on,
                {%- else %}
                    previous.user_id,
                    previous.object_id,
                    previous.entry_on,
                    {%- for earlier in range(1, number) %} previous.key_{{ earlier }},
                    {%- endfor %}
                {%- endif %}
                {{
                    (
                        days_between("previous.activity_on", "acts.activity_on")
                        if number > 1
                        else "cast(null as bigint)"
                    )
                }} as days,
                acts.activity_at,
                acts.activity_on,
                acts.activity_key as key_{{ number }},
                row_number() over (
                    partition by {{ "previous.user_id, previous.object_id" if number > 1 else entry }}
                    order by acts.activity_at, acts.activity_key
                ) as fit_rank
            {%- if number == 1 %}
                from acts
                where ({{ step["when"] }}) {%- if holds_object %} and acts.{{ object }} is not null {%- endif %}
            {%- else %}
                from {{ funnel["name"] }}_{{ number - 1 }} as previous
                inner join
                    (
                        select user_id, {{ object }}, activity_at, activity_on, activity_key
                        from acts
                        where ({{ step["when"] }})
                    ) as acts
                    on previous.user_id = acts.user_id
                    and previous.activity_at <= acts.activity_at
                    and acts.activity_on <= {{ days_after("previous.activity_on", step["within_days"]) }}
                    {%- if step.get("same_object") %} and previous.object_id = acts.{{ object }}
                    {%- endif %}
                    {%- for earlier in range(1, number) %} and previous.key_{{ earlier }} <> acts.activity_key
                    {%- endfor %}
            {%- endif %}
        ),
        {{ funnel["name"] }}_{{ number }} as (
            select
                user_id,
                object_id,
                entry_on,
                {%- for earlier in range(1, number + 1) %} key_{{ earlier }}, {%- endfor %}
                days,
                activity_at,
                activity_on
            from {{ funnel["name"] }}_{{ number }}_found
            where fit_rank = 1
        ),
    {%- endfor %}
{%- endmacro %}

{#- One row per entry and step of a funnel: whether it was reached and whether the whole window has closed. -#}
{% macro funnel_progress(funnel) -%}
    {%- set window_days = funnel["steps"] | selectattr("within_days", "defined") | sum(attribute="within_days") -%}
    {%- for step in funnel["steps"] %}
        select
            {{ text_literal(funnel["name"]) }} as funnel,
            {{ text_literal(funnel["label"]) }} as funnel_label,
            {{ loop.index }} as step_number,
            {{ text_literal(step["name"]) }} as step,
            {{ text_literal(step["label"]) }} as label,
            entries.entry_on,
            {{ days_after("entries.entry_on", window_days) }} <= clock.as_of as is_closed,
            reached.user_id is not null as is_reached,
            reached.days
        from {{ funnel["name"] }}_1 as entries
        cross join clock
        left join
            {{ funnel["name"] }}_{{ loop.index }} as reached
            on entries.user_id = reached.user_id
            and entries.object_id is not distinct from reached.object_id
            {{ "union all " if not loop.last }}
    {%- endfor %}
{%- endmacro %}
