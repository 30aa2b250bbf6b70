with
    purchases as (
        select order_id, user_id, ordered_on from {{ ref("int_order") }} where is_purchase and user_id is not null
    ),
    lines as (
        select order_item_id, order_id, product_id, quantity, price, amount, discount_amount
        from {{ ref("stg_order_items") }}
        where not coalesce(is_return, false) and quantity > 0
    ),
    products as (select product_id, category from {{ ref("stg_products") }})

select
    lines.order_item_id,
    lines.order_id,
    purchases.user_id,
    purchases.ordered_on,
    products.category,
    cast(
        coalesce(
            lines.price, {{ ratio("(lines.amount + coalesce(lines.discount_amount, 0))", "lines.quantity", 18, 4) }}
        ) as decimal(18, 4)
    ) as unit_price
from lines
inner join purchases on lines.order_id = purchases.order_id
left join products on lines.product_id = products.product_id
