{{ windowed("ends_on", start="facts_from") }}

{%- set dimensions, counts = entry_dimensions(), period_counts() -%}

with
    clock as (select as_of, facts_from from {{ ref("int_clock") }}),
    states as (
        select user_id, grain, state, is_first, age_from, from_number, to_number from {{ ref("int_user_period_state") }}
    ),
    known as (select user_id, first_on, {{ dimensions | join(", ") }} from {{ ref("int_user_first_active") }}),

    {#- Users of the same values in every dimension share a place; counting by it first leaves little to add up by dimension. -#}
    together as (select distinct {{ dimensions | join(", ") }} from known),
    places as (
        select row_number() over (order by {{ dimensions | join(", ") }}) as place, {{ dimensions | join(", ") }}
        from together
    ),
    firsts as (
        select known.user_id, known.first_on, places.place
        from known
        inner join
            places
            on {% for name in dimensions %}
                known.{{ name }} = places.{{ name }} {{ "and" if not loop.last }}
            {% endfor %}
    ),

    {#- A state adds its users when it begins, and takes them when it ends. -#}
    edges as (
        {%- for sign, number in [("", "from_number"), ("-", "to_number")] %}
            select
                states.grain,
                states.{{ number }} as period_number,
                states.state,
                states.is_first,
                states.age_from,
                firsts.place,
                {{ sign }}count(*) as user_count
            from states
            inner join firsts on states.user_id = firsts.user_id
            group by
                states.grain,
                states.{{ number }},
                states.state,
                states.is_first,
                states.age_from,
                firsts.place
                {{ "union all" if not loop.last }}
        {%- endfor %}
    ),
    pieces as (
        select
            edges.grain,
            edges.period_number,
            {%- for name in dimensions %} places.{{ name }}, {%- endfor %}
            {%- for name, condition in counts.items() %}
                case when {{ condition }} then edges.user_count else 0 end as {{ name }}_count{{ "," if not loop.last }}
            {%- endfor %}
        from edges
        inner join places on edges.place = places.place
    ),
    changes as (
        select
            grain,
            period_number,
            case
                {%- for name in dimensions %} when {{ name }} is not null then {{ text_literal(name) }} {%- endfor %}
                else 'total'
            end as dimension,
            coalesce({{ dimensions | join(", ") }}, 'total') as value,
            {%- for name in counts %} sum({{ name }}_count) as {{ name }}_count{{ "," if not loop.last }} {%- endfor %}
        from pieces
        group by
            grouping sets (
                (grain, period_number) {%- for name in dimensions %}, (grain, period_number, {{ name }}) {%- endfor %}
            )
    ),
    seen as (select distinct grain, dimension, value from changes),
    bounds as (
        select
            greatest(max(clock.facts_from), coalesce(min(firsts.first_on), max(clock.as_of))) as from_on,
            max(clock.as_of) as to_on
        from clock
        left join firsts on firsts.first_on <= clock.as_of
    ),
    days as ({{ nights("bounds", "from_on", "to_on") }}),
    spine as (
        {%- for grain in grains() %}
            select distinct
                '{{ grain }}' as grain,
                {{ period_number(grain, "night_on") }} as period_number,
                {{ period_on(grain, "night_on") }} as period_on,
                {{ period_end(grain, "night_on") }} as ends_on
            from days {{ "union all" if not loop.last }}
        {%- endfor %}
    ),
    summed as (
        select
            spine.grain,
            spine.period_on,
            spine.ends_on,
            seen.dimension,
            seen.value,
            {%- for name in counts %}
                sum(coalesce(changes.{{ name }}_count, 0)) over until_then as {{ name }}_count{{ "," if not loop.last }}
            {%- endfor %}
        from spine
        inner join seen on spine.grain = seen.grain
        left join
            changes
            on spine.grain = changes.grain
            and spine.period_number = changes.period_number
            and seen.dimension = changes.dimension
            and seen.value = changes.value
        window
            until_then as (
                partition by seen.grain, seen.dimension, seen.value
                order by spine.period_number
                rows unbounded preceding
            )
    )

select
    summed.grain,
    summed.period_on,
    summed.ends_on,
    summed.dimension,
    summed.value,
    cast(summed.returning_count + summed.dormant_count as bigint) as opening_count,
    cast(summed.new_count as bigint) as new_count,
    cast(summed.returning_count as bigint) as returning_count,
    cast(summed.resurrecting_count as bigint) as resurrecting_count,
    cast(summed.dormant_count as bigint) as dormant_count,
    cast(summed.new_count + summed.returning_count + summed.resurrecting_count as bigint) as active_count,
    cast(summed.late_start_count as bigint) as late_start_count,
    cast(
        summed.dormant_count
        + summed.idle_2_3_count
        + summed.idle_4_7_count
        + summed.idle_8_15_count
        + summed.idle_16_count as bigint
    ) as dormant_stock_count,
    {%- for band in ["idle_2_3", "idle_4_7", "idle_8_15", "idle_16"] %}
        cast(summed.{{ band }}_count as bigint) as {{ band }}_count,
    {%- endfor %}
    cast(summed.churned_count as bigint) as churned_count,
    summed.ends_on <= clock.as_of as is_complete
from summed
cross join clock
where
    summed.new_count
    + summed.returning_count
    + summed.resurrecting_count
    + summed.dormant_count
    + summed.idle_2_3_count
    + summed.idle_4_7_count
    + summed.idle_8_15_count
    + summed.idle_16_count
    > 0
