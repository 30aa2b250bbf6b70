{{ windowed("coalesce(to_on, cast('9999-12-31' as date))") }}

with
    clock as (select window_from, window_to from {{ ref("int_clock") }}),
    nights as (select user_id, night_on, rfm_group from {{ ref("int_user_rfm") }}),
    {{ spells("nights", "rfm_group") }}

select user_id, rfm_group, from_on, to_on, days
from spells
