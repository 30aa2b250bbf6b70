{{ windowed("night_on") }}

with
    clock as (select window_from from {{ ref("int_clock") }}),
    spells as (select user_id, stage, from_on, to_on, days from {{ ref("user_lifecycle_history") }}),
    {{ transitions("spells", "stage") }}

select night_on, from_stage, to_stage, user_count, median_days
from transitions
