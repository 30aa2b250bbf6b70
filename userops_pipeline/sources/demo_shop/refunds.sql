-- One row per refund.
select refund_id, order_id, user_id, refunded_at, amount, reason, _file, _row, _night from refunds
