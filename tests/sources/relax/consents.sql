-- One row per user: the mailing-list box. When it was ticked is not told; sign-up is the only time the file has.
-- enabled_for_marketing_drip is a setting of the sender, no word of the user.
with signed_up as (select *, try_strptime(creation_time, '%d-%m-%Y %H:%M') as created_at from users_file)
select
    object_id as user_id,
    email as contact_point,
    'email' as channel,
    'marketing' as purpose,
    case
        opted_in_to_mailing_list
        when '1'
        then 'subscribed'
        when '0'
        then 'did_not_subscribe'
        else opted_in_to_mailing_list
    end as state,
    'mailing-list box of the account' as basis,
    coalesce(cast(created_at as varchar), creation_time) as changed_at,
    _file,
    _row,
    night(created_at) as _night
from signed_up
