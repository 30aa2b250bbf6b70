-- One row per event; an export has no id for it, user, time and name are one.
select
    user_pseudo_id || '-' || event_timestamp || '-' || event_name as event_id,
    user_pseudo_id as device_id,
    cast(make_timestamp(cast(event_timestamp as bigint)) as varchar) as event_at,
    case event_name
        when 'page_view' then 'view' when 'view_item' then 'detail' when 'view_item_list' then 'list' when 'add_to_cart' then 'cart'
        when 'begin_checkout' then 'checkout' when 'purchase' then 'pay' when 'view_search_results' then 'search'
        when 'user_engagement' then 'heartbeat' else event_name
    end as event_name,
    regexp_extract(cast(event_params as varchar), 'page_location[^h]*(https?://[^''"?, ]*)', 1) as page,
    _file,
    _row,
    strftime(make_timestamp(cast(event_timestamp as bigint)), '%Y-%m-%d') as _night
from events
