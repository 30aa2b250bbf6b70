with
    contents as (select content_id, user_id, kind, topic, parent_id, created_on from {{ ref("stg_content") }}),
    merges as (select user_id, survivor_id from {{ ref("int_user_merge") }})

select
    contents.content_id,
    coalesce(merges.survivor_id, contents.user_id) as user_id,
    contents.kind,
    contents.topic,
    contents.parent_id,
    contents.created_on
from contents
left join merges on contents.user_id = merges.user_id
