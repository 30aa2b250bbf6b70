-- One row per unit sold, of a seller; freight is told per unit, and paid with it.
select
    order_id || '-' || order_item_id as order_item_id,
    order_id,
    order_purchase_timestamp as ordered_at,
    product_id,
    '1' as quantity,
    price,
    try_cast(price as decimal(18, 2)) + try_cast(freight_value as decimal(18, 2)) as amount,
    seller_id as merchant_id,
    items._file,
    items._row,
    night(order_purchase_timestamp) as _night
from items
left join orders_file using (order_id)
