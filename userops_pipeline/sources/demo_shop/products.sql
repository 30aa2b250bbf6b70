-- One row per article and night its price changed; the whole catalogue comes on the first night.
select product_id, name, category, department, brand, spu as spu_id, price, _file, _row, _night from products
