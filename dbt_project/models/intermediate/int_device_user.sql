{{ windowed("from_on", start="facts_from") }}

with
    clock as (select as_of, first_on, facts_from, business_zone from {{ ref("int_clock") }}),
    seen as (
        select device_id, user_id, event_at as seen_at, event_on as seen_on
        from {{ ref("stg_events") }}
        where
            device_id is not null
            and user_id is not null
            and not coalesce(is_bot, false)
            and event_on >= (select facts_from from clock)
    ),
    delivered as (
        select
            raw.device_id,
            raw.user_id,
            case
                when raw.arrived_on > clock.first_on
                then
                    greatest(
                        raw.first_seen_at, cast({{ days_after("raw.arrived_on", -1 * stitch_days()) }} as timestamp)
                    )
                else raw.first_seen_at
            end as seen_at,
            row_number() over (
                partition by raw.device_id, raw.user_id
                order by raw.arrived_on, raw.first_seen_at, raw.source_row, raw.source_name, raw.source_file
            ) as version_rank
        from {{ source("raw", "identities") }} as raw
        cross join clock
        where raw.arrived_on <= clock.as_of
    ),
    declared as (
        select
            delivered.device_id,
            delivered.user_id,
            delivered.seen_at,
            {{ business_date("delivered.seen_at", "clock.business_zone") }} as seen_on
        from delivered
        cross join clock
        where delivered.version_rank = 1
    ),
    sightings as (
        select device_id, user_id, seen_at, seen_on
        from seen
        union all
        select device_id, user_id, seen_at, seen_on
        from declared
        where seen_on >= (select facts_from from clock)
    ),
    -- Nearly every day of a device has one user, of whom the first sighting says it all; only the others are put in
    -- order row by row.
    days as (
        select device_id, seen_on, user_id, min(seen_at) as seen_at from sightings group by device_id, seen_on, user_id
    ),
    shared_days as (select device_id, seen_on from days group by device_id, seen_on having count(*) > 1),
    points as (
        select days.device_id, days.user_id, days.seen_at, days.seen_on
        from days
        left join shared_days on days.device_id = shared_days.device_id and days.seen_on = shared_days.seen_on
        where shared_days.device_id is null
        union all
        select sightings.device_id, sightings.user_id, sightings.seen_at, sightings.seen_on
        from sightings
        inner join
            shared_days on sightings.device_id = shared_days.device_id and sightings.seen_on = shared_days.seen_on
        {%- if is_incremental() %}
            union all
            select device_id, user_id, from_at as seen_at, from_on as seen_on
            from {{ this }}
            where from_on < (select facts_from from clock)
        {%- endif %}
    ),
    ordered as (
        select
            device_id,
            user_id,
            seen_at,
            seen_on,
            lag(user_id) over (partition by device_id order by seen_at, user_id) as previous_user_id
        from points
    )

select device_id, user_id, seen_at as from_at, seen_on as from_on
from ordered
where previous_user_id is distinct from user_id and seen_on >= (select facts_from from clock)
