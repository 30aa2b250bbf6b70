with
    clock as (select as_of from {{ ref("int_clock") }}),
    changes as (
        select
            user_id,
            channel,
            purpose,
            contact_point,
            state,
            basis,
            changed_at,
            row_number() over (
                partition by user_id, channel, purpose, contact_point
                order by changed_at desc, arrived_on desc, source_row desc, source_name desc, source_file desc
            ) as change_rank
        from {{ source("raw", "consents") }}
        where arrived_on <= (select as_of from clock)
    )

select user_id, channel, purpose, contact_point, state, basis, changed_at
from changes
where change_rank = 1
