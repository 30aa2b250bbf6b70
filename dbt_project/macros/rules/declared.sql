{#- Columns of int_user_state: every feature, the standing in the community, every tag, the state on every ladder, and how near another level is. -#}
{% macro state_columns() -%}
    {{
        return(
            (columns_of_int_user_features() | list)
            + community_columns()
            + (tags() | map(attribute="name") | list)
            + (ladders().keys() | list)
            + level_columns()
        )
    }}
{%- endmacro %}

{#- Statuses in which an order is a purchase, if it has an amount: the contract's word, since conform takes these for alike. -#}
{% macro bought_statuses() -%} {{ return(contract_of("orders")["columns"]["status"]["alike"]) }} {%- endmacro %}

{% macro is_bought(status) -%} {{ status }} in ('{{ bought_statuses() | join("', '") }}') {%- endmacro %}

{#- Days within which the first user seen on a device gets its earlier events: the contract's word, since conform reaches as far back. -#}
{% macro stitch_days() -%} {{ return(contract_of("events")["stitch"]) }} {%- endmacro %}
