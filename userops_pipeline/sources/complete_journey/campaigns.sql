-- One row per campaign, on its first day (those begun in 2016: on the first night).
select
    campaign_id,
    'Campaign ' || campaign_id as name,
    campaign_type,
    'postal' as channel,
    start_date as starts_on,
    end_date as ends_on,
    'coupon' as incentive,
    _file,
    _row,
    start_date as _night
from campaign_descriptions
