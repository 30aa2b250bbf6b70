{{ conformed("manual_tags", at="tagged_at") }}
