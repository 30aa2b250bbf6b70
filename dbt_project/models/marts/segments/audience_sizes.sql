with
    lists as ({{ contact_list_rows() }}),
    members as (select audience, decision from {{ ref("audience_members") }}),
    decided as (
        select
            audience,
            count(*) as in_segment,
            sum(case when decision = 'no_consent' then 1 else 0 end) as without_consent,
            sum(case when decision = 'no_contact_point' then 1 else 0 end) as without_contact_point,
            sum(case when decision = 'shared_match_value' then 1 else 0 end) as with_shared_match_value,
            sum(case when decision = 'exported' then 1 else 0 end) as exported
        from members
        group by audience
    )

select
    lists.audience,
    lists.tool,
    lists.segment,
    lists.mode,
    lists.channel,
    lists.purpose,
    cast(coalesce(decided.in_segment, 0) as bigint) as in_segment,
    cast(coalesce(decided.without_consent, 0) as bigint) as without_consent,
    cast(coalesce(decided.without_contact_point, 0) as bigint) as without_contact_point,
    cast(coalesce(decided.with_shared_match_value, 0) as bigint) as with_shared_match_value,
    cast(coalesce(decided.exported, 0) as bigint) as exported
from lists
left join decided on lists.audience = decided.audience
