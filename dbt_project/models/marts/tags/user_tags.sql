with
    tonight as (select night_on from {{ ref("int_night") }} where is_as_of),
    states as (
        select user_id, night_on, next_key_behaviour, {{ tags() | map(attribute="name") | join(", ") }}
        from {{ ref("int_user_state") }}
    )

select states.user_id, states.next_key_behaviour {%- for tag in tags() %}, states.{{ tag["name"] }} {%- endfor %}
from states
inner join tonight on states.night_on = tonight.night_on
