-- Every user of a night lies in exactly one spell of the history, and that spell carries the night's stage.
with
    nights as (select user_id, night_on, stage from {{ ref("int_user_ladder") }}),
    history as (select user_id, stage, from_on, to_on from {{ ref("user_lifecycle_history") }})

    {{ nights_not_in_one_spell("nights", "history", "stage") }}
