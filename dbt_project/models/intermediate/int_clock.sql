with
    clock as (
        select
            as_of, window_from, first_on, business_zone, facts_from_at, rows_from, rows_from_at, nights_from, nights_to
        from {{ source("run", "clock") }}
    )

select
    as_of,
    greatest(nights_from, first_on) as window_from,
    nights_to as window_to,
    first_on,
    window_from as facts_from,
    facts_from_at,
    rows_from,
    rows_from_at,
    case
        when window_from = cast('0001-01-01' as date) then window_from else {{ days_after("window_from", -1) }}
    end as sessions_from,
    business_zone
from clock
