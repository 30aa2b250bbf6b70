with
    members as (select audience, tool, user_id from {{ ref("audience_members") }} where decision = 'exported'),
    lists as ({{ contact_list_rows() }}),
    points as (
        select user_id, channel, contact_point, name, email, phone
        from {{ ref("int_contact_point") }}
        where channel in ({{ listed("channel") }})
    ),
    profile as (select {{ columns_of_user_profile() | join(", ") }} from {{ ref("user_profile") }}),
    tags as (select {{ columns_of_user_tags() | join(", ") }} from {{ ref("user_tags") }}),
    lifecycle as (select {{ columns_of_user_lifecycle() | join(", ") }} from {{ ref("user_lifecycle") }})

select
    members.audience,
    members.tool,
    members.user_id,
    {{ match_value("points") }} as match_value,
    points.contact_point,
    case
        members.audience
        {%- for list in contact_lists() %}
            when {{ text_literal(list["name"]) }} then {{ list_fields(list.get("fields")) }}
        {%- endfor %}
        else '{}'
    end as fields
from members
inner join lists on members.audience = lists.audience
inner join points on members.user_id = points.user_id and lists.channel = points.channel
inner join profile on members.user_id = profile.user_id
left join tags on members.user_id = tags.user_id
left join lifecycle on members.user_id = lifecycle.user_id
