{{ windowed("version_on", start="facts_from") }}

{%- set rules = rules_of_int_value_history() -%}
{%- set holdout_months = rules["holdout_months"] -%}

with
    versions as (select version_on, month_number, is_in_window from {{ ref("int_value_version") }}),
    states as (
        select user_id, from_month, to_month, counted_from_month, counted_to_month, begun_on, last_on, repeat_count
        from {{ ref("int_buyer_month") }}
    ),
    at_version as (
        select
            states.user_id,
            versions.version_on,
            versions.month_number,
            states.begun_on,
            states.last_on,
            states.repeat_count
        from versions
        inner join
            states
            on versions.month_number >= states.from_month
            and (states.to_month is null or versions.month_number < states.to_month)
            and versions.month_number >= states.counted_from_month
            and versions.month_number < states.counted_to_month
        where versions.is_in_window
    ),

    -- What a fit sees, and what the one of some months before saw, with what came since.
    histories as (
        select
            version_on,
            'fit' as purpose,
            version_on as seen_on,
            begun_on,
            last_on,
            repeat_count,
            cast(null as bigint) as later_count
        from at_version
        union all
        select
            at_version.version_on,
            'backtest' as purpose,
            earlier.version_on as seen_on,
            states.begun_on,
            states.last_on,
            states.repeat_count,
            cast(at_version.repeat_count - states.repeat_count as bigint) as later_count
        from at_version
        inner join versions as earlier on at_version.month_number - {{ holdout_months }} = earlier.month_number
        inner join
            states
            on at_version.user_id = states.user_id
            and earlier.month_number >= states.from_month
            and (states.to_month is null or earlier.month_number < states.to_month)
    ),
    measured as (
        select
            version_on,
            purpose,
            seen_on,
            repeat_count,
            {{ days_between("begun_on", "last_on") }} as recency_days,
            {{ days_between("begun_on", "seen_on") }} - 1 as age_days,
            later_count
        from histories
    ),
    sizes as (
        select version_on, purpose, count(*) as customer_count, max(age_days) as oldest_days
        from measured
        group by version_on, purpose
    ),

    -- Exact while customers are few; then time in so many steps, and many purchases in steps of about a sixteenth.
    stepped as (
        select
            measured.version_on,
            measured.purpose,
            measured.seen_on,
            measured.repeat_count,
            measured.recency_days,
            measured.age_days,
            measured.later_count,
            case
                when sizes.customer_count <= {{ rules["exact_customers"] }}
                then 1
                else 1 + cast(floor(sizes.oldest_days / {{ rules["time_steps"] }}.0) as bigint)
            end as step_days,
            case
                when sizes.customer_count <= {{ rules["exact_customers"] }}
                then 1
                else 1 + cast(floor(measured.repeat_count / 16.0) as bigint)
            end as step_count
        from measured
        inner join sizes on measured.version_on = sizes.version_on and measured.purpose = sizes.purpose
    ),
    grouped as (
        select
            version_on,
            purpose,
            seen_on,
            step_count,
            cast(floor(cast(repeat_count as double) / step_count) as bigint) as repeat_step,
            cast(floor(cast(recency_days as double) / step_days) as bigint) as recency_step,
            cast(floor(cast(age_days as double) / step_days) as bigint) as age_step,
            repeat_count,
            recency_days,
            age_days,
            later_count
        from stepped
    )

select
    version_on,
    purpose,
    seen_on,
    step_count,
    repeat_step,
    recency_step,
    age_step,
    later_count,
    count(*) as customer_count,
    cast(sum(repeat_count) as bigint) as repeat_sum,
    cast(sum(recency_days) as bigint) as recency_days_sum,
    cast(sum(age_days) as bigint) as age_days_sum
from grouped
group by version_on, purpose, seen_on, step_count, repeat_step, recency_step, age_step, later_count
