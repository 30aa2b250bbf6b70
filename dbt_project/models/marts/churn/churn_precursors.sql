{%- set rules = precursor_rules() %}
{%- set flags, rows = [], [] %}
{%- for behaviour in rules["behaviours"] %}
    {%- do flags.append("did_" ~ behaviour["name"]) %}
    {%- do rows.append([text_literal(behaviour["name"]), "did_" ~ behaviour["name"]]) %}
{%- endfor %}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    users as (
        select has_churned, tenure_band, value_group, active_band, {{ flags | join(", ") }}
        from {{ ref("int_user_lookback") }}
        where is_settled and was_there
    ),
    declared as (
        {%- for behaviour in rules["behaviours"] %}
            select
                {{ text_literal(behaviour["name"]) }} as behaviour,
                {{ text_literal(behaviour["label"]) }} as label,
                {{ text_literal(behaviour["when"]) }} as rule
                {{ "union all" if not loop.last }}
        {%- endfor %}
    ),
    everybody as (select count(*) as user_count, count(case when has_churned then 1 end) as churned_count from users),
    {#- Few groups stand for many users before each behaviour becomes a row of its own. -#}
    groups as (
        select
            10000 * tenure_band + 100 * value_group + active_band as stratum,
            has_churned,
            {{ flags | join(", ") }},
            count(*) as user_count
        from users
        group by 10000 * tenure_band + 100 * value_group + active_band, has_churned, {{ flags | join(", ") }}
    ),
    by_behaviour as (
        {{ as_rows("groups", ["behaviour", "did"], rows, keep=["stratum", "has_churned", "user_count"]) }}
    ),
    counted as (
        select
            behaviour,
            stratum,
            sum(case when did then user_count else 0 end) as with_count,
            sum(case when did and has_churned then user_count else 0 end) as with_outcome,
            sum(case when did then 0 else user_count end) as without_count,
            sum(case when has_churned and not did then user_count else 0 end) as without_outcome
        from by_behaviour
        group by behaviour, stratum
    ),
    {#- A behaviour is a row also where nobody was there. -#}
    totals as (
        select
            declared.behaviour,
            coalesce(sum(counted.with_count), 0) as with_count,
            coalesce(sum(counted.with_outcome), 0) as with_outcome,
            coalesce(sum(counted.without_count), 0) as without_count,
            coalesce(sum(counted.without_outcome), 0) as without_outcome
        from declared
        left join counted on declared.behaviour = counted.behaviour
        group by declared.behaviour
    ),
    {{ like_with_like("totals", "counted", ["behaviour"], rules) }},
    concluded as (
        select
            behaviour,
            case
                when eligibility <> 'eligible'
                then 'not_eligible'
                when matched_adjusted_p_value > {{ rules["false_discovery_rate"] }}
                then 'no_difference'
                when matched_difference > 0
                then 'precedes_churn'
                else 'precedes_staying'
            end as verdict
        from comparisons
    )

select
    declared.behaviour,
    declared.label,
    declared.rule,
    {{ days_after("clock.as_of", -churned_after(rules["activity"])) }} as measured_on,
    cast({{ rules["look_back_days"] }} as bigint) as look_back_days,
    cast({{ churned_after(rules["activity"]) }} as bigint) as churned_after_days,
    cast(everybody.user_count as bigint) as user_count,
    comparisons.with_count,
    comparisons.with_outcome as churned_with_count,
    comparisons.without_count,
    comparisons.without_outcome as churned_without_count,
    {{ share("comparisons.with_outcome", "comparisons.with_count") }} as churned_with_share,
    {{ share("comparisons.without_outcome", "comparisons.without_count") }} as churned_without_share,
    {{ share("comparisons.with_outcome", "everybody.churned_count") }} as churner_share,
    {{
        share(
            "(comparisons.with_count - comparisons.with_outcome)",
            "(everybody.user_count - everybody.churned_count)",
        )
    }} as stayer_share,
    comparisons.difference,
    comparisons.difference_low,
    comparisons.difference_high,
    comparisons.p_value,
    comparisons.adjusted_p_value,
    comparisons.matched_with_count,
    comparisons.matched_without_count,
    comparisons.matched_difference,
    comparisons.matched_low,
    comparisons.matched_high,
    comparisons.matched_p_value,
    comparisons.matched_adjusted_p_value,
    comparisons.eligibility,
    concluded.verdict,
    case
        concluded.verdict
        when 'precedes_churn'
        then '先于流失'
        when 'precedes_staying'
        then '先于留存'
        when 'no_difference'
        then '无差异'
        else '不可比'
    end as verdict_label,
    concluded.verdict = 'precedes_churn' as is_precursor,
    'association' as evidence
from declared
cross join clock
cross join everybody
inner join comparisons on declared.behaviour = comparisons.behaviour
inner join concluded on declared.behaviour = concluded.behaviour
