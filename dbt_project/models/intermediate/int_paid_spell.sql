{{ config(materialized="table") }}

with
    stretches as (select user_id, from_on, to_on from {{ ref("int_paid_stretch") }} where from_on < to_on),
    {#- A stretch that begins while an earlier one runs, or where it ends, goes on with its spell. -#}
    reached as (
        select
            user_id,
            from_on,
            to_on,
            max(to_on) over (
                partition by user_id order by from_on, to_on rows between unbounded preceding and 1 preceding
            ) as reached_on
        from stretches
    ),
    marked as (
        select
            user_id,
            from_on,
            to_on,
            sum(case when reached_on >= from_on then 0 else 1 end) over (
                partition by user_id order by from_on, to_on rows unbounded preceding
            ) as spell
        from reached
    ),
    spells as (select user_id, min(from_on) as from_on, max(to_on) as to_on from marked group by user_id, spell)

select user_id, from_on, to_on, lead(from_on) over (partition by user_id order by from_on) as next_from_on
from spells
