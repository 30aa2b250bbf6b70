{%- set dimensions = rules_of_user_survival()["dimensions"] | reject("equalto", "cohort") | list -%}
{%- set horizon_days = survival_rules()["horizon_days"] -%}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    lives as (
        select survival, entry_on, churned_on, is_observed {%- for name in dimensions %}, {{ name }} {%- endfor %}
        from {{ ref("int_user_lifetime") }}
    ),
    groups as (
        select survival, entry_on, churned_on, is_observed, {{ grouped_dimension(dimensions) }}, count(*) as user_count
        from lives
        group by
            grouping sets (
                (survival, entry_on, churned_on, is_observed)
                {%- for name in dimensions %}, (survival, entry_on, churned_on, is_observed, {{ name }}) {%- endfor %}
            )
    ),
    span as (
        select min(lives.entry_on) as from_on, max(clock.as_of) as to_on
        from lives
        cross join clock
        where lives.is_observed
        having count(*) > 0
    ),
    days as ({{ nights("span", "from_on", "to_on") }}),
    months as (
        select
            {{ period_on("month", "days.night_on") }} as month_on,
            max(days.night_on) as measured_on,
            max({{ period_end("month", "days.night_on") }}) as ends_on
        from days
        group by {{ period_on("month", "days.night_on") }}
    ),

    {#- As they stood at the end of each month: who churned later was still there. -#}
    stood as (
        select
            groups.survival,
            groups.dimension,
            groups.value,
            months.month_on,
            {{
                days_between(
                    "groups.entry_on", "least(coalesce(groups.churned_on, months.measured_on), months.measured_on)"
                )
            }} as age_days,
            case when groups.churned_on <= months.measured_on then groups.user_count else 0 end as churned_count,
            case when groups.churned_on <= months.measured_on then 0 else groups.user_count end as censored_count
        from groups
        inner join months on groups.entry_on <= months.measured_on
        where groups.is_observed
    ),
    observed as (
        select
            survival,
            dimension,
            value,
            month_on,
            age_days,
            sum(churned_count) as churned_count,
            sum(censored_count) as censored_count
        from
            (
                select survival, dimension, value, month_on, age_days, churned_count, censored_count
                from stood
                union all
                select distinct
                    survival, dimension, value, month_on, 0 as age_days, 0 as churned_count, 0 as censored_count
                from stood
            ) as with_the_beginning
        group by survival, dimension, value, month_on, age_days
    ),
    unseen as (
        select survival, dimension, value, sum(user_count) as user_count
        from groups
        where not is_observed
        group by survival, dimension, value
    ),
    labels as (
        {%- for survival in survivals() %}
            select
                {{ text_literal(survival["name"]) }} as survival,
                {{ text_literal(survival["label"]) }} as label
                {{ "union all" if not loop.last }}
        {%- endfor %}
    ),
    {{ kaplan_meier("observed", ["survival", "dimension", "value", "month_on"]) }},
    spans as (
        select
            survival,
            dimension,
            value,
            month_on,
            age_days,
            lead(age_days) over (partition by survival, dimension, value, month_on order by age_days) as next_days,
            churned_count,
            censored_count,
            survival_share,
            lower_share,
            upper_share
        from survival_steps
    ),
    summed as (
        select
            survival,
            dimension,
            value,
            month_on,
            sum(churned_count + censored_count) as user_count,
            sum(churned_count) as churned_count,
            min(case when survival_share <= 0.5 then age_days end) as median_days,
            min(case when lower_share <= 0.5 then age_days end) as median_lower_days,
            min(case when upper_share <= 0.5 then age_days end) as median_upper_days,
            max(age_days) as longest_days,
            min(survival_share) as last_share,
            sum(
                case
                    when age_days < {{ horizon_days }}
                    then
                        survival_share * (least(coalesce(next_days, {{ horizon_days }}), {{ horizon_days }}) - age_days)
                    else 0
                end
            ) as mean_days
        from spans
        group by survival, dimension, value, month_on
    )

select
    summed.survival,
    labels.label,
    summed.month_on,
    months.measured_on,
    summed.dimension,
    summed.value,
    cast(summed.user_count as bigint) as user_count,
    cast(summed.churned_count as bigint) as churned_count,
    cast(coalesce(unseen.user_count, 0) as bigint) as unobserved_count,
    summed.median_days,
    summed.median_lower_days,
    summed.median_upper_days,
    case
        when summed.longest_days >= {{ horizon_days }} or summed.last_share = 0
        then cast(summed.mean_days as decimal(9, 2))
    end as mean_days_within_horizon,
    case
        when summed.median_days is null then 'not_eligible: fewer than half have churned at the ages seen so far'
    end as median_reason,
    months.ends_on <= clock.as_of as is_complete
from summed
cross join clock
inner join months on summed.month_on = months.month_on
inner join labels on summed.survival = labels.survival
left join
    unseen on summed.survival = unseen.survival and summed.dimension = unseen.dimension and summed.value = unseen.value
