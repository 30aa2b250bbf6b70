{%- set dimensions = rules_of_user_survival()["dimensions"] -%}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    lives as (
        select
            lives.survival,
            {{ days_between("lives.entry_on", "coalesce(lives.churned_on, clock.as_of)") }} as age_days,
            {{ one_if("lives.churned_on is not null") }} as churned_users,
            {{ one_if("lives.churned_on is null") }} as censored_users,
            cast({{ period_on("month", "lives.entry_on") }} as string) as cohort
            {%- for name in dimensions if name != "cohort" %}, lives.{{ name }} {%- endfor %}
        from {{ ref("int_user_lifetime") }} as lives
        cross join clock
        where lives.is_observed
    ),
    counted as (
        select
            survival,
            age_days,
            {{ grouped_dimension(dimensions) }},
            sum(churned_users) as churned_count,
            sum(censored_users) as censored_count
        from lives
        group by
            grouping sets (
                (survival, age_days) {%- for name in dimensions %}, (survival, age_days, {{ name }}) {%- endfor %}
            )
    ),
    observed as (
        select
            survival,
            dimension,
            value,
            age_days,
            sum(churned_count) as churned_count,
            sum(censored_count) as censored_count
        from
            (
                select survival, dimension, value, age_days, churned_count, censored_count
                from counted
                union all
                select distinct survival, dimension, value, 0 as age_days, 0 as churned_count, 0 as censored_count
                from counted
            ) as with_the_beginning
        group by survival, dimension, value, age_days
    ),
    labels as (
        {%- for survival in survivals() %}
            select
                {{ text_literal(survival["name"]) }} as survival,
                {{ text_literal(survival["label"]) }} as label
                {{ "union all" if not loop.last }}
        {%- endfor %}
    ),
    {{ kaplan_meier("observed", ["survival", "dimension", "value"]) }}

select
    steps.survival,
    labels.label,
    steps.dimension,
    steps.value,
    steps.age_days,
    cast(steps.at_risk_count as bigint) as at_risk_count,
    cast(steps.churned_count as bigint) as churned_count,
    cast(steps.censored_count as bigint) as censored_count,
    cast(steps.survival_share as decimal(9, 6)) as survival_share,
    cast(steps.standard_error as decimal(9, 6)) as standard_error,
    cast(steps.lower_share as decimal(9, 6)) as lower_share,
    cast(steps.upper_share as decimal(9, 6)) as upper_share
from survival_steps as steps
inner join labels on steps.survival = labels.survival
