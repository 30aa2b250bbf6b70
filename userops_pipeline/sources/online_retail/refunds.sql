-- One row per cancelling invoice (C…). Which purchase it takes back is not in the data, so it refers to itself.
with
    cancelled as (
        select distinct
            * exclude (_file, _row),
            cast(
                try_cast(quantity as decimal(18, 4)) * try_cast(unitprice as decimal(18, 4)) as decimal(18, 2)
            ) as line_amount,
            min(_file) over invoice as _file,
            min(_row) over invoice as _row
        from lines
        where invoiceno like 'C%'
        window invoice as (partition by _night, invoiceno)
    )
select
    invoiceno as refund_id,
    invoiceno as order_id,
    regexp_replace(min(customerid), '\.0$', '') as user_id,
    min(invoicedate) as refunded_at,
    case when count(line_amount) = count(*) then - sum(line_amount) end as amount,
    'cancellation' as reason,
    _file,
    _row,
    _night
from cancelled
group by invoiceno, _file, _row, _night
