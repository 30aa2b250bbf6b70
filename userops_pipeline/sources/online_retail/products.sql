-- One row per stock code and night it is sold on, under the description most lines give; the first night wins
-- (known_keys: skip).
with
    descriptions as (
        select
            upper(stockcode) as product_id,
            trim(description) as name,
            count(*) as line_count,
            min(_file) as _file,
            min(_row) as _row,
            _night
        from lines
        -- lines without a price are write-offs, and describe the mishap instead of the goods
        where try_cast(unitprice as decimal(18, 4)) > 0 and description is not null
        group by all
    )
select product_id, name, _file, _row, _night
from descriptions
qualify row_number() over (partition by _night, product_id order by line_count desc, name) = 1
