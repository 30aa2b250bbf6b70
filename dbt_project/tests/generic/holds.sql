{#- A condition that is true of every row; null counts as broken. `where` limits the rows it is asked of. -#}
{% test holds(model, expression, where=none) %}
    select * from {{ model }} where not coalesce({{ expression }}, false) {%- if where %} and ({{ where }}) {%- endif %}
{% endtest %}
