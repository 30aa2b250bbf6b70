-- One row per order, on the night its payment was approved, or else it was placed: a row counts for the night of its
-- latest time.
-- The amount is what was paid, freight and instalment interest included, as the sum of its payments. An `unavailable`
-- order was paid and never sent: no purchase.
with
    paid as (
        select
            order_id,
            -- one unreadable payment makes the whole sum unknown, never smaller
            case
                when count(try_cast(payment_value as decimal(18, 2))) = count(*)
                then sum(try_cast(payment_value as decimal(18, 2)))
            end as amount
        from payments_file
        group by order_id
    )
select
    order_id,
    customer_unique_id as user_id,
    order_purchase_timestamp as ordered_at,
    order_approved_at as paid_at,
    case
        order_status
        when 'created'
        then 'placed'
        when 'approved'
        then 'paid'
        when 'invoiced'
        then 'paid'
        when 'processing'
        then 'paid'
        when 'delivered'
        then 'completed'
        when 'canceled'
        then 'cancelled'
        when 'unavailable'
        then 'cancelled'
        else order_status
    end as status,
    amount,
    'BRL' as currency,
    orders_file._file,
    orders_file._row,
    night(greatest(order_purchase_timestamp, order_approved_at)) as _night
from orders_file
left join customers using (customer_id)
left join paid using (order_id)
