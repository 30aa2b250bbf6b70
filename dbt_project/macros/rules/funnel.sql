{#- The funnels as declared at funnel_conversion. -#}
{% macro funnels() -%} {{ return(rules_of_funnel_conversion()["funnels"]) }} {%- endmacro %}

{#-
    What steps ask for, each once: what fits the first is in the relation `acts_1`, and so on. Rows of one activity are read out of all the
    events many times faster than rows of any of several.
-#}
{% macro funnel_conditions() -%}
    {%- set found = [] -%}
    {%- for funnel in funnels() -%} {%- do found.extend(funnel["steps"] | map(attribute="when")) -%} {%- endfor -%}
    {{ return(found | unique | list) }}
{%- endmacro %}

{#- The relation of what fits a step. -#}
{% macro acts_of(step) -%} acts_{{ funnel_conditions().index(step["when"]) + 1 }} {%- endmacro %}

{#- The key of a row of `acts`: of activities at the same instant the lowest comes first. -#}
{% macro activity_key() -%} acts.source_table || '/' || acts.activity || '/' || acts.activity_id {%- endmacro %}

{#-
    The CTEs of one funnel over relations `acts_<number>` (user_id, object columns, activity_at, activity_on and what makes the key): its
    entries in <funnel>_entries, and one CTE per further step, named <funnel>_<number>, with one row per entry that reached it. An entry is
    a user, or a user and an object; it begins with the first activity that fits step 1. Every further step is the earliest fitting
    activity that is none of the steps before, not earlier than the step before, and within its days of it (business dates). Which activity
    an entry began with is asked only of those that have one fitting the next step.
-#}
{% macro funnel_steps(funnel) -%}
    {%- set name, steps = funnel["name"], funnel["steps"] -%}
    {%- set object = funnel.get("object", "object_id") -%}
    {%- set holds_object = funnel["unit"] == "user_object" %}
    {{ name }}_entries as (
        select
            user_id,
            {{ object if holds_object else "cast(null as string)" }} as object_id,
            min(activity_on) as entry_on,
            min(activity_at) as entry_at
        from {{ acts_of(steps[0]) }}
        {%- if holds_object %} where {{ object }} is not null {%- endif %}
        group by user_id {%- if holds_object %}, {{ object }} {%- endif %}
    ),
    {%- if steps | length > 1 %}
        {%- set same_object = steps[1].get("same_object") %}
        {{ name }}_going_on as (
            select distinct user_id {%- if same_object %}, {{ object }} as object_id {%- endif %}
            from {{ acts_of(steps[1]) }}
        ),
        {{ name }}_1_found as (
            select
                entries.user_id,
                entries.object_id,
                entries.entry_on,
                acts.activity_at,
                acts.activity_on,
                {{ activity_key() }} as key_1,
                row_number() over (
                    partition by entries.user_id, entries.object_id order by {{ activity_key() }}
                ) as fit_rank
            from {{ name }}_entries as entries
            inner join
                {{ name }}_going_on as going_on on entries.user_id = going_on.user_id
                {%- if same_object %} and entries.object_id = going_on.object_id {%- endif %}
            inner join
                {{ acts_of(steps[0]) }} as acts
                on entries.user_id = acts.user_id
                and entries.entry_at = acts.activity_at
                {%- if holds_object %} and entries.object_id = acts.{{ object }} {%- endif %}
        ),
    {%- endif %}
    {%- for step in steps %}
        {%- set number = loop.index %}
        {%- if number > 1 %}
            {{ name }}_{{ number }}_found as (
                select
                    previous.user_id,
                    previous.object_id,
                    previous.entry_on,
                    {%- for earlier in range(1, number) %} previous.key_{{ earlier }}, {%- endfor %}
                    {{ days_between("previous.activity_on", "acts.activity_on") }} as days,
                    acts.activity_at,
                    acts.activity_on,
                    acts.activity_key as key_{{ number }},
                    row_number() over (
                        partition by previous.user_id, previous.object_id order by acts.activity_at, acts.activity_key
                    ) as fit_rank
                from {{ name }}_{{ number - 1 }} as previous
                inner join
                    (
                        select user_id, {{ object }}, activity_at, activity_on, {{ activity_key() }} as activity_key
                        from {{ acts_of(step) }} as acts
                    ) as acts
                    on previous.user_id = acts.user_id
                    and previous.activity_at <= acts.activity_at
                    and acts.activity_on <= {{ days_after("previous.activity_on", step["within_days"]) }}
                    {%- if step.get("same_object") %} and previous.object_id = acts.{{ object }} {%- endif %}
                    {%- for earlier in range(1, number) %}
                        and previous.key_{{ earlier }} <> acts.activity_key
                    {%- endfor %}
            ),
        {%- endif %}
        {%- if steps | length > 1 %}
            {{ name }}_{{ number }} as (
                select
                    user_id,
                    object_id,
                    entry_on,
                    {%- for earlier in range(1, number + 1) %} key_{{ earlier }}, {%- endfor %}
                    {%- if number > 1 %} days, {%- endif %}
                    activity_at,
                    activity_on
                from {{ name }}_{{ number }}_found
                where fit_rank = 1
            ),
        {%- endif %}
    {%- endfor %}
{%- endmacro %}

{#- How many entries of a month reached a step in so many days, and whether their whole window has closed. -#}
{% macro funnel_progress(funnel) -%}
    {%- set window_days = funnel["steps"] | selectattr("within_days", "defined") | sum(attribute="within_days") -%}
    {%- for step in funnel["steps"] %}
        {%- set days = "days" if loop.index > 1 else "cast(null as bigint)" %}
        select
            {{ text_literal(funnel["name"]) }} as funnel,
            {{ loop.index }} as step_number,
            cast(date_trunc('month', entry_on) as date) as entry_month,
            {{ days_after("entry_on", window_days) }} <= (select as_of from clock) as is_closed,
            {{ days }} as days,
            count(*) as entry_count
        from {{ funnel["name"] }}_{{ "entries" if loop.first else loop.index }}
        group by 1, 2, 3, 4, 5 {{ "union all " if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- One row per step of every funnel, as declared. -#}
{% macro funnel_labels() -%}
    {%- for funnel in funnels() -%}
        {%- for step in funnel["steps"] %}
            select
                {{ text_literal(funnel["name"]) }} as funnel,
                {{ text_literal(funnel["label"]) }} as funnel_label,
                {{ loop.index }} as step_number,
                {{ text_literal(step["name"]) }} as step,
                {{ text_literal(step["label"]) }} as label
            union all
        {%- endfor -%}
    {%- endfor %}
    select '' as funnel, '' as funnel_label, 0 as step_number, '' as step, '' as label
    where false
{%- endmacro %}
