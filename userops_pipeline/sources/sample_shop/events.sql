-- One row per event of the app.
select
    id as event_id,
    user_no as user_id,
    device as device_id,
    "at" as event_at,
    name as event_name,
    page,
    sku as product_id,
    props as properties,
    _file,
    _row,
    _night
from app_events
