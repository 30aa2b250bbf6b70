{#-
    The segments as declared at the columns of user_segments: name, label, `steps`, each a SQL boolean that keeps a user, and
    `conditions`, the same as a person wrote it. First the includes in order, then the excludes in order, turned round; null counts
    as false in both.
-#}
{% macro segments() -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- for column in declared("user_segments").columns.values() if "include" in column.config.meta -%}
            {%- do found.append(
                dict(
                    column.config.meta,
                    name=column.name,
                    steps=segment_steps(column),
                    conditions=segment_conditions(column),
                )
            ) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}

{% macro segment_steps(column) -%}
    {%- set steps = [] -%}
    {%- for step in column.config.meta["include"] -%} {%- do steps.append(segment_step(step)) -%} {%- endfor -%}
    {%- for step in column.config.meta.get("exclude", []) -%}
        {%- do steps.append("not " ~ segment_step(step)) -%}
    {%- endfor -%}
    {{ return(steps) }}
{%- endmacro %}

{#- One step: its SQL, or all steps of the segment it names. -#}
{% macro segment_step(step) -%}
    {%- if step is mapping -%}
        {%- set other = declared("user_segments").columns[step["segment"]] -%}
        {{ return("(" ~ segment_steps(other) | join(" and ") ~ ")") }}
    {%- else -%} {{ return("coalesce((" ~ step ~ "), false)") }}
    {%- endif -%}
{%- endmacro %}

{#- The steps as they were written, for people. -#}
{% macro segment_conditions(column) -%}
    {%- set texts = [] -%}
    {%- for step in column.config.meta["include"] -%}
        {%- do texts.append("in " ~ step["segment"] if step is mapping else step) -%}
    {%- endfor -%}
    {%- for step in column.config.meta.get("exclude", []) -%}
        {%- do texts.append("not in " ~ step["segment"] if step is mapping else "not (" ~ step ~ ")") -%}
    {%- endfor -%}
    {{ return(texts) }}
{%- endmacro %}
