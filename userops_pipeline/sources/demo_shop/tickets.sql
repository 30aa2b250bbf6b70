-- One row per support contact and night something became of it.
select
    id as ticket_id,
    "user" as user_id,
    channel,
    opened as opened_at,
    first_reply as first_reply_at,
    resolved as resolved_at,
    outcome,
    satisfaction,
    _file,
    _row,
    _night
from tickets
