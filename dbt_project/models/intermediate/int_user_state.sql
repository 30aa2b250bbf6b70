{{ read_often() }}

{%- set features = columns_of("int_user_features") %}

with
    features as (select {{ features | join(", ") }} from {{ ref("int_user_features") }}),
    ladders as (
        select user_id, night_on, {{ (ladders().keys() | list + level_columns() + latched_tags()) | join(", ") }}
        from {{ ref("int_user_ladder") }}
    ),
    words as (
        select user_id, night_on {%- for tag in tags() %}, {{ tag["name"] }} {%- endfor %}
        from {{ ref("int_manual_tag_night") }}
    ),
    placed as (
        select
            {%- for column in features %} features.{{ column }}, {%- endfor %}
            {%- for tag in latched_tags() %} ladders.{{ tag }} as latched_{{ tag }}, {%- endfor %}
            {%- for tag in tags() %} words.{{ tag["name"] }} as said_{{ tag["name"] }}, {%- endfor %}
            {%- for column in ladders().keys() | list + level_columns() %}
                ladders.{{ column }} {{- "," if not loop.last }}
            {%- endfor %}
        from features
        inner join ladders on features.user_id = ladders.user_id and features.night_on = ladders.night_on
        left join words on features.user_id = words.user_id and features.night_on = words.night_on
    )

select
    {%- for column in features %} {{ column }}, {%- endfor %}
    {%- for tag in tags() %} {{ carries(tag) }} as {{ tag["name"] }}, {%- endfor %}
    {{ (ladders().keys() | list + level_columns()) | join(", ") }}
from placed
