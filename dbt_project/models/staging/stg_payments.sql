{{ conformed("payments", at="attempted_at") }}
