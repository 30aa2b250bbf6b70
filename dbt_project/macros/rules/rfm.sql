{#- The RFM groups in the order they are tried, as declared at user_rfm. -#}
{% macro rfm_groups() -%} {{ return(declared("user_rfm").config.meta["groups"] if execute else []) }} {%- endmacro %}

{#- The group of a row with the scores r and fm: the first that matches. -#}
{% macro rfm_group() -%}
    case
        {%- for group in rfm_groups() %} when {{ group["when"] }} then {{ text_literal(group["name"]) }} {%- endfor %}
    end
{%- endmacro %}

{#- What people call a group; null is a user without a purchase. -#}
{% macro rfm_label(name) -%}
    case
        {%- for group in rfm_groups() %}
            when {{ name }} = {{ text_literal(group["name"]) }} then {{ text_literal(group["label"]) }}
        {%- endfor %}
        else {{ text_literal(declared("user_rfm").config.meta["prospect_label"] if execute else "") }}
    end
{%- endmacro %}
