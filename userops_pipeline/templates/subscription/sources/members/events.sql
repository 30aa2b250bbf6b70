-- One row per thing done in the app; opening it is a view, the rest keeps its name.
select
    id as event_id,
    "user" as user_id,
    device as device_id,
    "at" as event_at,
    case what when 'open' then 'view' else what end as event_name,
    _file,
    _row,
    left("at", 10) as _night
from events
