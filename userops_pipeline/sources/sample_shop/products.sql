-- One row per article of the catalogue, there from the first night.
select sku as product_id, title as name, category, department, brand, list_price as price, _file, _row, _night
from catalogue
