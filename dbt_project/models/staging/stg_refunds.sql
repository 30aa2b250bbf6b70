{{ conformed("refunds", at="refunded_at") }}
