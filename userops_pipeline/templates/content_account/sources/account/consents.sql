-- One row per yes or no to messages of the account; the contact point is the follower's own inbox.
select
    who as user_id,
    'inbox:' || who as contact_point,
    'in_app' as channel,
    'marketing' as purpose,
    state,
    'follows the account' as basis,
    "at" as changed_at,
    _file,
    _row,
    left("at", 10) as _night
from consents
