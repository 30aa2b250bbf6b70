{#-
    A staging model: the latest version of every key of a contract table that had arrived by `as_of`, without personal columns.
    `at` is given for tables whose rows happen in time: they get a business date and are kept incremental by it, or, where the
    contract says `staged: window`, are a view on the dates this run recomputes. Key and columns come from the source's meta, which
    is generated from the contract.
-#}
{% macro conformed(table, at=none, staged="whole") %}
    {%- set on = at | replace("_at", "_on") if at else none -%}
    {%- set relation = source("raw", table) -%}
    {%- set clock = ref("int_clock") -%}
    {%- if at and staged == "whole" -%} {{- windowed(on, start="facts_from") -}} {%- endif -%}
    {%- if execute -%}
        {%- set contract = graph.sources["source.userops.raw." ~ table].config.meta -%}
        {%- set key = contract["key"] -%}
        {%- set published = [] -%}
        {%- for column in contract["staging"] -%}
            {%- do published.append(column) -%} {%- if column == at -%} {%- do published.append(on) -%} {%- endif -%}
        {%- endfor -%}
        {%- do published.append("arrived_on") -%}
        {%- set lineage = ["source_name", "source_file", "source_row"] -%}
        {%- set hidden_key = key | reject("in", published) | list -%}
        {%- set kept = published | reject("equalto", on) | list + (["business_zone", "facts_from_at"] if at else []) -%}
        {%- set key_columns = [] -%}
        {%- for column in key -%} {%- do key_columns.append("raw." ~ column) -%} {%- endfor -%}
        with
            arrived as {{ inlined() }} (
                select
                    {%- for column in published + hidden_key + lineage if column != on %}
                        raw.{{ column }},
                    {%- endfor %}
                    {%- if at %} clock.business_zone, clock.facts_from_at, {%- endif %}
                    {{ hashed(key_columns) }} as key_hash
                from {{ relation }} as raw
                cross join {{ clock }} as clock
                where raw.arrived_on <= clock.as_of {%- if at %} and raw.arrived_on >= clock.facts_from {%- endif %}
            ),
            -- Few keys arrive twice: finding those is cheap, ranking or copying every row is not. Counted by a number,
            -- fifty million keys fit in memory; keys that share a number are ranked each by itself.
            again as (select key_hash from arrived group by key_hash having count(*) > 1),
            -- A case and not a join: a planner that expects many of them would keep all rows in memory instead.
            single as (
                select {{ kept | join(", ") }}
                from arrived
                where case when key_hash in (select key_hash from again) then 1 else 0 end = 0
            ),
            ranked as (
                select
                    {{ kept | join(", ") }},
                    row_number() over (
                        partition by {{ key | join(", ") }}
                        order by arrived_on desc, source_row desc, source_name desc, source_file desc
                    ) as version_rank
                from arrived
                where case when key_hash in (select key_hash from again) then 1 else 0 end = 1
            ),
            latest as (
                select {{ kept | join(", ") }}
                from single
                union all
                select {{ kept | join(", ") }}
                from ranked
                where version_rank = 1
            ),
            dated as (
                select
                    {{ kept | join(", ") }}
                    {%- if at %}, {{ business_date(at, "business_zone") }} as {{ on }} {%- endif %}
                from latest
            )

        select {{ published | join(", ") }}
        from dated
        {#- Said of the time and not of its date: the date would be reckoned twice for every row. #}
        {%- if at %} where {{ at }} >= facts_from_at {%- endif %}
    {%- endif -%}
{% endmacro %}

{#- Said of a CTE that is read more than once and too large to be copied: DuckDB would write it out, Spark never does. -#}
{% macro inlined() -%} {{ return(adapter.dispatch("inlined", "userops")()) }} {%- endmacro %}

{% macro spark__inlined() -%} {{ return("") }} {%- endmacro %}

{% macro duckdb__inlined() -%} {{ return("not materialized") }} {%- endmacro %}

{#- A 64-bit number of these values, for finding rows that may be alike; it differs by engine, so no table may hold it. -#}
{% macro hashed(columns) -%} {{ return(adapter.dispatch("hashed", "userops")(columns)) }} {%- endmacro %}

{% macro spark__hashed(columns) -%} {{ return("xxhash64(" ~ columns | join(", ") ~ ")") }} {%- endmacro %}

{% macro duckdb__hashed(columns) -%} {{ return("hash(" ~ columns | join(", ") ~ ")") }} {%- endmacro %}
