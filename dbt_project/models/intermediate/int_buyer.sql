{{ config(materialized="table") }}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    purchase_days as (
        select user_id, activity_on, order_count, spend_amount
        from {{ ref("int_user_day") }}
        where order_count > 0 and activity_on <= (select as_of from clock)
    ),
    buyers as (
        select
            user_id,
            count(*) - 1 as repeat_count,
            min(activity_on) as first_purchase_on,
            max(activity_on) as last_purchase_on,
            sum(order_count) as order_count,
            sum(spend_amount) as spend_amount,
            sum(spend_amount) - min_by(spend_amount, activity_on) as repeat_amount
        from purchase_days
        group by user_id
    )

select
    buyers.user_id,
    buyers.repeat_count,
    {{ days_between("buyers.first_purchase_on", "buyers.last_purchase_on") }} as recency_days,
    {{ days_between("buyers.first_purchase_on", "clock.as_of") }} as age_days,
    buyers.first_purchase_on,
    buyers.last_purchase_on,
    cast(buyers.order_count as bigint) as order_count,
    cast(buyers.spend_amount as decimal(18, 2)) as spend_amount,
    cast(buyers.repeat_amount as decimal(18, 2)) as repeat_amount
from buyers
cross join clock
