with
    history as (select user_id, stage, from_on, to_on, days from {{ ref("user_lifecycle_history") }}),
    {{ present_spells("history", "stage") }}

select
    user_id,
    stage,
    {{ state_label("stage", "stage") }} as label,
    since_on,
    days_in_state as days_in_stage,
    previous_state as previous_stage
from present_spells
