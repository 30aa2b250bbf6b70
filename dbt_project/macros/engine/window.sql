{#-
    The incremental strategy `window`: what the clock asks to recompute is deleted and inserted anew.
    Later dates go too, because a past night may be rebuilt. Never by unique key: a row that vanished must vanish.
-#}
{#-
    Makes a model incremental by a date that places its rows in time. `start` is the column of int_clock from which on they are
    recomputed: `facts_from` for rows of what happened, `window_from` for rows of a night, `rows_from` for rows of raw as they stand.
-#}
{% macro windowed(date, start="window_from") -%}
    {%- do ref("int_clock") -%}
    {{-
        config(
            materialized="incremental", incremental_strategy="window", meta={"window": date, "window_start": start}
        )
    -}}
{%- endmacro %}

{#- DuckDB: delete and insert in one transaction. -#}
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

{#-
    Spark: Parquet has neither delete nor transactions. A table is partitioned by its window's date, in a column of its own behind the
    model's; the window is computed aside, its partitions are dropped, and the new ones moved in. Whoever starts the build answers for a
    build that died in between: on Spark it begins anew (userops_pipeline/build/warehouse.py).
-#}
{% materialization incremental, adapter = "spark" %}
    {%- set target = this.incorporate(type="table") -%}
    {%- set fresh = this.incorporate(path={"identifier": this.identifier ~ "__fresh"}, type="table") -%}
    {{ run_hooks(pre_hooks) }}

    {%- if is_incremental() -%}
        {%- do adapter.drop_relation(fresh) -%}
        {%- do run_query(spark_windowed_table(fresh, compiled_code)) -%}
        {%- do process_schema_changes("fail", fresh, target) -%}
        {%- set start = run_query(
            "select string(" ~ config.get("meta")["window_start"] ~ ") from " ~ ref("int_clock")
        ) -%}
        {%- set stale = [] -%}
        {%- for row in run_query("show partitions " ~ target).rows -%}
            {%- set on = row[0].split("=")[1] -%}
            {%- if on >= start.rows[0][0] -%}
                {%- do stale.append("partition (window_on = date'" ~ on ~ "')") -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if stale -%} {%- do run_query("alter table " ~ target ~ " drop " ~ stale | join(", ")) -%} {%- endif -%}
        {%- set columns = adapter.get_columns_in_relation(target) | map(attribute="quoted") | join(", ") -%}
        {%- call statement("main") -%}
            insert into {{ target }} ({{ columns }}) select {{ columns }} from {{ fresh }} distribute by window_on
        {%- endcall -%}
        {%- do adapter.drop_relation(fresh) -%}
    {%- else -%}
        {%- do adapter.drop_relation(target) -%}
        {%- call statement("main") -%} {{ spark_windowed_table(target, compiled_code) }}
        {%- endcall -%}
    {%- endif -%}

    {{ run_hooks(post_hooks) }}
    {{ return({"relations": [target]}) }}
{% endmaterialization %}

{#- One file per date: rows of a date meet in one task before they are written. -#}
{% macro spark_windowed_table(relation, sql) %}
    {%- if config.get("contract").enforced -%} {%- do get_assert_columns_equivalent(sql) -%} {%- endif -%}
    create table {{ relation }}
    using parquet
    partitioned by (window_on)
    as
        select rows.*, {{ config.get("meta")["window"] }} as window_on
        from ({{ sql }}) as rows
        distribute by window_on
{% endmacro %}
