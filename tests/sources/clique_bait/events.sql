-- One row per event; an event has no id, its place in its visit is one.
select
    events.visit_id || '-' || events.sequence_number as event_id,
    events.cookie_id as device_id,
    events.visit_id,
    events.event_time as event_at,
    case events.event_type
        when '1' then 'view' when '2' then 'cart' when '3' then 'pay' when '4' then 'ad_impression' when '5' then 'click'
    end as event_name,
    pages.page_name as page,
    pages.product_id,
    events._file,
    events._row,
    left(events.event_time, 10) as _night
from events
left join pages on events.page_id = pages.page_id
