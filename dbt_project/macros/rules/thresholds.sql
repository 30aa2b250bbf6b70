{#- How usual and late gaps between purchases are learned, as declared at lifecycle_thresholds. -#}
{% macro gap_rules() -%}
    {{
        return(
            declared("lifecycle_thresholds").config.meta["gaps"]
            if execute
            else {"follow_days": 0, "min_gaps": 0, "default": {}}
        )
    }}
{%- endmacro %}

{#- What is learned, by column: the share of returns that came within so many days, in hundredths. -#}
{% macro gap_thresholds() -%}
    {{ return({"usual_gap_days": 50, "long_gap_days": 75, "late_gap_days": 90, "overdue_gap_days": 95}) }}
{%- endmacro %}

{#- Nights a purchase may arrive late: what is older than that is settled. -#}
{% macro purchase_lateness() -%}
    {%- set found = [0] -%}
    {%- if execute -%}
        {%- for table in ["orders", "order_items"] -%}
            {%- do found.append(graph.sources["source.userops.raw." ~ table].config.meta["lateness"]) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found | max) }}
{%- endmacro %}

{#- What stands for all categories together. -#}
{% macro every_category() -%} '(all)' {%- endmacro %}
