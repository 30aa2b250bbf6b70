with
    clock as (select business_zone from {{ ref("int_clock") }}),
    orders as (
        select
            order_id,
            user_id,
            ordered_at,
            ordered_on,
            paid_at,
            status,
            amount,
            discount_amount,
            currency,
            merchant_id,
            is_plan,
            plan,
            paid_until
        from {{ ref("stg_orders") }}
    ),
    merges as (select user_id, survivor_id from {{ ref("int_user_merge") }})

select
    orders.order_id,
    coalesce(merges.survivor_id, orders.user_id) as user_id,
    orders.ordered_at,
    orders.ordered_on,
    orders.paid_at,
    orders.status,
    orders.amount,
    coalesce(orders.discount_amount, 0) as discount_amount,
    orders.currency,
    orders.merchant_id,
    coalesce(orders.is_plan, false) as is_plan,
    orders.plan,
    orders.paid_until,
    {{ is_bought("orders.status") }} and coalesce(orders.amount > 0, true) as is_purchase,
    {{ iso_weekday("orders.ordered_on") }} as weekday,
    {{ business_hour("orders.ordered_at", "clock.business_zone") }} as hour_of_day
from orders
cross join clock
left join merges on orders.user_id = merges.user_id
