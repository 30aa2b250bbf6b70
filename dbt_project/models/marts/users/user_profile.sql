{%- set features = (
    columns_of_int_user_features() | reject("in", ["user_id", "night_on"]) | list
) + community_columns() -%}

with
    tonight as (select night_on from {{ ref("int_night") }} where is_as_of),
    users as (
        select user_id, registered_at, birth_date, campaign_id from {{ ref("int_user") }} where known_to_on is null
    ),
    states as (
        select
            user_id,
            night_on,
            {{ (ladders().keys() | list + level_columns()) | join(", ") }},
            {{ features | join(", ") }}
        from {{ ref("int_user_state") }}
    )

select
    users.user_id,
    users.registered_at,
    users.birth_date,
    users.campaign_id,
    {%- for column in ladders().keys() | list + level_columns() %}
        states.{{ column }} {{- "," if not loop.last }}
    {%- endfor %}
    {%- for feature in features %}, states.{{ feature }} {%- endfor %}
from users
inner join states on users.user_id = states.user_id
inner join tonight on states.night_on = tonight.night_on
