-- One row per order and night its status changed; the file is a log, so of one order a later line is the newer state.
select
    order_no as order_id,
    user_no as user_id,
    created as ordered_at,
    paid as paid_at,
    case
        status
        when '待付款'
        then 'placed'
        when '已付款'
        then 'paid'
        when '已发货'
        then 'shipped'
        when '已完成'
        then 'completed'
        when '已取消'
        then 'cancelled'
        when '已退款'
        then 'refunded'
        else status
    end as status,
    payable as amount,
    discount as discount_amount,
    currency,
    _file,
    _row,
    _night,
    _row as _version
from orders
