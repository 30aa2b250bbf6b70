{{ conformed("content", at="created_at") }}
