-- One row per follower, on the night the account first knew them.
select id as user_id, since as registered_at, source as channel, gender, _file, _row, left(since, 10) as _night
from followers
