-- One row per ticket. When it was opened is not told: it was open by its earliest time (one in two is resolved before
-- its first response: kept, as the file has it), and one that nobody has answered by the newest time of the file, when
-- it was made. Delays from opening mean nothing here.
with
    timed as (
        select
            *,
            try_strptime("First Response Time", '%m/%d/%Y %H:%M') as replied_at,
            try_strptime("Time to Resolution", '%m/%d/%Y %H:%M') as resolved_at,
            max(greatest(replied_at, resolved_at)) over () as made_at
        from tickets_file
    )
select
    "Ticket ID" as ticket_id,
    sha256(lower(trim("Customer Email"))) as user_id,
    lower("Ticket Channel") as channel,
    coalesce(least(replied_at, resolved_at), made_at) as opened_at,
    coalesce(cast(replied_at as varchar), "First Response Time") as first_reply_at,
    coalesce(cast(resolved_at as varchar), "Time to Resolution") as resolved_at,
    -- from 1 to 5 there, up to 10 in the contract
    case
        "Customer Satisfaction Rating"
        when '1'
        then '2'
        when '2'
        then '4'
        when '3'
        then '6'
        when '4'
        then '8'
        when '5'
        then '10'
        else "Customer Satisfaction Rating"
    end as satisfaction,
    _file,
    _row,
    night(coalesce(greatest(replied_at, resolved_at), made_at)) as _night
from timed
