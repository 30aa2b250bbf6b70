with
    clock as (select first_on, facts_from from {{ ref("int_clock") }}),
    nights as (select night_on from {{ ref("int_night") }})

select
    nights.night_on as version_on,
    {{ month_number("nights.night_on") }} as month_number,
    nights.night_on >= clock.facts_from as is_in_window
from nights
cross join clock
where extract(day from nights.night_on) = 1 or nights.night_on = clock.first_on
