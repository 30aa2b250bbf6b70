{{ read_often() }}

with
    features as (select {{ columns_of("int_user_features") | join(", ") }} from {{ ref("int_user_features") }}),
    staged as (
        select
            {%- for column in columns_of("int_user_features") %} {{ column }}, {%- endfor %} {{ stage_of() }} as stage
        from features
    )

select
    {%- for column in columns_of("int_user_features") %} {{ column }}, {%- endfor %}
    {%- for tag in tags() %} coalesce({{ tag["when"] }}, false) as {{ tag["name"] }}, {%- endfor %}
    stage
from staged
