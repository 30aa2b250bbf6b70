-- Users inside a paid period whom a table calls lost all the same; where churn is silence of another kind, a payer
-- may be silent.
select profile.user_id
from {{ ref("user_profile") }} as profile
inner join {{ ref("user_churn_risk") }} as risk on profile.user_id = risk.user_id
where
    profile.is_paid_up
    and (
        {% if churn_rules()["risk"]["activity"] == "purchase" %}
            risk.has_churned or risk.band in ('overdue', 'churned') or
        {% endif %}
        profile.stage in ('lapsed', 'churned') or profile.plan_state = 'lapsed_paid'
    )
