{{ windowed("event_on", start="facts_from") }}

with
    clock as (select facts_from from {{ ref("int_clock") }}),
    events as (
        select
            event_id,
            user_id,
            device_id,
            event_at,
            event_on,
            event_name,
            page,
            product_id,
            merchant_id,
            content_id,
            topic,
            campaign_id,
            visit_id
        from {{ ref("stg_events") }}
        where not coalesce(is_bot, false)
    ),
    identities as (
        select device_id, user_id, from_at, to_at, stitched_from_on, change_number from {{ ref("int_identity") }}
    ),
    -- Of a device, each user from being seen on it to the next, and the first one for some days before.
    links as (
        select
            device_id,
            user_id,
            {{ no_beginning() }} as from_on,
            from_at,
            coalesce(to_at, cast({{ no_end() }} as timestamp)) as to_at,
            'device' as identified_by
        from identities
        union all
        select
            device_id,
            user_id,
            stitched_from_on as from_on,
            cast({{ no_beginning() }} as timestamp) as from_at,
            from_at as to_at,
            'stitched' as identified_by
        from identities
        where change_number = 1
    ),
    merges as (select user_id, survivor_id from {{ ref("int_user_merge") }}),
    excluded_users as (
        select subject_id as user_id, from_on, to_on from {{ ref("int_exclusion") }} where subject = 'user'
    ),
    excluded_devices as (
        select subject_id as device_id, from_on from {{ ref("int_exclusion") }} where subject = 'device'
    ),

    identified as (
        select
            events.event_id,
            coalesce(events.user_id, links.user_id) as user_id,
            events.device_id,
            events.event_at,
            events.event_on,
            events.event_name,
            events.page,
            events.product_id,
            events.merchant_id,
            events.content_id,
            events.topic,
            events.campaign_id,
            events.visit_id,
            case when events.user_id is not null then 'stated' else links.identified_by end as identified_by
        from events
        left join
            links
            on case when events.user_id is null then events.device_id end = links.device_id
            and events.event_on >= links.from_on
            and events.event_at >= links.from_at
            and events.event_at < links.to_at
    ),
    merged as (
        select
            identified.event_id,
            coalesce(merges.survivor_id, identified.user_id) as user_id,
            identified.device_id,
            identified.event_at,
            identified.event_on,
            identified.event_name,
            identified.page,
            identified.product_id,
            identified.merchant_id,
            identified.content_id,
            identified.topic,
            identified.campaign_id,
            identified.visit_id,
            identified.identified_by
        from identified
        left join merges on identified.user_id = merges.user_id
    )

select
    merged.event_id,
    merged.user_id,
    merged.device_id,
    merged.event_at,
    merged.event_on,
    merged.event_name,
    merged.page,
    merged.product_id,
    merged.merchant_id,
    merged.content_id,
    merged.topic,
    merged.campaign_id,
    merged.visit_id,
    merged.identified_by
from merged
left join
    excluded_users
    on merged.user_id = excluded_users.user_id
    and merged.event_on >= excluded_users.from_on
    and merged.event_on < coalesce(excluded_users.to_on, {{ no_end() }})
left join
    excluded_devices on merged.device_id = excluded_devices.device_id and merged.event_on >= excluded_devices.from_on
where excluded_users.user_id is null and excluded_devices.device_id is null
