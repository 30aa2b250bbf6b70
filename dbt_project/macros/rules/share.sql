{#- A part of a whole, 0..1 to six places; null where the whole is zero. -#}
{% macro share(part, whole) -%} {{ ratio(part, whole, 9, 6) }} {%- endmacro %}
