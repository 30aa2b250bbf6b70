{{ conformed("order_items", at="ordered_at") }}
