{{ windowed("ends_on", start="facts_from") }}

with
    clock as (select as_of, first_on, greatest(facts_from, first_on) as since_on from {{ ref("int_clock") }}),
    states as (select user_id, grain, state, from_number, to_number from {{ ref("int_user_period_state") }}),
    firsts as (select user_id, first_on from {{ ref("int_user_first_active") }}),
    history as (
        select user_id, stage, from_on, to_on
        from {{ ref("user_lifecycle_history") }}
        where to_on is null or to_on > (select since_on from clock)
    ),
    bounds as (
        {%- for grain in grains() %}
            select
                '{{ grain }}' as grain,
                {{ period_number(grain, "since_on") }} as window_number,
                {{ period_number(grain, "as_of") }} as last_number
            from clock {{ "union all" if not loop.last }}
        {%- endfor %}
    ),

    {#- A spell holds at the end of each period from the one it begins in until before the one it ends in. -#}
    spells as (
        {%- for grain in grains() %}
            select
                history.user_id,
                history.stage,
                bounds.grain,
                greatest({{ period_number(grain, "history.from_on") }}, bounds.window_number) as from_number,
                coalesce({{ period_number(grain, "history.to_on") }}, bounds.last_number + 1) as to_number,
                {{ period_number(grain, "firsts.first_on") }} as first_number
            from history
            inner join bounds on bounds.grain = '{{ grain }}'
            left join firsts on history.user_id = firsts.user_id {{ "union all" if not loop.last }}
        {%- endfor %}
    ),
    matched as (
        select
            states.grain,
            states.state,
            spells.stage,
            greatest(states.from_number, spells.from_number) as from_number,
            least(states.to_number, spells.to_number) as to_number
        from states
        inner join
            spells
            on states.user_id = spells.user_id
            and states.grain = spells.grain
            and states.from_number < spells.to_number
            and spells.from_number < states.to_number
        where spells.from_number < spells.to_number
    ),

    {#- Beside those in both: users with a stage and no active period yet, and users of a period who are in no stage any more. -#}
    pieces as (
        select grain, state, stage, from_number, to_number, 1 as user_count
        from matched
        union all
        select grain, state, 'none' as stage, from_number, to_number, -1 as user_count
        from matched
        union all
        select
            states.grain,
            states.state,
            'none' as stage,
            greatest(states.from_number, bounds.window_number) as from_number,
            states.to_number,
            1 as user_count
        from states
        inner join bounds on states.grain = bounds.grain
        where states.to_number > bounds.window_number
        union all
        select
            grain,
            'unactivated' as state,
            stage,
            from_number,
            least(to_number, coalesce(first_number, to_number)) as to_number,
            1 as user_count
        from spells
        where from_number < least(to_number, coalesce(first_number, to_number))
    ),
    changes as (
        select grain, state, stage, period_number, sum(user_count) as user_count
        from
            (
                select grain, state, stage, from_number as period_number, user_count
                from pieces
                union all
                select grain, state, stage, to_number as period_number, - user_count as user_count
                from pieces
            ) as edges
        group by grain, state, stage, period_number
    ),
    seen as (select distinct grain, state, stage from changes),
    days as ({{ nights("clock", "since_on", "as_of") }}),
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
            seen.state,
            seen.stage,
            sum(coalesce(changes.user_count, 0)) over (
                partition by seen.grain, seen.state, seen.stage order by spine.period_number rows unbounded preceding
            ) as user_count
        from spine
        inner join seen on spine.grain = seen.grain
        left join
            changes
            on spine.grain = changes.grain
            and spine.period_number = changes.period_number
            and seen.state = changes.state
            and seen.stage = changes.stage
    )

select
    summed.grain,
    summed.period_on,
    summed.ends_on,
    summed.state,
    summed.stage,
    cast(summed.user_count as bigint) as user_count,
    summed.ends_on <= clock.as_of as is_complete
from summed
cross join clock
where summed.user_count <> 0
