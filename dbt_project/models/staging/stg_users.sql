{{ conformed("users") }}
