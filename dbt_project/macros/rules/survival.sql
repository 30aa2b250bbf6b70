{#- The survivals as declared at user_survival, each with the days of silence that end a life, as declared at user_churn_risk. -#}
{% macro survivals() -%}
    {%- set found = [] -%}
    {%- for survival in rules_of_user_survival()["survivals"] -%}
        {%- do found.append(dict(survival, churned_after_days=churned_after(survival["activity"]))) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#- Days up to which a mean lifetime is taken, and the normal quantile of the confidence band, as declared at user_survival. -#}
{% macro survival_rules() -%} {{ return(rules_of_user_survival()["band"]) }} {%- endmacro %}

{#- One bound of the band, the lower for "-", the upper for "". -#}
{% macro survival_bound(sign) -%}
    case
        when is_extinct = 1
        then null
        when log_share = 0
        then 1
        else exp(log_share * exp({{ sign }} ({{ survival_rules()["quantile"] }}) * sqrt(greenwood_sum) / log_share))
    end
{%- endmacro %}

{#-
    CTEs that end in `survival_steps`: the product-limit estimate (Kaplan and Meier 1958) over `observed` (the columns of `keys`, age_days,
    churned_count, censored_count; one row per age at which something happened). Who is censored at an age is still at risk at it. The
    variance is Greenwood's, the band that of log(-log S) (Kalbfleisch and Prentice): both are null once nobody is left (S = 0), and the
    band is 1 before the first churn. The product is taken as a sum of logarithms; an age at which all who are left churn makes it zero.
-#}
{% macro kaplan_meier(observed, keys) -%}
    {%- set per = keys | join(", ") -%}
    survival_risks as (
        select
            {{ per }},
            age_days,
            churned_count,
            censored_count,
            sum(churned_count + censored_count) over (
                partition by {{ per }} order by age_days desc rows unbounded preceding
            ) as at_risk_count
        from {{ observed }}
    ),
    survival_logs as (
        select
            {{ per }},
            age_days,
            churned_count,
            censored_count,
            at_risk_count,
            max(case when churned_count = at_risk_count then 1 else 0 end) over until_then as is_extinct,
            sum(
                case
                    when churned_count < at_risk_count
                    then ln(cast(at_risk_count - churned_count as double) / cast(at_risk_count as double))
                    else 0
                end
            ) over until_then as log_share,
            sum(
                case
                    when churned_count < at_risk_count
                    then
                        cast(churned_count as double)
                        / (cast(at_risk_count as double) * cast(at_risk_count - churned_count as double))
                    else 0
                end
            ) over until_then as greenwood_sum
        from survival_risks
        window until_then as (partition by {{ per }} order by age_days rows unbounded preceding)
    ),
    survival_steps as (
        select
            {{ per }},
            age_days,
            churned_count,
            censored_count,
            at_risk_count,
            {{ rounded("case when is_extinct = 1 then 0 else exp(log_share) end", 10, 9) }} as survival_share,
            {{ rounded("case when is_extinct = 0 then exp(log_share) * sqrt(greenwood_sum) end", 10, 9) }}
            as standard_error,
            {{ rounded(survival_bound("-"), 10, 9) }} as lower_share,
            {{ rounded(survival_bound(""), 10, 9) }} as upper_share
        from survival_logs
    )
{%- endmacro %}
