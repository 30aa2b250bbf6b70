-- One row per yes or no to letters; the basis is what the shop recorded.
select
    "user" as user_id,
    email as contact_point,
    'email' as channel,
    'marketing' as purpose,
    state,
    'asked at sign-up' as basis,
    "at" as changed_at,
    _file,
    _row,
    left("at", 10) as _night
from consents
