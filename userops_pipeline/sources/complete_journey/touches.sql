-- One row per targeted household and campaign. The mailing date is not in the data; the campaign's first day stands
-- for it.
select
    targeting.campaign_id || '-' || targeting.household_id as touch_id,
    targeting.household_id as user_id,
    targeting.campaign_id,
    'postal' as channel,
    utc(description.start_date) as sent_at,
    targeting._file,
    targeting._row,
    description.start_date as _night
from campaigns as targeting
left join campaign_descriptions as description using (campaign_id)
