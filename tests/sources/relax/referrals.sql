-- One row per user who came by an invitation, when they signed up. 222 name themselves, and 457 somebody who signed
-- up later: kept, as the file has it.
with signed_up as (select *, try_strptime(creation_time, '%d-%m-%Y %H:%M') as created_at from users_file)
select
    object_id as referral_id,
    invited_by_user_id as inviter_id,
    object_id as invitee_id,
    'follow' as step,
    coalesce(cast(created_at as varchar), creation_time) as step_at,
    _file,
    _row,
    night(created_at) as _night
from signed_up
where invited_by_user_id is not null
