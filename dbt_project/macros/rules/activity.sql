{#- What counts as active, dormant, reached, engaged …, as declared at user_counts_daily; as churned, at user_churn_risk. -#}
{% macro activity_rules() -%}
    {{ return(dict(rules_of_user_counts_daily()["activity"], churned_after_days=churned_after("active"))) }}
{%- endmacro %}

{#- True of a row of int_activity that is one of the declared kind; `own` stands for everything the user did of their own. -#}
{% macro is_activity(kind) -%}
    {%- set rules = activity_rules() -%}
    {%- set names = rules["active"]["activities"] if kind == "active" else rules[kind] -%}
    {%- if names == "own" -%} is_own
    {%- else -%}
        is_own and activity in ({% for name in names %}{{ text_literal(name) }}{{ ", " if not loop.last }}{% endfor %})
    {%- endif -%}
{%- endmacro %}

{#- The kinds of activity whose users are counted day by day beside the active ones; each is a column `<kind>_count` of int_user_day. -#}
{% macro activity_kinds() -%}
    {{ return(["reached", "engaged", "followed", "unfollowed", "converted"]) }}
{%- endmacro %}

{#- Days without activity at which a user's standing changes: the rolling windows, dormant, churned; ascending, each once. -#}
{% macro idle_steps() -%}
    {%- set rules = activity_rules() -%}
    {{ return([7, 30, rules["dormant_after_days"], rules["churned_after_days"]] | unique | sort) }}
{%- endmacro %}

{#- Standings of int_user_standing as conditions on its column `idle_days` or `idle_days_before`, by name of the stock. -#}
{% macro standings(idle_days) -%}
    {%- set rules = activity_rules() -%}
    {{
        return(
            {
                "registered": idle_days ~ " is not null",
                "unactivated": idle_days ~ " = -1",
                "active": idle_days ~ " between 0 and " ~ (rules["dormant_after_days"] - 1),
                "dormant": idle_days
                ~ " between "
                ~ rules["dormant_after_days"]
                ~ " and "
                ~ (rules["churned_after_days"] - 1),
                "churned": idle_days ~ " >= " ~ rules["churned_after_days"],
                "wau": idle_days ~ " between 0 and 6",
                "mau": idle_days ~ " between 0 and 29",
            }
        )
    }}
{%- endmacro %}

{#- The dimensions users are counted by, as declared at user_structure_daily: name and label. -#}
{% macro user_dimensions() -%} {{ return(rules_of_user_structure_daily()["dimensions"]) }} {%- endmacro %}

{#- First ages of the bands an age is shown in. -#}
{% macro age_bounds() -%} {{ return(rules_of_user_structure_daily()["age_bounds"]) }} {%- endmacro %}

{#- Stocks and flows of users in the order they are published. -#}
{% macro user_stocks() -%}
    {{ return(["registered", "unactivated", "active", "dormant", "churned", "wau", "mau"]) }}
{%- endmacro %}

{#- What changes the stocks, as sums over rows of int_user_standing. -#}
{% macro user_flows() -%}
    {%- set before = standings("idle_days_before") -%}
    {{
        return(
            {
                "registered_new": "idle_days_before is null",
                "registered_removed": "move = 'removed'",
                "active_new": "move = 'new'",
                "active_resurrected": "move = 'resurrected'",
                "active_dormant": before["active"]
                ~ " and idle_days is not null and not ("
                ~ standings("idle_days")["active"]
                ~ ")",
                "active_removed": before["active"] ~ " and move = 'removed'",
                "churned_new": "move = 'churned'",
                "churned_resurrected": before["churned"] ~ " and move = 'resurrected'",
                "churned_removed": before["churned"] ~ " and move = 'removed'",
            }
        )
    }}
{%- endmacro %}

{#- Users of a day, as conditions on a row of int_user_day. -#}
{% macro user_day_counts() -%}
    {%- set counts = {
        "in_use": "active_days > 0",
        "dau": "is_active",
        "paying_first": "order_count > 0 and is_first_payment",
        "paying_repeat": "order_count > 0 and not is_first_payment",
    } -%}
    {%- for kind in activity_kinds() -%} {%- do counts.update({kind: kind ~ "_count > 0"}) -%} {%- endfor -%}
    {{ return(counts) }}
{%- endmacro %}

{#- 1 where a condition is true, else 0. -#}
{% macro one_if(condition) -%} case when {{ condition }} then 1 else 0 end {%- endmacro %}

{#- The columns of counts of users, from sums named after stocks, their changes, flows and users of a day. -#}
{% macro user_count_columns() -%}
    cast(registered - registered_change as bigint) as registered_opening_count,
    cast(registered_new as bigint) as registered_new_count,
    cast(registered_removed as bigint) as registered_removed_count,
    cast(registered as bigint) as registered_count,
    cast(in_use as bigint) as using_count,
    cast(dau as bigint) as dau_count,
    cast(wau as bigint) as wau_count,
    cast(mau as bigint) as mau_count,
    cast(active - active_change as bigint) as active_opening_count,
    cast(active_new as bigint) as new_active_count,
    cast(active_resurrected as bigint) as resurrected_count,
    cast(active_dormant as bigint) as newly_dormant_count,
    cast(active_removed as bigint) as active_removed_count,
    cast(active as bigint) as active_count,
    cast(unactivated as bigint) as unactivated_count,
    cast(dormant as bigint) as dormant_count,
    cast(churned - churned_change as bigint) as churned_opening_count,
    cast(churned_new as bigint) as newly_churned_count,
    cast(churned_resurrected as bigint) as won_back_count,
    cast(churned_removed as bigint) as churned_removed_count,
    cast(churned as bigint) as churned_count,
    cast(paying_first + paying_repeat as bigint) as paying_count,
    cast(paying_first as bigint) as paying_first_count,
    cast(paying_repeat as bigint) as paying_repeat_count,
    {%- for kind in activity_kinds() %}
        cast({{ kind }} as bigint) as {{ kind }}_count{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- What habits are read from, and how much of it is enough, as declared at user_behaviour. -#}
{% macro habit_rules() -%} {{ return(rules_of_user_behaviour()["habits"]) }} {%- endmacro %}
