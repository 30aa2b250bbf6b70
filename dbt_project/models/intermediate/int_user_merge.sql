{{ config(materialized="table") }}

with recursive
    users as (select user_id, merged_into from {{ ref("stg_users") }}),
    merges as (
        select users.user_id, users.merged_into
        from users
        inner join users as targets on users.merged_into = targets.user_id
        where users.merged_into <> users.user_id
    ),
    steps as (
        select user_id, merged_into as reached_id, 1 as depth
        from merges
        union all
        select steps.user_id, merges.merged_into as reached_id, steps.depth + 1 as depth
        from steps
        inner join merges on steps.reached_id = merges.user_id
        where steps.depth < {{ rules_of_int_user_merge()["longest_chain"] }}
    ),
    reached as (select distinct user_id, reached_id from steps),
    circular as (select user_id from reached where user_id = reached_id),
    judged as (
        select
            reached.user_id,
            max(case when merges.user_id is null then reached.reached_id end) as end_id,
            min(case when circular.user_id is not null then reached.reached_id end) as circle_id
        from reached
        left join merges on reached.reached_id = merges.user_id
        left join circular on reached.reached_id = circular.user_id
        group by reached.user_id
    )

select user_id, coalesce(end_id, circle_id) as survivor_id, end_id is null as is_circular
from judged
where coalesce(end_id, circle_id) <> user_id
