{{ windowed("started_on", start="sessions_from") }}

with
    clock as (select sessions_from from {{ ref("int_clock") }}),
    sessions as (
        select
            started_on,
            user_id,
            device_id,
            event_count,
            view_count,
            has_cart,
            has_checkout,
            has_pay,
            is_engaged,
            duration_seconds,
            heartbeat_seconds
        from {{ ref("int_sessions") }}
        where started_on >= (select sessions_from from clock)
    )

select
    started_on,
    cast(count(*) as bigint) as session_count,
    cast(sum(case when user_id is null then 1 else 0 end) as bigint) as anonymous_session_count,
    cast(count(distinct user_id) as bigint) as user_count,
    cast(count(distinct device_id) as bigint) as device_count,
    cast(sum(case when is_engaged then 1 else 0 end) as bigint) as engaged_session_count,
    cast(sum(case when view_count = 1 then 1 else 0 end) as bigint) as single_view_session_count,
    cast(sum(case when has_cart then 1 else 0 end) as bigint) as cart_session_count,
    cast(sum(case when has_checkout then 1 else 0 end) as bigint) as checkout_session_count,
    cast(sum(case when has_pay then 1 else 0 end) as bigint) as pay_session_count,
    cast(sum(event_count) as bigint) as event_count,
    cast(sum(view_count) as bigint) as view_count,
    cast(sum(duration_seconds) as bigint) as duration_seconds,
    cast(sum(heartbeat_seconds) as bigint) as heartbeat_seconds
from sessions
group by started_on
