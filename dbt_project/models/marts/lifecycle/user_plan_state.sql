with
    history as (select user_id, plan_state, from_on, to_on, days from {{ ref("user_plan_history") }}),
    {{ present_spells("history", "plan_state") }}

select
    user_id,
    plan_state,
    {{ state_label("plan_state", "plan_state") }} as label,
    since_on,
    days_in_state,
    previous_state as previous_plan_state
from present_spells
