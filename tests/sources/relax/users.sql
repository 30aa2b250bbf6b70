-- One row per user; sign-up times are written day first (22-04-2014 03:53). The way somebody came is the channel.
-- org_id is no attribute of the contract; last_session_creation_time repeats the last day of engagement.
with signed_up as (select *, try_strptime(creation_time, '%d-%m-%Y %H:%M') as created_at from users_file)
select
    object_id as user_id,
    coalesce(cast(created_at as varchar), creation_time) as registered_at,
    name,
    email,
    lower(creation_source) as channel,
    _file,
    _row,
    night(created_at) as _night
from signed_up
