-- One row per product. The file tells no time and no name: all are there from the first night on, under their
-- Portuguese category.
select product_id, product_category_name as category, _file, _row, null as _night from products_file
