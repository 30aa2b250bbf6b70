-- One row per order line. The lines carry no time of their own: the order of the same night lends it.
with placed as (select _night, order_no, max(created) as created from orders group by all)
select
    line.order_no || '-' || line.line as order_item_id,
    line.order_no as order_id,
    placed.created as ordered_at,
    line.sku as product_id,
    line.qty as quantity,
    line.paid as amount,
    line.discount as discount_amount,
    line._file,
    line._row,
    line._night
from order_lines as line
left join placed on placed.order_no = line.order_no and placed._night = line._night
