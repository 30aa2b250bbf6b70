-- One row per message, and a newer version where something came of it after midnight.
select
    touch_id,
    user_id,
    campaign_id,
    channel,
    variant,
    sent_at,
    delivered_at,
    opened_at,
    clicked_at,
    converted_at,
    unsubscribed_at,
    complained_at,
    _file,
    _row,
    _night
from touches
