-- One row per activation, an event name of their own. Two are told from before the sign-up: kept, as the file has it.
select
    'activation of ' || user_id as event_id,
    user_id,
    activated_at as event_at,
    'activate' as event_name,
    _file,
    _row,
    night(activated_at) as _night
from users_file
where activated_at is not null
