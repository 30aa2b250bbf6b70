-- One row per list whose exported users are not the users of its segment less those withheld, and one per user on a
-- list outside its segment.
with
    exported as (select audience, count(*) as users from {{ ref("audiences") }} group by audience),
    sizes as (
        select audience, segment, in_segment, without_consent, without_contact_point, with_shared_match_value
        from {{ ref("audience_sizes") }}
    ),
    segments as (select segment, count(*) as users from {{ ref("segment_members") }} group by segment),
    strangers as (
        select audiences.audience
        from {{ ref("audiences") }} as audiences
        inner join sizes on audiences.audience = sizes.audience
        left join
            {{ ref("segment_members") }} as members
            on sizes.segment = members.segment
            and audiences.user_id = members.user_id
        where members.user_id is null
    )

select sizes.audience
from sizes
left join exported on sizes.audience = exported.audience
left join segments on sizes.segment = segments.segment
where
    sizes.in_segment <> coalesce(segments.users, 0)
    or coalesce(exported.users, 0)
    <> sizes.in_segment - sizes.without_consent - sizes.without_contact_point - sizes.with_shared_match_value
union all
select audience
from strangers
