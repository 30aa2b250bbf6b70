{#-
    Spells out of nights, as CTEs that end with `spells` (user_id, <value>, from_on, to_on, days): nights of the window on which a user
    had a value, in `nights` (user_id, night_on, <value>), follow earlier spells of the model itself that reach the window. A spell is
    half open and `to_on` is null while it lasts. The model is `windowed` by the end of its spells, and has the CTE `clock`.
-#}
{% macro spells(nights, value) %}
    {#- Nights of the window with one value and without a break become one piece each. #}
    numbered as (
        select
            user_id,
            night_on,
            {{ value }},
            {{ days_between("cast('1970-01-01' as date)", "night_on") }}
            - row_number() over (partition by user_id, {{ value }} order by night_on) as island
        from {{ nights }}
    ),
    islands as (
        select user_id, {{ value }}, min(night_on) as from_on, {{ days_after("max(night_on)", 1) }} as to_on
        from numbered
        group by user_id, {{ value }}, island
    ),
    {{ spells_of("islands", value) }}
{% endmacro %}

{#- The same out of `islands` (user_id, <value>, from_on, to_on): nights of the window with one value and without a break. -#}
{% macro spells_of(islands, value) %}
    pieces as (
        select user_id, {{ value }}, from_on, to_on
        from {{ islands }}
        {%- if is_incremental() %}
            union all
            {#- Earlier spells that reach the window, cut off where it begins. #}
            select user_id, {{ value }}, from_on, (select window_from from clock) as to_on
            from {{ this }}
            where
                from_on < (select window_from from clock)
                and (to_on is null or to_on >= (select window_from from clock))
        {%- endif %}
    ),

    {#- Pieces of the same value that touch become one spell. #}
    marked as (
        select
            user_id,
            {{ value }},
            from_on,
            to_on,
            case
                when lag(to_on) over (partition by user_id, {{ value }} order by from_on) = from_on then 0 else 1
            end as spell_start
        from pieces
    ),
    spelled as (
        select
            user_id,
            {{ value }},
            from_on,
            to_on,
            sum(spell_start) over (partition by user_id, {{ value }} order by from_on rows unbounded preceding) as spell
        from marked
    ),
    reached as (
        select user_id, {{ value }}, min(from_on) as from_on, max(to_on) as to_on
        from spelled
        group by user_id, {{ value }}, spell
    ),
    spells as (
        select
            reached.user_id,
            reached.{{ value }},
            reached.from_on,
            case when reached.to_on <= clock.window_to then reached.to_on end as to_on,
            {{ days_between("reached.from_on", "reached.to_on") }} as days
        from reached
        cross join clock
    )
{% endmacro %}

{#- The spell every user is in, and the value of the one before, as CTEs that end with `present_spells`, out of a `history` of spells. -#}
{% macro present_spells(history, value) %}
    followed as (
        select
            user_id,
            {{ value }},
            from_on,
            to_on,
            days,
            lag({{ value }}) over (partition by user_id order by from_on) as previous_state
        from {{ history }}
    ),
    present_spells as (
        select user_id, {{ value }}, from_on as since_on, days as days_in_state, previous_state
        from followed
        where to_on is null
    )
{% endmacro %}

{#-
    A data test's rows: users of whom a night of `nights` (user_id, night_on, <value>) does not lie in exactly one spell of `spells`, or in one of
    another value; both relations may have more keys, in `per`. Spells that do not overlap hold a night once, so nothing is counted by night.
-#}
{% macro nights_not_in_one_spell(nights, spells, value, per=[]) %}
    select nights.user_id as subject
    from {{ nights }} as nights
    left join
        {{ spells }} as spells on nights.user_id = spells.user_id
        {%- for key in per %} and nights.{{ key }} = spells.{{ key }} {%- endfor %}
        and nights.{{ value }} = spells.{{ value }}
        and nights.night_on >= spells.from_on
        and nights.night_on < coalesce(spells.to_on, {{ no_end() }})
    where spells.user_id is null
    union all
    select user_id as subject
    from
        (
            select
                user_id,
                to_on,
                lead(from_on) over (
                    partition by user_id {%- for key in per %}, {{ key }} {%- endfor %} order by from_on
                ) as next_on
            from {{ spells }}
        ) as followed
    where next_on < coalesce(to_on, {{ no_end() }})
{% endmacro %}
