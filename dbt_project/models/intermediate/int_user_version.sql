with
    versions as (
        select
            user_id,
            known_from_on,
            lag(known_from_on) over (partition by user_id order by known_from_on) as previous_from_on,
            lead(known_from_on) over (partition by user_id order by known_from_on) as next_from_on,
            registered_on,
            birth_date,
            age_band
            {%- for name in declared_dimensions() %}, {{ name }} {%- endfor %}
        from {{ ref("int_user") }}
    )

select
    user_id,
    case when previous_from_on is null then cast('0001-01-01' as date) else known_from_on end as from_on,
    next_from_on as to_on,
    registered_on,
    birth_date,
    age_band
    {%- for name in declared_dimensions() %}, {{ name }} {%- endfor %}
from versions
