-- One row per purchase. Eight first purchases cost nothing; they count in the papers, so they are booked at a cent: what is worth 0 is no purchase.
select
    purchase_id as order_id,
    customer_id as user_id,
    purchased_on as ordered_at,
    'completed' as status,
    greatest(cast(amount as decimal(18, 2)), 0.01) as amount,
    'USD' as currency,
    _file,
    _row,
    _night
from purchases
