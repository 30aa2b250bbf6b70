{{ conformed("suppressions") }}
