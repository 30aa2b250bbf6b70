{#-
    The number of the first version of the value models that knows what happened on a date: the next month's; the first night's for what
    was before it. `first_on` is the first night.
-#}
{% macro known_from(date, first_on) -%}
    case when {{ date }} < {{ first_on }} then {{ month_number(first_on) }} else {{ month_number(date) }} + 1 end
{%- endmacro %}

{#- What is declared of the value models at user_value, a table of the source `scored`. -#}
{% macro value_rules() -%} {{ return(rules_of_user_value()) }} {%- endmacro %}

{#- Where a purchase history begins: `first_purchase` or `registration`. -#}
{% macro value_origin() -%} {{ return(value_rules()["origin"]) }} {%- endmacro %}

{#- What is one purchase: a `day` with orders, or an `order`. -#}
{% macro value_purchase() -%} {{ return(value_rules()["purchase"]) }} {%- endmacro %}

{#- Purchases of a row of int_user_day that has orders. -#}
{% macro purchases_of_day() -%} {{ return("order_count" if value_purchase() == "order" else "1") }} {%- endmacro %}

{#-
    What is paid for the purchase that a history begins with, out of its first day: the day, or one of its orders, each worth their mean
    (the model of spend holds them exchangeable). Nothing where it begins before any purchase.
-#}
{% macro beginning_amount(spend, orders) -%}
    {%- if value_origin() == "registration" -%} 0
    {%- elif value_purchase() == "order" -%} {{ ratio(spend, orders, 18, 2) }}
    {%- else -%} {{ spend }}
    {%- endif -%}
{%- endmacro %}

{#- Purchases that a history begins with, and that are no repeats: one, or none where it begins at registration. -#}
{% macro beginning_count() -%} {{ return(0 if value_origin() == "registration" else 1) }} {%- endmacro %}
