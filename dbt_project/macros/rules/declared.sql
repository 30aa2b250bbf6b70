{#-
    Where rules are read: from the model that declares them, so that every model renders the one paragraph that was written.
    They are known once dbt has read the whole project; while it reads, they are empty.
-#}
{% macro declared(model) -%} {{ return(graph.nodes["model.userops." ~ model]) }} {%- endmacro %}

{#- Names of the documented columns of a model, in order. -#}
{% macro columns_of(model) -%} {{ return(declared(model).columns.keys() | list if execute else []) }} {%- endmacro %}

{#- The SQL type of a column, as its model's contract has it. -#}
{% macro type_of(model, column) -%}
    {{ return(declared(model).columns[column].data_type if execute else "string") }}
{%- endmacro %}

{#- Columns of int_user_state: every feature, the standing in the community, every tag, the state on every ladder, and how near another level is. -#}
{% macro state_columns() -%}
    {{
        return(
            columns_of("int_user_features")
            + community_columns()
            + (tags() | map(attribute="name") | list)
            + (ladders().keys() | list)
            + level_columns()
        )
    }}
{%- endmacro %}

{#- The rules a model states under config.meta; empty while dbt reads the project. -#}
{% macro rules_of(model) -%} {{ return(declared(model).config.meta if execute else {}) }} {%- endmacro %}

{#- Statuses in which an order is a purchase, if it has an amount: the contract's word, since conform takes these for alike. -#}
{% macro bought_statuses() -%}
    {{ return(graph.sources["source.userops.raw.orders"].columns["status"].config.meta["alike"] if execute else []) }}
{%- endmacro %}

{% macro is_bought(status) -%} {{ status }} in ('{{ bought_statuses() | join("', '") }}') {%- endmacro %}

{#- Days within which the first user seen on a device gets its earlier events: the contract's word, since conform reaches as far back. -#}
{% macro stitch_days() -%}
    {{ return(graph.sources["source.userops.raw.events"].config.meta["stitch"] if execute else 0) }}
{%- endmacro %}
