-- One row per support contact, on the night of its last change.
select
    id as ticket_id,
    user_no as user_id,
    channel,
    opened as opened_at,
    first_reply as first_reply_at,
    resolved as resolved_at,
    outcome,
    satisfaction,
    _file,
    _row,
    left(coalesce(resolved, first_reply, opened), 10) as _night
from tickets
