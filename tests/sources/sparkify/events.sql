-- One row per line of the log; a line is known by its session, its place in it and its time, and has no user while logged out.
select
    "sessionId" || '-' || "itemInSession" || '-' || ts as event_id,
    nullif("userId", '') as user_id,
    'session ' || "sessionId" as device_id,
    cast(make_timestamp(cast(ts as bigint) * 1000) as varchar) as event_at,
    case page when 'NextSong' then 'song' when 'Login' then 'login' else 'view' end as event_name,
    page,
    song as content_id,
    artist as topic,
    _file,
    _row,
    _night
from logs
