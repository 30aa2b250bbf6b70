-- One row per refund.
select
    refund_id,
    order_no as order_id,
    user_no as user_id,
    "at" as refunded_at,
    amount,
    reason,
    _file,
    _row,
    left("at", 10) as _night
from refunds
