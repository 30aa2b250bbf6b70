{{ windowed("ends_on", start="facts_from") }}

{%- set dimensions, counts = entry_dimensions(), period_counts() -%}

with
    clock as (select as_of, facts_from from {{ ref("int_clock") }}),
    states as (
        select user_id, grain, state, is_first, age_from, from_number, to_number from {{ ref("int_user_period_state") }}
    ),
    known as (select user_id, first_on, {{ dimensions | join(", ") }} from {{ ref("int_user_first_active") }}),

    {#- Numbers for texts: millions of rows are counted once per dimension, and a row is as wide as its keys. -#}
    listed as (
        {%- for name in dimensions %}
            select distinct {{ text_literal(name) }} as dimension, {{ name }} as value
            from known {{ "union all" if not loop.last }}
        {%- endfor %}
    ),
    places as (
        select cast(row_number() over (order by dimension, value) as integer) as place, dimension, value from listed
    ),
    firsts as (
        select
            known.user_id,
            known.first_on
            {%- for name in dimensions %}, {{ name }}_places.place as {{ name }}_place {%- endfor %}
        from known
        {%- for name in dimensions %}
            inner join
                places as {{ name }}_places
                on {{ name }}_places.dimension = {{ text_literal(name) }}
                and known.{{ name }} = {{ name }}_places.value
        {%- endfor %}
    ),
    distinct_kinds as (select distinct grain, state, is_first, age_from from states),
    kinds as (
        select
            cast(row_number() over (order by grain, state, is_first, age_from) as integer) as kind,
            grain,
            state,
            is_first,
            age_from
        from distinct_kinds
    ),

    {#- A state adds its users when it begins, and takes them when it ends. -#}
    edges as (
        {%- for sign, number in [(1, "from_number"), (-1, "to_number")] %}
            select
                kinds.kind,
                cast(states.{{ number }} as integer) as period_number,
                {%- for name in dimensions %} firsts.{{ name }}_place, {%- endfor %}
                {{ sign }} as user_count
            from states
            inner join
                kinds
                on states.grain = kinds.grain
                and states.state = kinds.state
                and states.is_first = kinds.is_first
                and states.age_from = kinds.age_from
            inner join firsts on states.user_id = firsts.user_id {{ "union all" if not loop.last }}
        {%- endfor %}
    ),
    pieces as (
        select
            kind,
            period_number,
            coalesce({%- for name in dimensions %}{{ name }}_place{{ "," if not loop.last }} {%- endfor %}) as place,
            sum(user_count) as user_count
        from edges
        group by
            grouping sets (
                (kind, period_number)
                {%- for name in dimensions %}, (kind, period_number, {{ name }}_place) {%- endfor %}
            )
    ),
    changes as (
        select
            kinds.grain,
            pieces.period_number,
            coalesce(places.dimension, 'total') as dimension,
            coalesce(places.value, 'total') as value,
            {%- for name, condition in counts.items() %}
                sum(case when {{ condition }} then pieces.user_count else 0 end) as {{ name }}_count
                {{- "," if not loop.last }}
            {%- endfor %}
        from pieces
        inner join kinds on pieces.kind = kinds.kind
        left join places on pieces.place = places.place
        group by kinds.grain, pieces.period_number, coalesce(places.dimension, 'total'), coalesce(places.value, 'total')
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
