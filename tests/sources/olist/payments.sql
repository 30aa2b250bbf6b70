-- One row per payment; an order may be paid in several ways. When each was tried is not told: with the order. Success
-- is the order's approval.
select
    order_id || '-' || payment_sequential as payment_id,
    order_id,
    customer_unique_id as user_id,
    order_purchase_timestamp as attempted_at,
    payment_type as method,
    case when order_approved_at is null then 'pending' else 'success' end as outcome,
    payment_value as amount,
    payments_file._file,
    payments_file._row,
    night(order_purchase_timestamp) as _night
from payments_file
left join orders_file using (order_id)
left join customers using (customer_id)
