-- Over the values of every dimension each count adds up to the night's total, and moves between values to nothing.
{%- set counts = (
    columns_of_user_counts_daily()
    | reject("in", ["night_on", "install_count", "new_device_count", "device_count"])
    | list
) %}

with
    clock as (select window_from from {{ ref("int_clock") }}),
    totals as (
        select night_on, {{ counts | join(", ") }}
        from {{ ref("user_counts_daily") }}
        where night_on >= (select window_from from clock) and registered_count > 0
    ),
    dimensions as (
        {%- for dimension in user_dimensions() %}
            select {{ text_literal(dimension["name"]) }} as dimension {{ "union all " if not loop.last }}
        {%- endfor %}
    ),
    sums as (
        select
            night_on,
            dimension,
            {%- for count in counts %} sum({{ count }}) as {{ count }}, {%- endfor %}
            sum(active_moved_count) as active_moved_count,
            sum(registered_moved_count) as registered_moved_count
        from {{ ref("user_structure_daily") }}
        group by night_on, dimension
    )

select totals.night_on, dimensions.dimension
from totals
cross join dimensions
left join sums on totals.night_on = sums.night_on and dimensions.dimension = sums.dimension
where
    {%- for count in counts %} totals.{{ count }} is distinct from sums.{{ count }} or {%- endfor %}
    sums.active_moved_count <> 0 or sums.registered_moved_count <> 0
