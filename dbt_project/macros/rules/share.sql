{#- A part of a whole, 0..1 to six places; null where the whole is zero. -#}
{% macro share(part, whole) -%} cast(({{ part }}) * 1.0 / nullif({{ whole }}, 0) as decimal(9, 6)) {%- endmacro %}
