-- One row per customer and drop with a purchase; the first drop wins (known_keys: skip). Who bought is who registered.
with
    sightings as (
        select
            customer_id as user_id,
            purchased_on as registered_at,
            row_number() over (partition by _night, customer_id order by purchased_on, _file, _row) as sighting,
            _file,
            _row,
            _night
        from purchases
    )
select user_id, registered_at, _file, _row, _night
from sightings
where sighting = 1
