{{ config(materialized="table") }}

with
    firsts as (
        select user_id, min(first_on) as first_on
        from {{ ref("int_user_period") }}
        where grain = 'month'
        group by user_id
    ),
    versions as (
        select
            user_id,
            from_on,
            to_on,
            registered_on,
            birth_date,
            age_band
            {%- for name in declared_dimensions() %}, {{ name }} {%- endfor %}
        from {{ ref("int_user_version") }}
    )

select
    firsts.user_id,
    firsts.first_on,
    versions.registered_on
    {%- for name in entry_dimensions() %}
        , {{ value_on(name, "firsts.first_on", "versions") }} as {{ name }}
    {%- endfor %}
from firsts
inner join versions on firsts.user_id = versions.user_id and {{ known_on("versions", "firsts.first_on") }}
