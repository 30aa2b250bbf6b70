{#-
    Columns that together identify a row. `recomputed_by` names the date by which the table is incremental: then only keys of what this run
    recomputed are looked for, everywhere in the table, since nothing else has changed.
-#}
{% test unique_together(model, columns, recomputed_by=none) %}
    {%- if recomputed_by %}
        with
            recomputed as (
                select distinct {{ columns | join(", ") }}
                from {{ model }}
                where {{ recomputed_by }} >= (select sessions_from from {{ ref("int_clock") }})
            )

        select {{ columns | join(", ") }}, count(*) as row_count
        from {{ model }}
        inner join recomputed using ({{ columns | join(", ") }})
    {%- else %} select {{ columns | join(", ") }}, count(*) as row_count from {{ model }}
    {%- endif %}
    group by {{ columns | join(", ") }}
    having count(*) > 1
{% endtest %}
