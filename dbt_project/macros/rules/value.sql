{#-
    The number of the first version of the value models that knows what happened on a date: the next month's; the first night's for what
    was before it. `first_on` is the first night.
-#}
{% macro known_from(date, first_on) -%}
    case when {{ date }} < {{ first_on }} then {{ month_number(first_on) }} else {{ month_number(date) }} + 1 end
{%- endmacro %}
