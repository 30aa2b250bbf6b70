-- One row per member, on the night they joined.
select
    id as user_id,
    joined as registered_at,
    channel,
    email,
    nullif(sex, '') as gender,
    _file,
    _row,
    left(joined, 10) as _night
from users
