{{ conformed("touches", at="sent_at") }}
