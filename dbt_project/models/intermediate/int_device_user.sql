{{ windowed("from_on", start="facts_from") }}

with
    clock as (select as_of, first_on, facts_from, business_zone from {{ ref("int_clock") }}),
    seen as (
        select device_id, user_id, event_at as seen_at, event_on as seen_on
        from {{ ref("stg_events") }}
        where device_id is not null and user_id is not null and not coalesce(is_bot, false)
    ),
    links as (
        select
            raw.device_id,
            raw.user_id,
            raw.arrived_on,
            raw.first_seen_at,
            case
                when raw.arrived_on > clock.first_on
                then
                    greatest(
                        raw.first_seen_at, cast({{ days_after("raw.arrived_on", -1 * stitch_days()) }} as timestamp)
                    )
                else raw.first_seen_at
            end as seen_at,
            raw.source_row,
            raw.source_name,
            raw.source_file
        from {{ source("raw", "identities") }} as raw
        cross join clock
        where
            raw.arrived_on <= clock.as_of
            -- Nothing else can be a sighting in the window, whatever the zone.
            and (
                raw.arrived_on >= clock.facts_from
                or cast(raw.first_seen_at as date) >= {{ days_after("clock.facts_from", -1) }}
            )
    ),
    ranked as (
        select
            links.device_id,
            links.user_id,
            links.arrived_on,
            links.first_seen_at,
            links.seen_at,
            {{ business_date("links.seen_at", "clock.business_zone") }} as seen_on,
            row_number() over (
                partition by links.device_id, links.user_id
                order by links.arrived_on, links.first_seen_at, links.source_row, links.source_name, links.source_file
            ) as version_rank
        from links
        cross join clock
    ),
    firsts as (
        select device_id, user_id, arrived_on, first_seen_at, seen_at, seen_on
        from ranked
        where version_rank = 1 and seen_on >= (select facts_from from clock)
    ),
    declared as (
        select device_id, user_id, seen_at, seen_on
        from firsts
        {%- if is_incremental() %}
            -- Shops deliver a link again and again; of these the first delivery lies before the window.
            where
                not exists (
                    select 1
                    from {{ source("raw", "identities") }} as earlier
                    where
                        earlier.device_id = firsts.device_id
                        and earlier.user_id = firsts.user_id
                        and (
                            earlier.arrived_on < firsts.arrived_on
                            or (earlier.arrived_on = firsts.arrived_on and earlier.first_seen_at < firsts.first_seen_at)
                        )
                )
        {%- endif %}
    ),
    sightings as (
        select device_id, user_id, seen_at, seen_on
        from seen
        union all
        select device_id, user_id, seen_at, seen_on
        from declared
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
            where from_on < (select facts_from from clock) and device_id in (select device_id from days)
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
