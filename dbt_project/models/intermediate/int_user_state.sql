{{ read_often() }}

with
    features as (select {{ columns_of("int_user_features") | join(", ") }} from {{ ref("int_user_features") }}),
    words as (
        select
            user_id as said_user_id,
            night_on as said_night_on
            {%- for tag in tags() %}, {{ tag["name"] }} as said_{{ tag["name"] }} {%- endfor %}
        from {{ ref("int_manual_tag_night") }}
    ),
    staged as (
        select
            {%- for column in columns_of("int_user_features") %} {{ column }}, {%- endfor %} {{ stage_of() }} as stage
        from features
    ),
    said as (
        select
            {%- for column in columns_of("int_user_features") %} staged.{{ column }}, {%- endfor %}
            {%- for tag in tags() %} words.said_{{ tag["name"] }}, {%- endfor %}
            staged.stage
        from staged
        left join words on staged.user_id = words.said_user_id and staged.night_on = words.said_night_on
    )

select
    {%- for column in columns_of("int_user_features") %} {{ column }}, {%- endfor %}
    {%- for tag in tags() %} {{ carries(tag) }} as {{ tag["name"] }}, {%- endfor %}
    stage
from said
