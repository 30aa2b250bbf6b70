-- One row per support contact, on the night it was closed.
select
    id as ticket_id,
    "user" as user_id,
    'in_app' as channel,
    opened as opened_at,
    answered as first_reply_at,
    closed as resolved_at,
    score as satisfaction,
    _file,
    _row,
    left(closed, 10) as _night
from tickets
