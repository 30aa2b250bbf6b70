-- One row per basket line; basket and product together are unique in the data.
select
    basket_id || '-' || product_id as order_item_id,
    basket_id as order_id,
    transaction_timestamp as ordered_at,
    product_id,
    quantity,
    sales_value as amount,
    cast(retail_disc as decimal(18, 2))
    + cast(coupon_disc as decimal(18, 2))
    + cast(coupon_match_disc as decimal(18, 2)) as discount_amount,
    store_id as merchant_id,
    _file,
    _row,
    business_date(transaction_timestamp) as _night
from transactions
