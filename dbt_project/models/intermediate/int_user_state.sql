{{ read_often() }}

{%- set features = columns_of_int_user_features() | list %}

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
    community as (
        select user_id, night_on, {{ community_columns() | join(", ") }} from {{ ref("int_user_community") }}
    ),
    placed as (
        select
            {%- for column in features %} features.{{ column }}, {%- endfor %}
            cast(coalesce(community.contribution_share, 0) as decimal(18, 12)) as contribution_share,
            coalesce(community.is_core_user, false) as is_core_user,
            coalesce(community.kol_score, 0) as kol_score,
            community.kol_tier,
            {%- for tag in latched_tags() %} ladders.{{ tag }} as latched_{{ tag }}, {%- endfor %}
            {%- for tag in tags() %} words.{{ tag["name"] }} as said_{{ tag["name"] }}, {%- endfor %}
            {%- for column in ladders().keys() | list + level_columns() %}
                ladders.{{ column }} {{- "," if not loop.last }}
            {%- endfor %}
        from features
        inner join ladders on features.user_id = ladders.user_id and features.night_on = ladders.night_on
        left join words on features.user_id = words.user_id and features.night_on = words.night_on
        left join community on features.user_id = community.user_id and features.night_on = community.night_on
    )

select
    {%- for column in features + community_columns() %} {{ column }}, {%- endfor %}
    {%- for tag in tags() %} {{ carries(tag) }} as {{ tag["name"] }}, {%- endfor %}
    {{ (ladders().keys() | list + level_columns()) | join(", ") }}
from placed
