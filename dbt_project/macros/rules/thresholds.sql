{#- How usual and late gaps between purchases are learned, as declared at lifecycle_thresholds. -#}
{% macro gap_rules() -%} {{ return(rules_of_lifecycle_thresholds()["gaps"]) }} {%- endmacro %}

{#- What is learned, by column: the share of returns that came within so many days, in hundredths. -#}
{% macro gap_thresholds() -%}
    {{ return({"usual_gap_days": 50, "long_gap_days": 75, "late_gap_days": 90, "overdue_gap_days": 95}) }}
{%- endmacro %}

{#- Nights a purchase may arrive late: what is older than that is settled. -#}
{% macro purchase_lateness() -%}
    {{ return([contract_of("orders")["lateness"], contract_of("order_items")["lateness"]] | max) }}
{%- endmacro %}

{#- What stands for all categories together. -#}
{% macro every_category() -%} '(all)' {%- endmacro %}
