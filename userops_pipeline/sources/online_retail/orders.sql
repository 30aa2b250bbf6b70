-- One row per invoice. C… cancels goods bought earlier; A… and everything worth nothing are entries of the bookkeeper (void).
with
    priced as (
        select distinct
            * exclude (_file, _row),
            cast(try_cast(Quantity as decimal(18, 4)) * try_cast(UnitPrice as decimal(18, 4)) as decimal(18, 2)) as line_amount,
            min(_file) over invoice as _file,
            min(_row) over invoice as _row
        from lines
        window invoice as (partition by _night, InvoiceNo)
    ),
    invoices as (
        select
            InvoiceNo,
            min(CustomerID) as CustomerID,
            min(InvoiceDate) as InvoiceDate,
            -- one unreadable line makes the whole sum unknown, never smaller
            case when count(line_amount) = count(*) then sum(line_amount) end as amount,
            _file,
            _row,
            _night
        from priced
        group by all
    )
select
    InvoiceNo as order_id,
    regexp_replace(CustomerID, '\.0$', '') as user_id,
    InvoiceDate as ordered_at,
    case
        when InvoiceNo like 'C%' then 'cancelled' when InvoiceNo like 'A%' or amount = 0 then 'void' else 'completed'
    end as status,
    case when InvoiceNo like 'C%' then -amount else amount end as amount,
    'GBP' as currency,
    _file,
    _row,
    _night
from invoices
