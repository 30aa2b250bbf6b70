{#- What spares an engine work that the other does not have. -#}
{#-
    A model that many read: a view where the engine folds it into its readers, a table where it would plan and run it again for each.
-#}
{% macro read_often() -%}
    {{- config(materialized=adapter.dispatch("often_read_materialization", "userops")()) -}}
{%- endmacro %}

{% macro duckdb__often_read_materialization() -%} {{ return("view") }} {%- endmacro %}

{% macro spark__often_read_materialization() -%} {{ return("table") }} {%- endmacro %}

{#-
    Columns to rows: for every row of `relation` one row per entry of `rows`, each a list of expressions in the order of `names`;
    the columns in `keep` stand in front. DuckDB reads a CTE once however often it is named, Spark would run it for every entry.
-#}
{% macro as_rows(relation, names, rows, keep=[]) -%}
    {{ return(adapter.dispatch("as_rows", "userops")(relation, names, rows, keep)) }}
{%- endmacro %}

{% macro duckdb__as_rows(relation, names, rows, keep) -%}
    {%- for row in rows %}
        select
            {%- for column in keep %} {{ column }}, {%- endfor %}
            {%- for expression in row %}
                {{ expression }} as {{ names[loop.index0] }}{{ "," if not loop.last }}
            {%- endfor %}
        from {{ relation }} {{- " union all" if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{% macro spark__as_rows(relation, names, rows, keep) -%}
    select
        {%- for column in keep %} {{ column }}, {%- endfor %}
        stack({{ rows | length }} {%- for row in rows %}, {{ row | join(", ") }} {%- endfor %}) as (
            {{ names | join(", ") }}
        )
    from {{ relation }}
{%- endmacro %}
