with
    users as (select {{ tags() | map(attribute="name") | join(", ") }} from {{ ref("user_tags") }}),
    counted as (
        select
            {%- for tag in tags() %}
                sum(case when {{ tag["name"] }} then 1 else 0 end) as {{ tag["name"] }},
            {%- endfor %}
            count(*) as user_count
        from users
    ),
    sizes as (
        {%- for tag in tags() %}
            select
                {{ text_literal(tag["name"]) }} as tag,
                {{ text_literal(tag["label"]) }} as label,
                {{ text_literal(tag["family"]) }} as family,
                {{ text_literal(tag["when"]) }} as rule,
                cast(coalesce({{ tag["name"] }}, 0) as bigint) as user_count,
                {{ share(tag["name"], "user_count") }} as user_share
            from counted {{- "\n        union all" if not loop.last }}
        {%- endfor %}
    )

select tag, label, family, rule, user_count, user_share
from sizes
