{{ windowed("night_on") }}

with
    clock as (select window_from from {{ ref("int_clock") }}),
    spells as (select user_id, plan_state, from_on, to_on, days from {{ ref("user_plan_history") }}),
    {{ transitions("spells", "plan_state") }}

select night_on, from_plan_state, to_plan_state, user_count, median_days
from transitions
