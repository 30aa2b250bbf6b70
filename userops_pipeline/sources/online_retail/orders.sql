-- One row per invoice. C… cancels earlier ones; A… and all that is worth nothing are the bookkeeper's entries (void).
with
    priced as (
        select distinct
            * exclude (_file, _row),
            cast(
                try_cast(quantity as decimal(18, 4)) * try_cast(unitprice as decimal(18, 4)) as decimal(18, 2)
            ) as line_amount,
            min(_file) over invoice as _file,
            min(_row) over invoice as _row
        from lines
        window invoice as (partition by _night, invoiceno)
    ),
    invoices as (
        select
            invoiceno,
            min(customerid) as customerid,
            min(invoicedate) as invoicedate,
            -- one unreadable line makes the whole sum unknown, never smaller
            case when count(line_amount) = count(*) then sum(line_amount) end as amount,
            _file,
            _row,
            _night
        from priced
        group by all
    )
select
    invoiceno as order_id,
    regexp_replace(customerid, '\.0$', '') as user_id,
    invoicedate as ordered_at,
    case
        when invoiceno like 'C%' then 'cancelled' when invoiceno like 'A%' or amount = 0 then 'void' else 'completed'
    end as status,
    case when invoiceno like 'C%' then - amount else amount end as amount,
    'GBP' as currency,
    _file,
    _row,
    _night
from invoices
