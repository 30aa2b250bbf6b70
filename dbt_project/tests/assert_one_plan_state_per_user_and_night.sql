-- Every user of a night lies in exactly one spell of the plan history, which carries the night's state; what passed
-- from state to state
-- adds up to the users of as_of, and nobody passes on from a state more often than it was entered.
with
    tonight as (select night_on from {{ ref("int_night") }} where is_as_of),
    states as (select user_id, night_on, plan_state from {{ ref("int_user_ladder") }}),
    history as (select user_id, plan_state, from_on, to_on from {{ ref("user_plan_history") }}),
    passages as (select from_plan_state, to_plan_state, user_count from {{ ref("plan_transitions_daily") }}),
    moves as (
        select to_plan_state as plan_state, user_count
        from passages
        union all
        select from_plan_state as plan_state, - user_count as user_count
        from passages
    ),
    counted as (select plan_state, sum(user_count) as user_count from moves group by plan_state),
    present as (
        select states.plan_state, count(*) as user_count
        from states
        inner join tonight on states.night_on = tonight.night_on
        group by states.plan_state
    ),
    conversions as (
        select from_plan_state, max(entered_count) as entered_count, sum(passed_count) as passed_count
        from {{ ref("plan_conversions") }}
        group by from_plan_state
    )

    {{ nights_not_in_one_spell("states", "history", "plan_state") }}
union all
select coalesce(counted.plan_state, present.plan_state) as subject
from counted
full outer join present on counted.plan_state = present.plan_state
where
    coalesce(counted.plan_state, '') <> {{ outside() }}
    and coalesce(counted.user_count, 0) <> coalesce(present.user_count, 0)
union all
select from_plan_state as subject
from conversions
where passed_count > entered_count
