-- One row per line an agent wrote into the shared sheet.
select
    user_no as user_id,
    tag,
    agent as author,
    said as tagged_at,
    action,
    until as expires_on,
    sure as confidence,
    why as note,
    _file,
    _row,
    left(said, 10) as _night
from agent_tags
