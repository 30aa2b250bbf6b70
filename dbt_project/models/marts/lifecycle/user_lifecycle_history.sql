{{ windowed("coalesce(to_on, cast('9999-12-31' as date))") }}

with
    clock as (select window_from, window_to from {{ ref("int_clock") }}),
    nights as (select user_id, night_on, stage from {{ ref("int_user_ladder") }}),
    {{ spells("nights", "stage") }}

select user_id, stage, from_on, to_on, days
from spells
