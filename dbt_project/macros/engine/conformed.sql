{#-
    A staging model: the latest version of every key of a contract table that had arrived by `as_of`, without personal columns.
    `at` is given for tables whose rows happen in time: they get a business date and are kept incremental by it, or, where the
    contract says `staged: window`, are a view on the dates this run recomputes. Key and columns are the contract's. What is a view is read by several models: which of its keys arrived twice is a table of its own, counted once.
-#}
{% macro conformed(table, at=none, staged="whole") %}
    {%- set on = at | replace("_at", "_on") if at else none -%}
    {%- set relation = source("raw", table) -%}
    {%- set clock = ref("int_clock") -%}
    {%- set again = ref("stg_" ~ table ~ "_again") if staged == "window" -%}
    {%- set since = rows_since(staged) -%}
    {%- if at and staged == "whole" -%} {{- windowed(on, start=since) -}} {%- endif -%}
    {%- set contract = contract_of(table) -%}
    {%- set key = contract["key"] -%}
    {%- set published = [] -%}
    {%- for column in contract["staging"] -%}
        {%- do published.append(column) -%} {%- if column == at -%} {%- do published.append(on) -%} {%- endif -%}
    {%- endfor -%}
    {%- do published.append("arrived_on") -%}
    {%- set lineage = ["source_name", "source_file", "source_row"] -%}
    {%- set hidden_key = key | reject("in", published) | list -%}
    {%- set kept = published | reject("equalto", on) | list + (["business_zone", since ~ "_at"] if at else []) -%}
    with
        arrived as {{ inlined() }} (
            select
                {%- for column in published + hidden_key + lineage if column != on %} raw.{{ column }}, {%- endfor %}
                {%- if at %} clock.business_zone, clock.{{ since }}_at, {%- endif %}
                {{ key_hash(contract) }} as key_hash
            from {{ relation }} as raw
            cross join {{ clock }} as clock
            where {{ has_arrived(at, staged) }}
        ),
        -- Few keys arrive twice: finding those is cheap, ranking or copying every row is not.
        again as (
            {%- if again %}select key_hash from {{ again }}
            {%- else %}{{ arrived_again(table, at, staged) }}
            {%- endif -%}
        ),
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
                {{ kept | join(", ") }} {%- if at %}, {{ business_date(at, "business_zone") }} as {{ on }} {%- endif %}
            from latest
        )

    select {{ published | join(", ") }}
    from dated
    {#- Said of the time and not of its date: the date would be reckoned twice for every row. #}
    {%- if at %} where {{ at }} >= {{ since }}_at {%- endif %}
{% endmacro %}

{#-
    Keys of a contract table that arrived more than once, each as a number: so counted, fifty million keys fit in memory. Keys that
    share a number are both here, and whoever reads this ranks the rows of each by itself.
-#}
{% macro arrived_again(table, at=none, staged="whole") %}
    {%- set relation = source("raw", table) -%}
    {%- set clock = ref("int_clock") -%}
    {%- set key = key_hash(contract_of(table)) -%}
    select {{ key }} as key_hash
    from {{ relation }} as raw
    cross join {{ clock }} as clock
    where {{ has_arrived(at, staged) }}
    group by {{ key }}
    having count(*) > 1
{% endmacro %}

{% macro key_hash(contract) -%}
    {%- set columns = [] -%}
    {%- for column in contract["key"] -%} {%- do columns.append("raw." ~ column) -%} {%- endfor -%}
    {{ hashed(columns) }}
{%- endmacro %}

{% macro has_arrived(at, staged) -%}
    raw.arrived_on <= clock.as_of {%- if at %} and raw.arrived_on >= clock.{{ rows_since(staged) }} {%- endif %}
{%- endmacro %}

{#-
    The column of int_clock from which on staging reads a table of things that happen. A row that is kept is replaced where it stands, by
    its own date; the facts it tells of may begin later (contract: `moment`), and what is not kept is read for those alone.
-#}
{% macro rows_since(staged) -%} {{ return("facts_from" if staged == "window" else "rows_from") }} {%- endmacro %}

{#- Said of a CTE that is read more than once and too large to be copied: DuckDB would write it out, Spark never does. -#}
{% macro inlined() -%} {{ return(adapter.dispatch("inlined", "userops")()) }} {%- endmacro %}

{% macro spark__inlined() -%} {{ return("") }} {%- endmacro %}

{% macro duckdb__inlined() -%} {{ return("not materialized") }} {%- endmacro %}

{#- A 64-bit number of these values, for finding rows that may be alike; it differs by engine, so nothing that is published may hold it. -#}
{% macro hashed(columns) -%} {{ return(adapter.dispatch("hashed", "userops")(columns)) }} {%- endmacro %}

{% macro spark__hashed(columns) -%} {{ return("xxhash64(" ~ columns | join(", ") ~ ")") }} {%- endmacro %}

{% macro duckdb__hashed(columns) -%} {{ return("hash(" ~ columns | join(", ") ~ ")") }} {%- endmacro %}
