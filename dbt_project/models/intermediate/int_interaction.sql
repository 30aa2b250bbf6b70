{{ windowed("acted_on", start="facts_from") }}

with
    clock as (select as_of, facts_from from {{ ref("int_clock") }}),
    contents as (select content_id, user_id, kind, topic, parent_id, created_on from {{ ref("int_content") }}),
    events as (
        select event_id, user_id, content_id, event_on
        from {{ ref("int_event") }}
        where
            event_name = 'follow'
            and content_id is not null
            and user_id is not null
            and event_on >= (select facts_from from clock)
    ),
    devices as (
        select device_user.device_id, coalesce(merges.survivor_id, device_user.user_id) as user_id, device_user.from_on
        from {{ ref("int_device_user") }} as device_user
        left join {{ ref("int_user_merge") }} as merges on device_user.user_id = merges.user_id
    ),
    exclusions as (select subject_id as user_id, from_on, to_on from {{ ref("int_exclusion") }} where subject = 'user'),

    acts as (
        select content_id as act_id, user_id, parent_id, kind, created_on as acted_on
        from contents
        where kind <> 'post' and parent_id is not null and created_on >= (select facts_from from clock)
        union all
        select event_id as act_id, user_id, content_id as parent_id, 'follow' as kind, event_on as acted_on
        from events
    ),
    {#- Nothing is answered before it is written; a date the other way round is a wrong clock. -#}
    received as (
        select owners.user_id as owner_id, acts.user_id, acts.acted_on, acts.kind, owners.topic, count(*) as act_count
        from acts
        inner join contents as owners on acts.parent_id = owners.content_id and owners.created_on <= acts.acted_on
        where owners.user_id <> acts.user_id and acts.acted_on <= (select as_of from clock)
        group by owners.user_id, acts.user_id, acts.acted_on, acts.kind, owners.topic
    ),
    pairs as (select distinct owner_id, user_id from received),
    shared as (
        select pairs.owner_id, pairs.user_id, min(greatest(owned.from_on, used.from_on)) as shared_on
        from pairs
        inner join devices as owned on pairs.owner_id = owned.user_id
        inner join devices as used on pairs.user_id = used.user_id and owned.device_id = used.device_id
        group by pairs.owner_id, pairs.user_id
    )

select
    received.owner_id,
    received.user_id,
    received.acted_on,
    received.kind,
    received.topic,
    received.act_count,
    coalesce(shared.shared_on <= received.acted_on, false) as is_shared_device
from received
left join shared on received.owner_id = shared.owner_id and received.user_id = shared.user_id
left join
    exclusions
    on received.user_id = exclusions.user_id
    and received.acted_on >= exclusions.from_on
    and received.acted_on < coalesce(exclusions.to_on, {{ no_end() }})
where exclusions.user_id is null
