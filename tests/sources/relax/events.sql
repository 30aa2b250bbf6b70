-- One row per user and day with a login (visited is always 1). The file knows days alone: each counts as the
-- beginning of its day.
select
    user_id || '-' || time_stamp as event_id,
    user_id,
    time_stamp as event_at,
    'login' as event_name,
    _file,
    _row,
    night(time_stamp) as _night
from engagement
