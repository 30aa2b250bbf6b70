-- One row per excluded user (test, bot, internal) on a list: judged by the raw rows themselves, not by the tables the
-- lists are made from.
with
    clock as (select as_of from {{ ref("int_clock") }}),
    versions as (
        select
            user_id,
            excluded_as,
            row_number() over (
                partition by user_id order by arrived_on desc, source_row desc, source_name desc, source_file desc
            ) as version_rank
        from {{ source("raw", "users") }}
        where arrived_on <= (select as_of from clock)
    ),
    excluded as (select user_id from versions where version_rank = 1 and excluded_as is not null)

select audiences.audience, audiences.user_id
from {{ ref("audiences") }} as audiences
inner join excluded on audiences.user_id = excluded.user_id
