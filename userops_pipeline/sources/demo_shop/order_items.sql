-- One row per order line.
select
    order_item_id,
    order_id,
    ordered_at,
    product_id,
    quantity,
    price,
    amount,
    discount_amount,
    merchant_id,
    _file,
    _row,
    _night
from order_items
