{#- When a user has churned and how risk is told before, as declared at user_churn_risk; whatever speaks of churn asks here. -#}
{% macro churn_rules() -%} {{ return(rules_of_user_churn_risk()["churn"]) }} {%- endmacro %}

{#- Days of silence of an activity after which a user has churned. -#}
{% macro churned_after(activity) -%} {{ return(churn_rules()["after_days"][activity]) }} {%- endmacro %}

{#- Which behaviours are asked whether they precede churn, of whom and when, as declared at churn_precursors. -#}
{% macro precursor_rules() -%} {{ return(rules_of_churn_precursors()["precursors"]) }} {%- endmacro %}

{#- Columns of int_user_day that can be added up over days. -#}
{% macro day_measures() -%}
    {%- set found = [] -%}
    {%- for column, type in columns_of_int_user_day().items() -%}
        {%- if type in ["bigint", "decimal(18,2)"] and column not in ["day_number", "gap_days"] -%}
            {%- do found.append(column) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#- How many bounds of an ascending list a value has reached: its band from 0. -#}
{% macro band_of(value, bounds) -%}
    case
        {%- for bound in bounds | reverse %}
            when {{ value }} >= {{ bound }} then {{ bounds | length - loop.index0 }}
        {%- endfor %}
        else 0
    end
{%- endmacro %}
