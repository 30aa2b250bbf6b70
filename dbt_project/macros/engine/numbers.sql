{#- Divisions and means that are the same to the last digit on each engine. A model never divides by itself. -#}
{#- part / whole in floating point, rounded half away from zero to a decimal; null where the whole is zero. -#}
{% macro ratio(part, whole, digits, places) -%}
    {{ return(rounded("cast(" ~ part ~ " as double) / nullif(" ~ whole ~ ", 0)", digits, places)) }}
{%- endmacro %}

{#- A double as a decimal, rounded half away from zero. -#}
{% macro rounded(value, digits, places) -%}
    {{ return(adapter.dispatch("rounded", "userops")(value, digits, places)) }}
{%- endmacro %}

{% macro duckdb__rounded(value, digits, places) -%}
    cast({{ value }} as decimal({{ digits }}, {{ places }}))
{%- endmacro %}

{#- DuckDB multiplies, then rounds to a whole number; Spark's own cast rounds the shortest text of the double instead (1.005 to 1.01, not 1.00). -#}
{% macro spark__rounded(value, digits, places) -%}
    {%- set unit = "0" * (places - 1) ~ "1" -%}
    {#- A product of more than 38 digits in all would lose its last places without a word. -#}
    {%- set whole = [digits + 1, 37 - places] | min -%}
    cast(
        cast(round(({{ value }}) * {{ 10**places }}) as decimal({{ whole }}, 0))
        * 0.{{ unit }} as decimal({{ digits }}, {{ places }})
    )
{%- endmacro %}

{#- An aggregate written by a person (a KPI), whose means are as exact as the engine can make them, as a double. -#}
{% macro measured(aggregate) -%} {{ return(adapter.dispatch("measured", "userops")(aggregate)) }} {%- endmacro %}

{% macro duckdb__measured(aggregate) -%} cast({{ aggregate }} as double) {%- endmacro %}

{#- Spark rounds the mean of a decimal to four more digits than the decimal has: give it more. -#}
{% macro spark__measured(aggregate) -%}
    cast({{ aggregate | replace("avg(", "avg(cast(1 as decimal(16, 10)) * ") }} as double)
{%- endmacro %}
