with
    clock as (select as_of from {{ ref("int_clock") }}),
    users as (select user_id from {{ ref("user_profile") }}),
    purchases as (
        select
            orders.user_id,
            orders.ordered_on,
            cast(date_trunc('month', orders.ordered_on) as date) as month_on,
            {{ month_number("orders.ordered_on") }} as month_number
        from {{ ref("user_orders") }} as orders
        inner join users on orders.user_id = users.user_id
        cross join clock
        where orders.is_purchase and orders.ordered_on <= clock.as_of
    ),
    cohorts as (
        select user_id, min(month_on) as cohort_month, min(month_number) as cohort_number
        from purchases
        group by user_id
    ),
    cohort_sizes as (
        select cohort_month, cohort_number, count(*) as cohort_size from cohorts group by cohort_month, cohort_number
    ),
    bounds as (select min(purchases.ordered_on) as from_on, max(clock.as_of) as to_on from purchases cross join clock),
    days as ({{ nights("bounds", "from_on", "to_on") }}),
    months as (select distinct {{ month_number("night_on") }} as month_number from days),
    active as (
        select cohorts.cohort_number, purchases.month_number, count(distinct purchases.user_id) as active_users
        from purchases
        inner join cohorts on purchases.user_id = cohorts.user_id
        group by cohorts.cohort_number, purchases.month_number
    )

select
    cohort_sizes.cohort_month,
    cast(months.month_number - cohort_sizes.cohort_number as bigint) as months_since,
    cohort_sizes.cohort_size,
    coalesce(active.active_users, 0) as active_users,
    {{ share("coalesce(active.active_users, 0)", "cohort_sizes.cohort_size") }} as retention_share,
    months.month_number < {{ month_number(days_after("clock.as_of", 1)) }} as is_complete
from cohort_sizes
inner join months on cohort_sizes.cohort_number <= months.month_number
left join active on cohort_sizes.cohort_number = active.cohort_number and months.month_number = active.month_number
cross join clock
