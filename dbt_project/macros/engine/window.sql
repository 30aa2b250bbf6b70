{#-
    The incremental strategy `window`: what the clock asks to recompute is deleted and inserted anew, in one transaction.
    Later dates go too, because a past night may be rebuilt. Never by unique key: a row that vanished must vanish.
-#}
{#-
    Makes a model incremental by a date that places its rows in time. `start` is the column of int_clock from which on they are
    recomputed: `facts_from` for rows of what happened, `window_from` for rows of a night.
-#}
{% macro windowed(date, start="window_from") -%}
    {%- do ref("int_clock") -%}
    {{-
        config(
            materialized="incremental", incremental_strategy="window", meta={"window": date, "window_start": start}
        )
    -}}
{%- endmacro %}

{% macro get_incremental_window_sql(arg_dict) %}
    {%- set meta = config.get("meta") -%}
    {%- set target = arg_dict["target_relation"] -%}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    {%- set start = "(select " ~ meta["window_start"] ~ " from " ~ ref("int_clock") ~ ")" -%}
    {%- do run_query("delete from " ~ target ~ " where " ~ meta["window"] ~ " >= " ~ start) -%}
    {{
        return(
            "insert into " ~ target ~ " (" ~ columns ~ ") select " ~ columns ~ " from " ~ arg_dict["temp_relation"]
        )
    }}
{% endmacro %}
