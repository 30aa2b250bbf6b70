{{ conformed("campaigns") }}
