-- One row per invoice line. The data numbers no lines: equal lines of an invoice get the same number, so that they
-- count as duplicates.
select
    invoiceno
    || '-'
    || upper(stockcode)
    || '-'
    || dense_rank() over (
        partition by _night, invoiceno, upper(stockcode)
        order by invoicedate, quantity, unitprice, description, customerid, country, stockcode
    ) as order_item_id,
    invoiceno as order_id,
    invoicedate as ordered_at,
    upper(stockcode) as product_id,
    quantity as quantity,
    unitprice as price,
    cast(try_cast(quantity as decimal(18, 4)) * try_cast(unitprice as decimal(18, 4)) as decimal(18, 2)) as amount,
    quantity like '-%' as is_return,
    _file,
    _row,
    _night
from lines
