{#- Statements that whoever starts a build prepares for an engine it cannot reach itself, run through dbt's own connection. -#}
{% macro run_statements(statements) %}
    {%- for statement in statements -%} {%- do run_query(statement) -%} {%- endfor -%}
{% endmacro %}
