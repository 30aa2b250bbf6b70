{{ conformed("assignments") }}
