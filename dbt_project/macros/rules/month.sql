{#- The calendar month of a date as a running number, so that months can be subtracted. -#}
{% macro month_number(date) -%} (extract(year from {{ date }}) * 12 + extract(month from {{ date }})) {%- endmacro %}
