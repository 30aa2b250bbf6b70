-- One row per line of the agents' sheet.
select
    "user" as user_id,
    tag,
    agent as author,
    said as tagged_at,
    action,
    expires as expires_on,
    sure as confidence,
    why as note,
    _file,
    _row,
    _night
from manual_tags
