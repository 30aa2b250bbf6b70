-- One row per consent given or withdrawn, its contact point written as the contract writes it.
select
    user_id,
    case
        channel when 'email' then email(contact_point) when 'sms' then phone(contact_point) else contact_point
    end as contact_point,
    channel,
    purpose,
    state,
    basis,
    changed_at,
    _file,
    _row,
    _night
from consents
