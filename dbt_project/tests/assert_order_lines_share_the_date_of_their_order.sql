-- A line counts on the business date of its order; one that states another date is named here, and kept.
{{ config(severity="warn") }}

with
    lines as (select order_item_id, order_id, ordered_on from {{ ref("stg_order_items") }}),
    orders as (select order_id, ordered_on from {{ ref("stg_orders") }})

select lines.order_item_id, lines.ordered_on, orders.ordered_on as order_ordered_on
from lines
inner join orders on lines.order_id = orders.order_id
where lines.ordered_on <> orders.ordered_on
