-- One row per subscription and night on which billing told something new of it; the last one counts.
select
    id as subscription_id,
    "user" as user_id,
    plan,
    unit as period_unit,
    "count" as period_count,
    price,
    'CNY' as currency,
    started as started_at,
    trial_ends as trial_ends_at,
    renews as renews_at,
    cancelled as cancelled_at,
    ended as ended_at,
    _file,
    _row,
    told as _night
from subscriptions
