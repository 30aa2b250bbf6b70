-- Counts are those of the tables they come from, dimensions add up, no metric loses a row on its way, and goals add
-- up their nights.
{%- set counts = counts_of_users() + counts_of_metrics() %}
{%- set taken = counts_of_users() + ["new_device_count"] %}

with
    clock as (select as_of, window_from from {{ ref("int_clock") }}),
    counts as (
        select night_on, dimension, value, {{ counts | join(", ") }}
        from {{ ref("metric_counts_daily") }}
        where night_on >= (select window_from from clock)
    ),
    totals as (select night_on, {{ counts | join(", ") }} from counts where dimension = 'total'),
    users as (
        select night_on, {{ taken | join(", ") }}
        from {{ ref("user_counts_daily") }}
        where night_on >= (select window_from from clock)
    ),
    entered as (select night_on, registered_new_count from {{ ref("user_counts_daily") }}),
    bought as (
        select ordered_on, count(*) as order_count, count(amount) as priced_order_count, sum(amount) as revenue_amount
        from {{ ref("user_orders") }}
        where is_purchase and ordered_on between (select window_from from clock) and (select as_of from clock)
        group by ordered_on
    ),
    sums as (
        select
            night_on,
            dimension,
            {%- for count in counts %} sum({{ count }}) as {{ count }}{{ "," if not loop.last }} {%- endfor %}
        from counts
        where dimension <> 'total'
        group by night_on, dimension
    ),
    metrics as (
        select night_on, metric, dimension, numerator, denominator
        from {{ ref("metrics_daily") }}
        where night_on >= (select window_from from clock) or family = 'retention'
    ),
    published as (
        select metric, night_on, sum(numerator) as numerator, sum(denominator) as denominator
        from metrics
        group by metric, night_on
    ),
    cohorts as (
        select retention, first_period, ends_on, sum(returned_count) as returned_count, sum(cohort_size) as cohort_size
        from {{ ref("retention_cohorts") }}
        where is_complete
        group by retention, first_period, ends_on
    ),
    whole as (
        {%- for metric in metrics() %}
            {%- if "retention" in metric %}
                select
                    {{ text_literal(metric["name"]) }} as metric,
                    ends_on as night_on,
                    returned_count as numerator,
                    cohort_size as denominator
                from cohorts
                where retention = {{ text_literal(metric["retention"]) }} and first_period = {{ metric["period"] }}
            {%- else %}
                select
                    {{ text_literal(metric["name"]) }} as metric,
                    night_on,
                    sum({{ metric["numerator"] }}) as numerator,
                    sum({{ metric["denominator"] or "cast(null as bigint)" }}) as denominator
                from counts
                group by night_on
                {%- endif %} {{ "union all" if not loop.last }}
        {%- endfor %}
    ),
    goals as (
        select metric, grain, period_on, ends_on, numerator, denominator
        from {{ ref("goal_scorecard") }}
        where ends_on >= (select window_from from clock) and status <> 'not_measurable'
    ),
    nights as (
        select night_on, metric, numerator, denominator
        from {{ ref("metrics_daily") }}
        where dimension = 'total' and adds <> 'stock'
    ),
    added as (
        select
            goals.metric,
            goals.grain,
            goals.period_on,
            goals.numerator,
            goals.denominator,
            sum(nights.numerator) as night_numerator,
            sum(nights.denominator) as night_denominator
        from goals
        inner join nights on goals.metric = nights.metric and nights.night_on between goals.period_on and goals.ends_on
        group by goals.metric, goals.grain, goals.period_on, goals.numerator, goals.denominator
    )

select totals.night_on, 'differs from user_counts_daily or user_orders' as problem
from users
left join totals on users.night_on = totals.night_on
left join bought on users.night_on = bought.ordered_on
where
    {%- for count in taken %} totals.{{ count }} is distinct from users.{{ count }} or {%- endfor %}
    totals.order_count <> coalesce(bought.order_count, 0)
    or totals.priced_order_count <> coalesce(bought.priced_order_count, 0)
    or totals.revenue_amount <> coalesce(bought.revenue_amount, 0)
{%- for journey in ["activation", "first_purchase"] %}
    union all
    select totals.night_on, '{{ journey }} is not of those who came in so many nights ago' as problem
    from totals
    inner join
        entered
        on entered.night_on = {{ days_after("totals.night_on", 1 - (metric_rules()[journey]["within_days"] | int)) }}
    where totals.{{ journey }}_due_count <> entered.registered_new_count
{%- endfor %}
union all
select sums.night_on, 'does not add up over ' || sums.dimension as problem
from sums
inner join totals on sums.night_on = totals.night_on
where {% for count in counts %} sums.{{ count }} <> totals.{{ count }} {{ "or" if not loop.last }} {%- endfor %}
union all
select whole.night_on, 'loses rows: ' || whole.metric as problem
from whole
left join published on whole.metric = published.metric and whole.night_on = published.night_on
where
    whole.numerator <> coalesce(published.numerator, 0)
    or coalesce(whole.denominator, 0) <> coalesce(published.denominator, whole.denominator, 0)
union all
select period_on as night_on, 'is not the sum of its nights: ' || metric as problem
from added
where numerator <> night_numerator or coalesce(denominator, 0) <> coalesce(night_denominator, 0)
