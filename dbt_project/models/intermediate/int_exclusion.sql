with
    clock as (select as_of from {{ ref("int_clock") }}),
    robots as (select subject, subject_id, reason, from_on from {{ ref("int_robot") }}),
    -- Few are ever excluded: the versions of nobody else are put in order.
    named as (
        select user_id
        from {{ source("raw", "users") }}
        where excluded_as is not null and arrived_on <= (select as_of from clock)
    ),
    delivered as (
        select
            user_id,
            arrived_on,
            excluded_as,
            row_number() over (
                partition by user_id, arrived_on order by source_row desc, source_name desc, source_file desc
            ) as version_rank
        from {{ source("raw", "users") }}
        where arrived_on <= (select as_of from clock) and user_id in (select user_id from named)
    ),
    versions as (
        select
            user_id,
            excluded_as,
            arrived_on,
            lag(arrived_on) over (partition by user_id order by arrived_on) as previous_on,
            lead(arrived_on) over (partition by user_id order by arrived_on) as next_on
        from delivered
        where version_rank = 1
    )

select
    'user' as subject,
    user_id as subject_id,
    excluded_as as reason,
    case when previous_on is null then cast('0001-01-01' as date) else arrived_on end as from_on,
    next_on as to_on
from versions
where excluded_as is not null
union all
select subject, subject_id, reason, from_on, cast(null as date) as to_on
from robots
