{{ conformed("orders", at="ordered_at") }}
