{{ conformed("feedback", at="given_at") }}
