-- One row per event of the collector.
select
    event_id,
    user_id,
    device_id,
    event_at,
    event_name,
    page,
    product_id,
    merchant_id,
    content_id,
    topic,
    campaign_id,
    is_bot,
    properties,
    _file,
    _row,
    _night
from events
