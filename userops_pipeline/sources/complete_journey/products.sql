-- One row per product of the catalogue, there from the first night.
select product_id, product_type as name, product_category as category, department, brand, _file, _row, _night
from products
