{#-
    The one rule of who may be contacted. Delivery renders this very text over the newest rows of the lake before it sends, and gives it
    nothing but source() and the clock: no macro, no other model, no config in here.
-#}
with recursive
    clock as (select as_of from {{ ref("int_clock") }}),
    words as (
        select
            user_id,
            channel,
            purpose,
            lower(trim(contact_point)) as point,
            state,
            changed_at,
            -- Of two words of one instant the stricter holds, whichever came first; a state nobody knows is as strict
            -- as any.
            row_number() over (
                partition by user_id, channel, purpose, lower(trim(contact_point))
                order by changed_at desc, case state when 'subscribed' then 2 when 'did_not_subscribe' then 1 else 0 end
            ) as word_rank
        from {{ source("raw", "consents") }}
        where arrived_on <= (select as_of from clock)
    ),
    entries as (
        select
            user_id,
            lower(trim(contact_point)) as point,
            channel,
            purpose,
            said_at,
            case
                when reason in ('unsubscribed', 'complained', 'bounced', 'unreadable') then reason else 'suppressed'
            end as reason,
            -- An id means something in its own source only: two tools may count from one.
            row_number() over (
                partition by source_name, suppression_id order by arrived_on desc, source_row desc, source_file desc
            ) as version_rank
        from {{ source("raw", "suppressions") }}
        where arrived_on <= (select as_of from clock)
    ),
    known as (select user_id from {{ source("raw", "users") }} where arrived_on <= (select as_of from clock)),
    -- Few are ever merged or excluded: the versions of nobody else are put in order.
    marked as (
        select user_id
        from {{ source("raw", "users") }}
        where (merged_into is not null or excluded_as is not null) and arrived_on <= (select as_of from clock)
    ),
    versions as (
        select
            user_id,
            merged_into,
            excluded_as,
            row_number() over (
                partition by user_id order by arrived_on desc, source_row desc, source_name desc, source_file desc
            ) as version_rank
        from {{ source("raw", "users") }}
        where arrived_on <= (select as_of from clock) and user_id in (select user_id from marked)
    ),

    -- The accounts of one person go by the account that their merges end in; of a circle, by the first of its ids.
    merges as (
        select user_id, merged_into
        from versions
        where version_rank = 1 and merged_into is not null and merged_into <> user_id
    ),
    steps as (
        select user_id, merged_into as reached_id, 1 as depth
        from merges
        union all
        select steps.user_id, merges.merged_into as reached_id, steps.depth + 1 as depth
        from steps
        inner join merges on steps.reached_id = merges.user_id
        where steps.depth < 20
    ),
    reached as (select distinct user_id, reached_id from steps),
    circular as (select user_id from reached where user_id = reached_id),
    persons as (
        select
            reached.user_id,
            coalesce(
                max(case when merges.user_id is null then reached.reached_id end),
                min(case when circular.user_id is not null then reached.reached_id end),
                reached.user_id
            ) as person_id
        from reached
        left join merges on reached.reached_id = merges.user_id
        left join circular on reached.reached_id = circular.user_id
        group by reached.user_id
    ),
    excluded as (
        select user_id
        from versions
        where version_rank = 1 and excluded_as is not null
        union all
        select merges.user_id
        from merges
        inner join persons on merges.user_id = persons.user_id
        where persons.person_id <> merges.user_id and merges.merged_into in (select user_id from known)
    ),

    grants as (
        select
            words.user_id,
            coalesce(persons.person_id, words.user_id) as person_id,
            words.channel,
            words.purpose,
            words.point,
            words.changed_at as granted_at
        from words
        left join persons on words.user_id = persons.user_id
        where words.word_rank = 1 and words.state = 'subscribed'
    ),
    withdrawals as (
        select user_id, channel, purpose, point
        from words
        where word_rank = 1 and coalesce(state, '') not in ('subscribed', 'did_not_subscribe')
    ),
    scopes as (select distinct channel, purpose from grants),
    -- A message that could not be delivered says something of its address, nothing of the person.
    stops as (
        select
            case
                when entries.reason = 'bounced' and entries.point is not null
                then cast(null as string)
                else coalesce(persons.person_id, entries.user_id)
            end as person_id,
            entries.point,
            entries.channel,
            entries.purpose,
            entries.said_at,
            entries.reason
        from entries
        left join persons on entries.user_id = persons.user_id
        where entries.version_rank = 1
    ),
    -- Where channel or purpose are left open, every one is meant: there are few of them, so this is no large join.
    scoped as (
        select stops.person_id, stops.point, scopes.channel, scopes.purpose, stops.said_at, stops.reason
        from stops
        inner join
            scopes
            on coalesce(stops.channel, scopes.channel) = scopes.channel
            and coalesce(stops.purpose, scopes.purpose) = scopes.purpose
    ),

    -- Each kind of match is a join of its own, over one row per key and reason with the last time it was said:
    -- nothing multiplies.
    person_stops as (
        select
            person_id,
            channel,
            purpose,
            reason,
            max(coalesce(said_at, cast('9999-12-31 00:00:00' as timestamp))) as said_at
        from scoped
        where person_id is not null
        group by person_id, channel, purpose, reason
    ),
    -- What a person said of an address only that person takes back, as with consents: who shares it cannot.
    person_points as (
        select scoped.point, scoped.channel, scoped.purpose, scoped.reason
        from scoped
        where
            scoped.person_id is not null
            and scoped.point is not null
            and not exists (
                select 1
                from grants
                where
                    grants.person_id = scoped.person_id
                    and grants.channel = scoped.channel
                    and grants.purpose = scoped.purpose
                    and grants.point = scoped.point
                    and grants.granted_at > scoped.said_at
            )
    ),
    point_words as (
        select point, channel, purpose, reason, cast('9999-12-31 00:00:00' as timestamp) as said_at
        from person_points
        union all
        select point, channel, purpose, reason, coalesce(said_at, cast('9999-12-31 00:00:00' as timestamp)) as said_at
        from scoped
        where point is not null
        union all
        select point, channel, purpose, 'withdrawn' as reason, cast('9999-12-31 00:00:00' as timestamp) as said_at
        from withdrawals
    ),
    point_stops as (
        select point, channel, purpose, reason, max(said_at) as said_at
        from point_words
        group by point, channel, purpose, reason
    ),
    everyone_stops as (
        select channel, purpose, reason, max(coalesce(said_at, cast('9999-12-31 00:00:00' as timestamp))) as said_at
        from scoped
        where person_id is null and point is null
        group by channel, purpose, reason
    ),

    stopped as (
        select grants.user_id, grants.channel, grants.purpose, grants.point, person_stops.reason
        from grants
        inner join
            person_stops
            on grants.person_id = person_stops.person_id
            and grants.channel = person_stops.channel
            and grants.purpose = person_stops.purpose
        where grants.granted_at <= person_stops.said_at
        union all
        select grants.user_id, grants.channel, grants.purpose, grants.point, point_stops.reason
        from grants
        inner join
            point_stops
            on grants.point = point_stops.point
            and grants.channel = point_stops.channel
            and grants.purpose = point_stops.purpose
        where grants.granted_at <= point_stops.said_at
        union all
        select grants.user_id, grants.channel, grants.purpose, grants.point, everyone_stops.reason
        from grants
        inner join everyone_stops on grants.channel = everyone_stops.channel and grants.purpose = everyone_stops.purpose
        where grants.granted_at <= everyone_stops.said_at
        union all
        select user_id, channel, purpose, point, 'excluded' as reason
        from grants
        where user_id in (select user_id from excluded)
    ),
    -- One reason is named: the person's own words before what others say.
    named as (
        select
            user_id,
            channel,
            purpose,
            point,
            min_by(
                reason,
                case
                    reason
                    when 'withdrawn'
                    then 1
                    when 'unsubscribed'
                    then 2
                    when 'complained'
                    then 3
                    when 'unreadable'
                    then 4
                    when 'suppressed'
                    then 5
                    when 'bounced'
                    then 6
                    else 7
                end
            ) as stopped_by
        from stopped
        group by user_id, channel, purpose, point
    )

select grants.user_id, grants.channel, grants.purpose, grants.point, grants.granted_at, named.stopped_by
from grants
left join
    named
    on grants.user_id = named.user_id
    and grants.channel = named.channel
    and grants.purpose = named.purpose
    and grants.point = named.point
union all
select user_id, channel, purpose, point, cast(null as timestamp) as granted_at, 'withdrawn' as stopped_by
from withdrawals
