-- One row per person and night with an order. A customer_id is of one order alone; the person is customer_unique_id.
select
    customer_unique_id as user_id,
    min(order_purchase_timestamp) as registered_at,
    max_by(customer_state, order_purchase_timestamp) as region,
    max_by(customers._file, order_purchase_timestamp) as _file,
    max_by(customers._row, order_purchase_timestamp) as _row,
    night(order_purchase_timestamp) as _night
from orders_file
inner join customers using (customer_id)
group by customer_unique_id, night(order_purchase_timestamp)
