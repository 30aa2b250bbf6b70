{{ config(materialized="table") }}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    spoken as (
        select user_id, tag, author, tagged_at, tagged_on, action, expires_on, confidence
        from {{ ref("stg_manual_tags") }}
        where tagged_on <= (select as_of from clock)
    ),
    merges as (select user_id, survivor_id from {{ ref("int_user_merge") }}),
    words as (
        select
            coalesce(merges.survivor_id, spoken.user_id) as user_id,
            spoken.user_id as tagged_user_id,
            spoken.tag,
            spoken.author,
            spoken.tagged_at,
            spoken.tagged_on,
            coalesce(spoken.action, 'add') <> 'remove' as is_carried,
            spoken.expires_on,
            spoken.confidence
        from spoken
        left join merges on spoken.user_id = merges.user_id
    ),

    {#- A word counts until the next one on the same tag, whoever says it; the last of a day is the day's. -#}
    followed as (
        select
            user_id,
            tagged_user_id,
            tag,
            author,
            tagged_at,
            tagged_on,
            is_carried,
            expires_on,
            confidence,
            lead(tagged_on) over (partition by user_id, tag order by tagged_at, author, tagged_user_id) as replaced_on
        from words
    )

select
    user_id,
    tagged_user_id,
    tag,
    author,
    tagged_at,
    is_carried,
    confidence,
    expires_on,
    replaced_on,
    tagged_on as from_on,
    least(coalesce(replaced_on, expires_on), coalesce(expires_on, replaced_on)) as to_on
from followed
