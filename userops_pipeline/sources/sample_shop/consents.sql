-- One row per consent given or withdrawn; the basis is what the shop recorded, and a record without one is set aside.
select
    user_no as user_id,
    contact as contact_point,
    channel,
    purpose,
    state,
    basis,
    changed as changed_at,
    _file,
    _row,
    left(changed, 10) as _night
from consents
