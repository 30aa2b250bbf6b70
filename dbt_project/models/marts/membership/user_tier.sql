with
    history as (select user_id, tier, from_on, to_on, days from {{ ref("user_tier_history") }}),
    {{ present_spells("history", "tier") }}

select
    user_id,
    tier,
    {{ state_label("tier", "tier") }} as label,
    since_on,
    days_in_state as days_in_tier,
    previous_state as previous_tier
from present_spells
