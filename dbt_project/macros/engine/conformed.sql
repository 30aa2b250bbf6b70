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
        {%- set equal = [] -%}
        {%- for column in key -%} {%- do equal.append("arrived." ~ column ~ " = again." ~ column) -%} {%- endfor -%}
        {%- set same_key = equal | join(" and ") -%}
        {%- set hidden_key = key | reject("in", published) | list -%}
        with
            arrived as {{ inlined() }} (
                select
                    {%- for column in published + hidden_key + lineage if column != on %}
                        raw.{{ column }},
                    {%- endfor %}
                    {%- if at %} {{ business_date("raw." ~ at, "clock.business_zone") }} as {{ on }}, clock.facts_from
                    {%- else %} clock.as_of
                    {%- endif %}
                from {{ relation }} as raw
                cross join {{ clock }} as clock
                where raw.arrived_on <= clock.as_of {%- if at %} and raw.arrived_on >= clock.facts_from {%- endif %}
            ),
            -- Few keys arrive twice: finding those is cheap, ranking or copying every row is not.
            again as (
                select {{ key | join(", ") }}, count(*) as version_count
                from arrived
                group by {{ key | join(", ") }}
                having count(*) > 1
            ),
            ranked as (
                select
                    {%- for column in published %} arrived.{{ column }}, {%- endfor %}
                    {%- if at %} arrived.facts_from, {%- endif %}
                    row_number() over (
                        partition by
                            {% for column in key %} arrived.{{ column }} {{- ", " if not loop.last }} {% endfor %}
                        order by
                            arrived.arrived_on desc,
                            arrived.source_row desc,
                            arrived.source_name desc,
                            arrived.source_file desc
                    ) as version_rank
                from arrived
                inner join again on {{ same_key }}
            )

        select {% for column in published %} arrived.{{ column }} {{- ", " if not loop.last }} {% endfor %}
        from arrived
        left join again on {{ same_key }}
        where again.version_count is null {%- if at %} and arrived.{{ on }} >= arrived.facts_from {%- endif %}
        union all
        select {{ published | join(", ") }}
        from ranked
        where version_rank = 1 {%- if at %} and {{ on }} >= facts_from {%- endif %}
    {%- endif -%}
{% endmacro %}

{#- Said of a CTE that is read more than once and too large to be copied: DuckDB would write it out, Spark never does. -#}
{% macro inlined() -%} {{ return(adapter.dispatch("inlined")()) }} {%- endmacro %}

{% macro default__inlined() -%} {{ return("") }} {%- endmacro %}

{% macro duckdb__inlined() -%} {{ return("not materialized") }} {%- endmacro %}
