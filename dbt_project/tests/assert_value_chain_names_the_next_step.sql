{#- Every user has every step of the value chain once, in order, and the tag names the first that is not done. -#}
with
    steps as (
        select
            user_id,
            count(*) as step_count,
            max(position) as last_position,
            count(case when is_next then 1 end) as next_count,
            count(case when not is_done then 1 end) as open_count,
            min(case when not is_done then position end) as first_open,
            max(case when is_next then position end) as next_position,
            max(case when is_next then step end) as next_step
        from {{ ref("value_chain_progress") }}
        group by user_id
    ),
    tags as (select user_id, next_key_behaviour from {{ ref("user_tags") }})

select tags.user_id, steps.next_step, tags.next_key_behaviour
from tags
left join steps on tags.user_id = steps.user_id
where
    coalesce(steps.step_count, 0) <> {{ value_chain() | length }}
    or coalesce(steps.last_position, 0) <> {{ value_chain() | length }}
    or coalesce(steps.next_count, 0) <> least(coalesce(steps.open_count, 0), 1)
    or steps.next_position is distinct from steps.first_open
    or steps.next_step is distinct from tags.next_key_behaviour
