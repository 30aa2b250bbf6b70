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
    {%- set names = ["tag", "label", "family", "rule", "user_count", "user_share"] %}
    {%- set rows = [] %}
    {%- for tag in tags() %}
        {%- do rows.append(
            [
                text_literal(tag["name"]),
                text_literal(tag["label"]),
                text_literal(tag["family"]),
                text_literal(tag["when"]),
                "cast(coalesce(%s, 0) as bigint)" % tag["name"],
                share(tag["name"], "user_count"),
            ]
        ) %}
    {%- endfor %}
    sizes as ({{ as_rows("counted", names, rows) }})

select tag, label, family, rule, user_count, user_share
from sizes
