{#-
    The segments as declared: name, label, `steps`, each a SQL boolean that keeps a user, and
    `conditions`, the same as a person wrote it. First the includes in order, then the excludes in order, turned round; null counts
    as false in both.
-#}
{% macro segments() -%}
    {%- set found = [] -%}
    {%- for segment in rules_of_segments() -%}
        {%- do found.append(dict(segment, steps=segment_steps(segment), conditions=segment_conditions(segment))) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{% macro segment_steps(segment) -%}
    {%- set steps = [] -%}
    {%- for step in segment["include"] -%} {%- do steps.append(segment_step(step)) -%} {%- endfor -%}
    {%- for step in segment.get("exclude", []) -%} {%- do steps.append("not " ~ segment_step(step)) -%} {%- endfor -%}
    {{ return(steps) }}
{%- endmacro %}

{#- One step: its SQL, or all steps of the segment it names. -#}
{% macro segment_step(step) -%}
    {%- if step is mapping -%}
        {%- set other = rules_of_segments() | selectattr("name", "equalto", step["segment"]) | first -%}
        {{ return("(" ~ segment_steps(other) | join(" and ") ~ ")") }}
    {%- else -%} {{ return("coalesce((" ~ step ~ "), false)") }}
    {%- endif -%}
{%- endmacro %}

{#- The steps as they were written, for people. -#}
{% macro segment_conditions(segment) -%}
    {%- set texts = [] -%}
    {%- for step in segment["include"] -%}
        {%- do texts.append("in " ~ step["segment"] if step is mapping else step) -%}
    {%- endfor -%}
    {%- for step in segment.get("exclude", []) -%}
        {%- do texts.append("not in " ~ step["segment"] if step is mapping else "not (" ~ step ~ ")") -%}
    {%- endfor -%}
    {{ return(texts) }}
{%- endmacro %}
