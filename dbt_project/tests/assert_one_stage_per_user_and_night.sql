-- Every user of a night lies in exactly one spell of the history, and that spell carries the night's stage.
with
    states as (select user_id, night_on, stage from {{ ref("int_user_state") }}),
    spells as (select user_id, stage, from_on, to_on from {{ ref("user_lifecycle_history") }})

select states.user_id, states.night_on, count(spells.stage) as spell_count
from states
left join
    spells
    on states.user_id = spells.user_id
    and states.night_on >= spells.from_on
    and (spells.to_on is null or states.night_on < spells.to_on)
group by states.user_id, states.night_on, states.stage
having count(spells.stage) <> 1 or min(spells.stage) <> states.stage
