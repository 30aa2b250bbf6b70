-- One row per user record: new users, and users whose profile changed.
select
    user_no as user_id,
    registered as registered_at,
    nickname as name,
    email,
    mobile as phone,
    case sex when '男' then 'male' when '女' then 'female' end as gender,
    nullif(birthday, '0000-00-00') as birth_date,  -- how the shop's system writes an unknown birthday
    city as region,
    city_tier,
    'zh-CN' as language,
    channel,
    level as plan,
    case staff when '1' then 'internal' end as excluded_as,
    _file,
    _row,
    _night
from users
