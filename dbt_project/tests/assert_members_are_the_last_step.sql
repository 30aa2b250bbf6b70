-- The members of a segment are as many as its last step leaves on as_of.
with
    tonight as (select night_on from {{ ref("int_night") }} where is_as_of),
    sizes as (
        select sizes.segment, sizes.user_count
        from {{ ref("segment_sizes_daily") }} as sizes
        inner join tonight on sizes.night_on = tonight.night_on
        where sizes.is_last
    ),
    members as (select segment, count(*) as user_count from {{ ref("segment_members") }} group by segment)

select
    coalesce(sizes.segment, members.segment) as segment,
    sizes.user_count as size_count,
    members.user_count as member_count
from sizes
full outer join members on sizes.segment = members.segment
where coalesce(sizes.user_count, 0) <> coalesce(members.user_count, 0)
