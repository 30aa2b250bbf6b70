-- One row per user record: new users, and users whose profile changed.
select
    user_id,
    registered_at,
    name,
    email,
    phone,
    gender,
    birth_date,
    region,
    city_tier,
    language,
    channel,
    plan,
    trial_ends_on,
    excluded_as,
    merged_into,
    _file,
    _row,
    _night
from users
