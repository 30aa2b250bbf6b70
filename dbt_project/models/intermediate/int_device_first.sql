{{ windowed("first_on", start="facts_from") }}

with
    clock as (select as_of, facts_from from {{ ref("int_clock") }}),
    events as (
        select device_id, event_name, event_on
        from {{ ref("int_event") }}
        where device_id is not null and event_on >= (select facts_from from clock)
    ),
    identities as (
        select device_id, user_id, from_on
        from {{ ref("int_identity") }}
        where from_on >= (select facts_from from clock)
    ),
    merges as (select user_id, survivor_id from {{ ref("int_user_merge") }}),
    excluded_users as (
        select subject_id as user_id, from_on, to_on from {{ ref("int_exclusion") }} where subject = 'user'
    ),
    excluded_devices as (
        select subject_id as device_id, from_on from {{ ref("int_exclusion") }} where subject = 'device'
    ),

    {#- A device may be known by a link alone. -#}
    linked as (
        select identities.device_id, coalesce(merges.survivor_id, identities.user_id) as user_id, identities.from_on
        from identities
        left join merges on identities.user_id = merges.user_id
    ),
    links as (
        select linked.device_id, linked.from_on
        from linked
        left join
            excluded_users
            on linked.user_id = excluded_users.user_id
            and linked.from_on >= excluded_users.from_on
            and linked.from_on < coalesce(excluded_users.to_on, {{ no_end() }})
        left join
            excluded_devices
            on linked.device_id = excluded_devices.device_id
            and linked.from_on >= excluded_devices.from_on
        where excluded_users.user_id is null and excluded_devices.device_id is null
    ),
    sightings as (
        select device_id, event_on as seen_on, case when event_name = 'install' then event_on end as installed_on
        from events
        union all
        select device_id, from_on as seen_on, cast(null as date) as installed_on
        from links
    ),
    devices as (
        select device_id, min(seen_on) as seen_on, min(installed_on) as installed_on from sightings group by device_id
    ),
    firsts as (
        select device_id, 'seen' as first_of, seen_on as first_on
        from devices
        union all
        select device_id, 'installed' as first_of, installed_on as first_on
        from devices
        where installed_on is not null
    )
    {%- if is_incremental() %}
        ,
        earlier as (
            select device_id, first_of
            from {{ this }}
            where first_on < (select facts_from from clock) and device_id in (select device_id from devices)
        )
    {%- endif %}

select firsts.device_id, firsts.first_of, firsts.first_on
from firsts
{%- if is_incremental() %}
    left join earlier on firsts.device_id = earlier.device_id and firsts.first_of = earlier.first_of
{%- endif %}
where firsts.first_on <= (select as_of from clock) {%- if is_incremental() %} and earlier.device_id is null {%- endif %}
