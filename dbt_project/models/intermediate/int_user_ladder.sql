{{ config(materialized="table") }}

{#- The rules with a memory, each with the CTE of its spells; every other rule is its condition. -#}
{%- set spells_of = {} %}
{%- for latch in latches() %} {%- do spells_of.update({latch["rule"]: "latch_" ~ loop.index}) %} {%- endfor %}

with
    clock as (select window_from from {{ ref("int_clock") }}),
    features as (select {{ columns_of("int_user_features") | join(", ") }} from {{ ref("int_user_features") }}),
    latches as (
        select user_id, rule, from_on, to_on
        from {{ ref("int_user_latch") }}
        where to_on is null or to_on > (select window_from from clock)
    )
    {%- for rule, spells in spells_of.items() %}
        ,
        {{ spells }} as (select user_id as holder_id, from_on, to_on from latches where rule = {{ text_literal(rule) }})
    {%- endfor %}

select
    features.user_id,
    features.night_on
    {%- for ladder in ladders() %}
        ,
        case
            {%- for state in states_of(ladder) %}
                {%- set spells = spells_of.get(ladder ~ " " ~ state["name"]) %}
                when {{ spells ~ ".holder_id is not null" if spells else state["when"] }}
                then {{ text_literal(state["name"]) }}
            {%- endfor %}
        end as {{ ladder }}
    {%- endfor %}
    {%- for tag in latched_tags() %}, {{ spells_of["tag " ~ tag] }}.holder_id is not null as {{ tag }} {%- endfor %}
from features
{%- for spells in spells_of.values() %}
    left join
        {{ spells }}
        on features.user_id = {{ spells }}.holder_id
        and features.night_on >= {{ spells }}.from_on
        and ({{ spells }}.to_on is null or features.night_on < {{ spells }}.to_on)
{%- endfor %}
