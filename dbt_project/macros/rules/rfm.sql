{#- The RFM groups in the order they are tried, as declared at user_rfm. -#}
{% macro rfm_groups() -%} {{ return(rules_of_user_rfm()["groups"]) }} {%- endmacro %}

{#- Days whose purchases count on a night, which is the last of them. -#}
{% macro rfm_window_days() -%} {{ return(rules_of_user_rfm()["window_days"]) }} {%- endmacro %}

{#-
    Bounds of the scores by letter where the mode is `thresholds`: what the scores 2, 3, 4 and 5 take at least, of recency at most. Empty
    where scores are fifths of the buyers of the night (`quantiles`).
-#}
{% macro rfm_thresholds() -%}
    {%- set rules = rules_of_user_rfm() -%} {{ return(rules["thresholds"] if rules["mode"] == "thresholds" else {}) }}
{%- endmacro %}

{#- The three measures by letter, and how they are sorted from the worst to the best. -#}
{% macro rfm_measures() -%}
    {{ return({"r": "recency_days", "f": "frequency", "m": "monetary_amount"}) }}
{%- endmacro %}

{#- The score of a measure by its declared bounds. -#}
{% macro rfm_score_by_thresholds(letter, measure) -%}
    {%- set bounds = rfm_thresholds()[letter] -%}
    case
        {%- for score in [5, 4, 3, 2] %}
            when {{ measure }} {{ "<=" if letter == "r" else ">=" }} {{ bounds[score - 2] }} then {{ score }}
        {%- endfor %}
        else 1
    end
{%- endmacro %}

{#- The group of a row with the scores r, f, m and fm: the first that matches. -#}
{% macro rfm_group() -%}
    case
        {%- for group in rfm_groups() %} when {{ group["when"] }} then {{ text_literal(group["name"]) }} {%- endfor %}
    end
{%- endmacro %}

{#- What stands for the group of a user without a purchase. -#}
{% macro prospect() -%} 'prospect' {%- endmacro %}

{#- What people call a group; null is a user without a purchase. -#}
{% macro rfm_label(name) -%}
    case
        {%- for group in rfm_groups() %}
            when {{ name }} = {{ text_literal(group["name"]) }} then {{ text_literal(group["label"]) }}
        {%- endfor %}
        else {{ text_literal(rules_of_user_rfm()["prospect_label"]) }}
    end
{%- endmacro %}
