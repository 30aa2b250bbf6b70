{#-
    The metrics that have a family, by name: dbt metrics over the semantic model of metric_counts_daily, which MetricFlow reads too, or,
    with `retention` and `period` in their meta, cells of a retention that is declared at retention_cohorts. Numerator and denominator are
    the columns of metric_counts_daily that their measures add up; without a denominator a metric is a number of its own.
-#}
{% macro metrics() -%} {{ return(declared_metrics()) }} {%- endmacro %}

{#- What is counted for metrics beside the counts of users, as declared at metric_counts_daily. -#}
{% macro metric_rules() -%} {{ return(rules_of_metric_counts_daily()["counting"]) }} {%- endmacro %}

{#- Counts of users that metrics are made of, as user_counts_daily and user_structure_daily have them. -#}
{% macro counts_of_users() -%}
    {{
        return(
            [
                "registered_new_count",
                "registered_count",
                "using_count",
                "dau_count",
                "mau_count",
                "active_opening_count",
                "newly_dormant_count",
                "paying_count",
                "paying_first_count",
                "paying_repeat_count",
            ]
        )
    }}
{%- endmacro %}

{#- What is counted beside them, in the order of publication. -#}
{% macro counts_of_metrics() -%}
    {{
        return(
            [
                "new_device_count",
                "activation_due_count",
                "activated_count",
                "first_purchase_due_count",
                "first_purchase_count",
                "invited_new_count",
                "inviting_count",
                "order_count",
                "priced_order_count",
                "revenue_amount",
                "nps_answer_count",
                "nps_net_count",
                "csat_answer_count",
                "csat_satisfied_count",
                "ticket_rated_count",
                "ticket_satisfied_count",
            ]
        )
    }}
{%- endmacro %}

{#- The counts of metrics in their order: what `given` says, else 0. -#}
{% macro metric_counts(given) -%}
    {%- for name in counts_of_metrics() %}
        {% if name == "revenue_amount" %} cast({{ given.get(name, 0) }} as decimal(18, 2))
        {% else %} cast({{ given.get(name, 0) }} as bigint)
        {% endif %} as {{ name }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- True of a row of int_user_day on which a user did one of these things, or had an active day where that is asked for. -#}
{% macro did_any(behaviours) -%}
    {%- for name in behaviours -%} {{ day_activities()[name] }} {{- " or " if not loop.last }} {%- endfor -%}
{%- endmacro %}

{#- Goals in their order, as declared at goal_scorecard, one entry per metric of a goal. -#}
{% macro goal_metrics() -%}
    {%- set by_name, found = {}, [] -%}
    {%- for metric in metrics() -%} {%- do by_name.update({metric["name"]: metric}) -%} {%- endfor -%}
    {%- for goal in rules_of_goal_scorecard()["goals"] -%}
        {%- for bound in goal["metrics"] -%}
            {%- do found.append({"goal": goal, "bound": bound, "metric": by_name[bound["metric"]]}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}
