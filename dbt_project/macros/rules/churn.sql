{#- When a user has churned and how risk is told before, as declared at user_churn_risk; whatever speaks of churn asks here. -#}
{% macro churn_rules() -%}
    {{
        return(
            declared("user_churn_risk").config.meta["churn"]
            if execute
            else {
                "after_days": {"active": 90, "purchase": 180},
                "risk": {
                    "by": "window",
                    "activity": "active",
                    "min_gaps": 1,
                    "least_days": 1,
                    "late_ratio": 1,
                    "overdue_ratio": 2,
                },
            }
        )
    }}
{%- endmacro %}

{#- Days of silence of an activity after which a user has churned. -#}
{% macro churned_after(activity) -%} {{ return(churn_rules()["after_days"][activity]) }} {%- endmacro %}

{#- Which behaviours are asked whether they precede churn, of whom and when, as declared at churn_precursors. -#}
{% macro precursor_rules() -%}
    {{
        return(
            declared("churn_precursors").config.meta["precursors"]
            if execute
            else {
                "activity": "active",
                "look_back_days": 1,
                "tenure_bounds": [1],
                "value_days": 1,
                "value_groups": 1,
                "active_bounds": [1],
                "least_users": 1,
                "least_expected": 1,
                "false_discovery_rate": 0.05,
                "behaviours": [{"name": "none", "label": "", "when": "active_days > 0"}],
            }
        )
    }}
{%- endmacro %}

{#- Columns of int_user_day that can be added up over days. -#}
{% macro day_measures() -%}
    {%- set found = [] -%}
    {%- for column in (declared("int_user_day").columns if execute else {}).values() -%}
        {%- if column.data_type in ["bigint", "decimal(18,2)"] and column.name not in ["day_number", "gap_days"] -%}
            {%- do found.append(column.name) -%}
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
