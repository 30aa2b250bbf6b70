-- One row per page that shows a product.
select product_id, page_name as name, product_category as category, _file, _row, '2020-01-01' as _night
from pages
where product_id is not null
