{{ windowed("first_on", start="facts_from") }}

with
    clock as (select as_of, first_on, facts_from, business_zone from {{ ref("int_clock") }}),
    excluded as (select user_id from {{ ref("stg_users") }} where excluded_as is not null),
    users as (select user_id, known_from_on, known_to_on from {{ ref("int_user") }}),
    events as (
        select device_id, user_id, event_name, event_on
        from {{ ref("stg_events") }}
        where device_id is not null and not coalesce(is_bot, false) and event_on >= (select facts_from from clock)
    ),
    links as (
        select
            device_id,
            user_id,
            greatest(
                {{ business_date("identities.first_seen_at", "clock.business_zone") }},
                case when identities.arrived_on > clock.first_on then identities.arrived_on end
            ) as seen_on,
            identities.arrived_on
        from {{ source("raw", "identities") }} as identities
        cross join clock
        where identities.arrived_on <= clock.as_of
    ),

    {#- Where a device shows itself: in an event, or in a link to a user on the night it becomes known. -#}
    sightings as (
        select events.device_id, events.event_name, events.event_on as seen_on
        from events
        left join excluded on events.user_id = excluded.user_id
        where excluded.user_id is null
        union all
        select links.device_id, cast(null as string) as event_name, links.seen_on
        from links
        inner join
            users
            on links.user_id = users.user_id
            and greatest(links.seen_on, links.arrived_on) >= users.known_from_on
            and (users.known_to_on is null or greatest(links.seen_on, links.arrived_on) < users.known_to_on)
        where links.seen_on >= (select facts_from from clock)
    ),
    firsts as (
        select device_id, 'seen' as first_of, min(seen_on) as first_on
        from sightings
        group by device_id
        union all
        select device_id, 'installed' as first_of, min(seen_on) as first_on
        from sightings
        where event_name = 'install'
        group by device_id
    )
    {%- if is_incremental() %}
        , earlier as (select device_id, first_of from {{ this }} where first_on < (select facts_from from clock))
    {%- endif %}

select firsts.device_id, firsts.first_of, firsts.first_on
from firsts
{%- if is_incremental() %}
    left join earlier on firsts.device_id = earlier.device_id and firsts.first_of = earlier.first_of
{%- endif %}
where firsts.first_on <= (select as_of from clock) {%- if is_incremental() %} and earlier.device_id is null {%- endif %}
