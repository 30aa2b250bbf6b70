{#-
    A staging model: the latest version of every key of a contract table that had arrived by `as_of`, without personal columns.
    `at` is given for tables whose rows happen in time: they get a business date and are kept incremental by it. Key and columns
    come from the source's meta, which is generated from the contract.
-#}
{% macro conformed(table, at=none) %}
    {%- set on = at | replace("_at", "_on") if at else none -%}
    {%- if at -%} {{- windowed(on, start="facts_from") -}} {%- endif -%}
    {%- set relation = source("raw", table) -%}
    {%- set clock = ref("int_clock") -%}
    {%- if execute -%}
        {%- set contract = graph.sources["source.userops.raw." ~ table].config.meta -%}
        {%- set columns = contract["staging"] -%}
        with
            arrived as (
                select
                    {%- for column in columns %}
                        raw.{{ column }},
                        {%- if column == at %}
                            {{ business_date("raw." ~ at, "clock.business_zone") }} as {{ on }},
                        {%- endif %}
                    {%- endfor %}
                    raw.arrived_on,
                    {%- if at %} clock.facts_from, {%- endif %}
                    row_number() over (
                        partition by
                            {% for column in contract["key"] %} raw.{{ column }}{{ ", " if not loop.last }}{% endfor %}
                        order by raw.arrived_on desc, raw.source_row desc, raw.source_name desc, raw.source_file desc
                    ) as version_rank
                from {{ relation }} as raw
                cross join {{ clock }} as clock
                where raw.arrived_on <= clock.as_of {%- if at %} and raw.arrived_on >= clock.facts_from {%- endif %}
            )

        select
            {%- for column in columns %} {{ column }}, {%- if column == at %} {{ on }}, {%- endif %} {%- endfor %}
            arrived_on
        from arrived
        where version_rank = 1 {%- if at %} and {{ on }} >= facts_from {%- endif %}
    {%- endif -%}
{% endmacro %}
