{{ conformed("tickets", at="opened_at") }}
