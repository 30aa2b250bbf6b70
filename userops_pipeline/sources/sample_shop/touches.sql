-- One row per message of the campaign tool.
select
    message_id as touch_id,
    user_no as user_id,
    campaign as campaign_id,
    channel,
    variant,
    sent as sent_at,
    delivered as delivered_at,
    opened as opened_at,
    clicked as clicked_at,
    unsubscribed as unsubscribed_at,
    _file,
    _row,
    left(sent, 10) as _night
from messages
