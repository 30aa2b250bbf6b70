-- One row per user, on the day of the first cookie.
select user_id, min(start_date) as registered_at, min(_file) as _file, min(cast(_row as bigint)) as _row, left(min(start_date), 10) as _night
from cookies
group by user_id
