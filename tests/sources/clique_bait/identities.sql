-- One row per cookie and its user.
select cookie_id as device_id, user_id, start_date as first_seen_at, _file, _row, left(start_date, 10) as _night
from cookies
