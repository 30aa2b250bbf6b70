-- One row per paying member, on the night they became one; a month that nobody renewed has ended.
select
    id as subscription_id,
    who as user_id,
    plan,
    'month' as period_unit,
    months as period_count,
    price,
    'CNY' as currency,
    since as started_at,
    until as renews_at,
    _file,
    _row,
    left(since, 10) as _night
from members
