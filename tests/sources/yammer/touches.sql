-- One row per e-mail sent. Opens and clicks name no message: they are of the last one sent to the user until then,
-- and of an e-mail the first of each counts.
with
    numbered as (
        select
            *,
            count(*) filter (where starts_with(action, 'sent_')) over (
                partition by user_id
                -- within a minute a message is sent, then opened, then clicked
                order by
                    occurred_at,
                    case when starts_with(action, 'sent_') then 1 when action = 'email_open' then 2 else 3 end,
                    action
                rows unbounded preceding
            ) as message
        from emails
    ),
    messages as (
        select
            user_id,
            message,
            min(occurred_at) filter (where starts_with(action, 'sent_')) as sent_at,
            min(action) filter (where starts_with(action, 'sent_')) as campaign_id,
            min(occurred_at) filter (where action = 'email_open') as opened_at,
            min(occurred_at) filter (where action = 'email_clickthrough') as clicked_at,
            min(_file) as _file,
            min(_row) as _row
        from numbered
        group by user_id, message
    )
select
    user_id || '-' || message as touch_id,
    user_id,
    campaign_id,
    'email' as channel,
    sent_at,
    opened_at,
    clicked_at,
    _file,
    _row,
    night(greatest(sent_at, opened_at, clicked_at)) as _night
from messages
