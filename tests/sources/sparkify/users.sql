-- One row per user and night, as the last line of the night has it.
select
    "userId" as user_id,
    cast(make_timestamp(cast(cast(max(registration) as double) as bigint) * 1000) as varchar) as registered_at,
    case max(gender) when 'F' then 'female' when 'M' then 'male' end as gender,
    max_by(location, ts) as region,
    max_by(level, ts) as plan,
    min(_file) as _file,
    min(cast(_row as bigint)) as _row,
    _night
from logs
where "userId" <> ''
group by "userId", _night
