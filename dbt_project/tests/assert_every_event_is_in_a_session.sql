-- The events of all sessions together are the events there are: none is lost at a midnight, none counts twice.
with
    events as (select count(*) as event_count from {{ ref("int_event") }}),
    sessions as (select coalesce(sum(event_count + heartbeat_count), 0) as event_count from {{ ref("int_sessions") }})

select events.event_count as events, sessions.event_count as in_sessions
from events
cross join sessions
where events.event_count <> sessions.event_count
