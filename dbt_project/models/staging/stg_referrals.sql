{{ conformed("referrals", at="step_at") }}
