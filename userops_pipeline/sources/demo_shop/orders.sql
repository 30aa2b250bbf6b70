-- One row per order and night its status changed.
select
    order_id, user_id, ordered_at, paid_at, status, amount, discount_amount, currency, merchant_id, _file, _row, _night
from orders
