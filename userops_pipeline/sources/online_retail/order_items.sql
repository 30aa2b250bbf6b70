-- One row per invoice line. The data numbers no lines: equal lines of an invoice get the same number, so that they count as duplicates.
select
    InvoiceNo || '-' || upper(StockCode) || '-' || dense_rank() over (
        partition by _night, InvoiceNo, upper(StockCode)
        order by InvoiceDate, Quantity, UnitPrice, Description, CustomerID, Country, StockCode
    ) as order_item_id,
    InvoiceNo as order_id,
    InvoiceDate as ordered_at,
    upper(StockCode) as product_id,
    Quantity as quantity,
    UnitPrice as price,
    cast(try_cast(Quantity as decimal(18, 4)) * try_cast(UnitPrice as decimal(18, 4)) as decimal(18, 2)) as amount,
    Quantity like '-%' as is_return,
    _file,
    _row,
    _night
from lines
