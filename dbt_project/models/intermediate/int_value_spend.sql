{{ windowed("version_on", start="facts_from") }}

{%- set rules = rules_of_int_value_history() -%}

with
    versions as (select version_on, month_number, is_in_window from {{ ref("int_value_version") }}),
    states as (
        select
            from_month,
            to_month,
            counted_from_month,
            counted_to_month,
            repeat_count,
            unpriced_order_count,
            repeat_amount
        from {{ ref("int_buyer_month") }}
    ),
    spenders as (
        select versions.version_on, states.repeat_count, states.repeat_amount
        from versions
        inner join
            states
            on versions.month_number >= states.from_month
            and (states.to_month is null or versions.month_number < states.to_month)
            and versions.month_number >= states.counted_from_month
            and versions.month_number < states.counted_to_month
        where
            versions.is_in_window
            and states.repeat_count > 0
            and states.repeat_amount > 0
            {#- A mean over purchases some of which have no amount would be one of nothing. #}
            and coalesce(states.unpriced_order_count, 0) = 0
    ),
    sizes as (select version_on, count(*) as customer_count from spenders group by version_on),
    measured as (
        select
            spenders.version_on,
            spenders.repeat_count,
            spenders.repeat_amount,
            {{ rounded("ln(cast(spenders.repeat_amount as double) / spenders.repeat_count)", 18, 9) }} as log_mean,
            sizes.customer_count <= {{ rules["exact_customers"] }} as is_exact
        from spenders
        inner join sizes on spenders.version_on = sizes.version_on
    ),
    stepped as (
        select
            version_on,
            case when is_exact then 1 else 1 + cast(floor(repeat_count / 16.0) as bigint) end as step_count,
            case when is_exact then repeat_amount end as exact_amount,
            case when is_exact then null else cast(floor(log_mean * 50) as bigint) end as mean_step,
            repeat_count,
            repeat_amount,
            log_mean
        from measured
    ),
    grouped as (
        select
            version_on,
            step_count,
            cast(floor(cast(repeat_count as double) / step_count) as bigint) as repeat_step,
            exact_amount,
            mean_step,
            repeat_count,
            repeat_amount,
            log_mean
        from stepped
    )

select
    version_on,
    step_count,
    repeat_step,
    exact_amount,
    mean_step,
    count(*) as customer_count,
    cast(sum(repeat_count) as bigint) as repeat_sum,
    cast(sum(repeat_amount) as decimal(18, 2)) as repeat_amount,
    cast(sum(log_mean) as decimal(28, 9)) as log_mean_sum
from grouped
group by version_on, step_count, repeat_step, exact_amount, mean_step
