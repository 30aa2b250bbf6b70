-- One row per order of which more was refunded than was paid: often the whole noted beside its parts. What goes beyond
-- the order counts nowhere.
{{ config(severity="warn") }}

with
    orders as (select order_id, amount from {{ ref("int_order") }} where is_purchase),
    refunds as (select order_id, sum(amount) as refund_amount from {{ ref("stg_refunds") }} group by order_id)

select orders.order_id
from orders
inner join refunds on orders.order_id = refunds.order_id
where refunds.refund_amount > orders.amount
