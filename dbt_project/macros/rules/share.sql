{#- A part of a whole, 0..1 to six places; null where the whole is zero. -#}
{% macro share(part, whole) -%} {{ ratio(part, whole, 9, 6) }} {%- endmacro %}

{#- A share 0..1 as text in percent with one decimal: 0.4567 is 45.7%. -#}
{% macro percent(share) -%} cast(cast({{ share }} * 100 as decimal(9, 1)) as string) || '%' {%- endmacro %}
