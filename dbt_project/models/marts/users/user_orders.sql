with
    orders as (
        select
            order_id,
            user_id,
            ordered_at,
            ordered_on,
            paid_at,
            status,
            is_purchase,
            is_plan,
            amount,
            discount_amount,
            currency,
            merchant_id
        from {{ ref("int_order") }}
    ),
    contents as (select order_id, item_count, returned_amount, refund_amount from {{ ref("int_order_contents") }}),
    purchases as (
        select
            order_id,
            cast(row_number() over (partition by user_id order by ordered_at, order_id) as bigint) as purchase_number,
            lag(ordered_on) over (partition by user_id order by ordered_at, order_id) as previous_ordered_on
        from orders
        where is_purchase and user_id is not null
    )

select
    orders.order_id,
    orders.user_id,
    orders.ordered_at,
    orders.ordered_on,
    orders.paid_at,
    orders.status,
    orders.is_purchase,
    orders.is_plan,
    purchases.purchase_number,
    {{ days_between("purchases.previous_ordered_on", "orders.ordered_on") }} as days_since_previous_purchase,
    orders.amount,
    orders.discount_amount,
    coalesce(contents.refund_amount, 0) as refund_amount,
    coalesce(contents.returned_amount, 0) as returned_amount,
    coalesce(contents.item_count, 0) as item_count,
    orders.currency,
    orders.merchant_id
from orders
left join contents on orders.order_id = contents.order_id
left join purchases on orders.order_id = purchases.order_id
