-- One row per customer and night with an invoice; the first night wins (known_keys: skip). The data has no sign-up
-- date.
with
    invoiced as (
        select
            regexp_replace(customerid, '\.0$', '') as user_id,
            country,
            invoicedate,
            row_number() over (partition by _night, customerid order by invoicedate, _file, _row) as sighting,
            _file,
            _row,
            _night
        from lines
        where customerid is not null
    )
select user_id, invoicedate as registered_at, nullif(country, 'Unspecified') as region, _file, _row, _night
from invoiced
where sighting = 1
