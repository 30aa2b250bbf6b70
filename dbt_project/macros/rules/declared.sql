{#-
    Where rules are read: from the model that declares them, so that every model renders the one paragraph that was written.
    They are known once dbt has read the whole project; while it reads, they are empty.
-#}
{% macro declared(model) -%} {{ return(graph.nodes["model.userops." ~ model]) }} {%- endmacro %}

{#- Names of the documented columns of a model, in order. -#}
{% macro columns_of(model) -%} {{ return(declared(model).columns.keys() | list if execute else []) }} {%- endmacro %}

{#- Columns of int_user_state: every feature, every tag, and the stage. -#}
{% macro state_columns() -%}
    {{ return(columns_of("int_user_features") + (tags() | map(attribute="name") | list) + ["stage"]) }}
{%- endmacro %}
