with
    users as (select user_id, {{ segments() | map(attribute="name") | join(", ") }} from {{ ref("user_segments") }}),
    members as (
        {%- for segment in segments() %}
            select {{ text_literal(segment["name"]) }} as segment, user_id
            from users
            where {{ segment["name"] }} {{- "\n        union all" if not loop.last }}
        {%- endfor %}
    )

select segment, user_id
from members
