{{ conformed("products") }}
