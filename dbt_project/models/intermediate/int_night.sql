with
    clock as (select as_of, window_from, window_to, first_on from {{ ref("int_clock") }}),
    nights as ({{ nights("clock", "first_on", "as_of") }})

select
    nights.night_on,
    {{ days_between("cast('1970-01-01' as date)", "nights.night_on") }} as day_number,
    nights.night_on between clock.window_from and clock.window_to as is_in_window,
    nights.night_on = clock.as_of as is_as_of
from nights
cross join clock
