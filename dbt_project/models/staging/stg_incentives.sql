{{ conformed("incentives", at="issued_at") }}
