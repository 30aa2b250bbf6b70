-- One row per customer and night with an invoice; the first night wins (known_keys: skip). The data has no sign-up date.
with
    invoiced as (
        select
            regexp_replace(CustomerID, '\.0$', '') as user_id,
            Country,
            InvoiceDate,
            row_number() over (partition by _night, CustomerID order by InvoiceDate, _file, _row) as sighting,
            _file,
            _row,
            _night
        from lines
        where CustomerID is not null
    )
select user_id, InvoiceDate as registered_at, nullif(Country, 'Unspecified') as region, _file, _row, _night
from invoiced
where sighting = 1
