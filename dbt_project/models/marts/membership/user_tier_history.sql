{{ windowed("coalesce(to_on, cast('9999-12-31' as date))") }}

with
    clock as (select window_from, window_to from {{ ref("int_clock") }}),
    nights as (select user_id, night_on, tier from {{ ref("int_user_ladder") }}),
    {{ spells("nights", "tier") }}

select user_id, tier, from_on, to_on, days
from spells
