with
    tonight as (select night_on from {{ ref("int_night") }} where is_as_of),
    states as (select {{ state_columns() | join(", ") }} from {{ ref("int_user_state") }})

select
    states.user_id
    {%- for segment in segments() %}, {{ segment["steps"] | join("\n    and ") }} as {{ segment["name"] }} {%- endfor %}
from states
inner join tonight on states.night_on = tonight.night_on
