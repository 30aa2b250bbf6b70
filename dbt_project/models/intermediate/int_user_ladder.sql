{{ config(materialized="table") }}

{#- The rules with a memory, each with the CTE of its spells; every other rule is its condition. -#}
{%- set spells_of = {} %}
{%- for latch in latches() %} {%- do spells_of.update({latch["rule"]: "latch_" ~ loop.index}) %} {%- endfor %}
{%- set lasting = lasting_states() %}

with
    clock as (select window_from from {{ ref("int_clock") }}),
    features as (select {{ columns_of_int_user_features() | join(", ") }} from {{ ref("int_user_features") }}),
    lasting as (
        select
            user_id,
            rule,
            from_on,
            to_on as off_on,
            {%- if lasting %}
                case
                    {%- for rule, state in lasting.items() %}
                        when rule = {{ text_literal(rule) }} and to_on is not null then {{ state_ends_on(state) }}
                    {%- endfor %}
                    else to_on
                end as ends_on
            {%- else %} to_on as ends_on
            {%- endif %}
        from {{ ref("int_user_latch") }}
    ),

    {#- What outlasts its rule may be reached again before it ends; then the later time counts. -#}
    latches as (
        select
            user_id,
            rule,
            from_on,
            off_on,
            ends_on,
            lead(from_on) over (partition by user_id, rule order by from_on) as reached_again_on
        from lasting
        where ends_on is null or ends_on > (select window_from from clock)
    )
    {%- for rule, spells in spells_of.items() %}
        ,
        {{ spells }} as (
            select
                user_id as holder_id,
                from_on,
                off_on,
                ends_on,
                case when reached_again_on < ends_on then reached_again_on else ends_on end as to_on
            from latches
            where rule = {{ text_literal(rule) }}
        )
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
    {%- if "level" in ladders() %}
        {%- set held = [] %}
        {%- for level in states_of("level") if "level " ~ level["name"] in spells_of %}
            {%- do held.append((spells_of["level " ~ level["name"]], level)) %}
        {%- endfor %},
        case
            {%- for spells, level in held %}
                when {{ spells }}.holder_id is not null then {{ spells }}.from_on
            {%- endfor %}
            else cast(null as date)
        end as level_reached_on,
        {#- Known once the rule is off; what a later night says does not count yet. #}
        case
            {%- for spells, level in held %}
                when {{ spells }}.holder_id is not null
                then
                    case
                        when features.night_on >= {{ spells }}.off_on
                        then {{ days_between("features.night_on", spells ~ ".ends_on") }}
                    end
            {%- endfor %}
            else cast(null as bigint)
        end as days_to_level_end,
        {#- The share of the lowest level that is not held; nothing is above the highest. #}
        case
            {%- for spells, level in held %}
                when {{ spells }}.holder_id is not null
                then
                    {{
                        (
                            share("greatest(" ~ level_measure() ~ ", 0)", level["above"]["reach"])
                            if level["above"]
                            else "null"
                        )
                    }}
            {%- endfor %}
            else
                {{
                    (
                        share("greatest(" ~ level_measure() ~ ", 0)", held[-1][1]["reach"])
                        if held
                        else "cast(null as decimal(9, 6))"
                    )
                }}
        end as next_level_share
    {%- endif %}
    {%- for tag in latched_tags() %}, {{ spells_of["tag " ~ tag] }}.holder_id is not null as {{ tag }} {%- endfor %}
from features
{%- for spells in spells_of.values() %}
    left join
        {{ spells }}
        on features.user_id = {{ spells }}.holder_id
        and features.night_on >= {{ spells }}.from_on
        and features.night_on < coalesce({{ spells }}.to_on, {{ no_end() }})
{%- endfor %}
