with
    lines as (select order_id, amount, coalesce(is_return, false) as is_return from {{ ref("stg_order_items") }}),
    refunds as (select order_id, amount from {{ ref("stg_refunds") }}),
    contents as (
        select
            order_id,
            case when is_return then 0 else 1 end as item_count,
            abs(least(amount, 0)) as returned_amount,
            0 as refund_amount
        from lines
        union all
        select order_id, 0 as item_count, 0 as returned_amount, amount as refund_amount
        from refunds
    )

select
    order_id,
    cast(sum(item_count) as bigint) as item_count,
    cast(sum(returned_amount) as decimal(18, 2)) as returned_amount,
    cast(sum(refund_amount) as decimal(18, 2)) as refund_amount
from contents
group by order_id
