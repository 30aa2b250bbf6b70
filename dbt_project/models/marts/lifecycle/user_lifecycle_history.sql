{{ windowed("coalesce(to_on, cast('9999-12-31' as date))") }}

with
    clock as (select as_of, window_from from {{ ref("int_clock") }}),
    states as (select user_id, night_on, stage from {{ ref("int_user_state") }}),

    {#- Nights of the window in one stage without a break become one piece each. -#}
    numbered as (
        select
            user_id,
            night_on,
            stage,
            {{ days_between("cast('1970-01-01' as date)", "night_on") }}
            - row_number() over (partition by user_id, stage order by night_on) as island
        from states
    ),
    islands as (
        select user_id, stage, min(night_on) as from_on, {{ days_after("max(night_on)", 1) }} as to_on
        from numbered
        group by user_id, stage, island
    ),
    pieces as (
        select user_id, stage, from_on, to_on
        from islands
        {%- if is_incremental() %}
            union all
            {#- Earlier spells that reach the window, cut off where it begins. #}
            select user_id, stage, from_on, (select window_from from clock) as to_on
            from {{ this }}
            where
                from_on < (select window_from from clock)
                and (to_on is null or to_on >= (select window_from from clock))
        {%- endif %}
    ),

    {#- Pieces of the same stage that touch become one spell. -#}
    marked as (
        select
            user_id,
            stage,
            from_on,
            to_on,
            case
                when
                    lag(to_on) over (partition by user_id order by from_on) = from_on
                    and lag(stage) over (partition by user_id order by from_on) = stage
                then 0
                else 1
            end as spell_start
        from pieces
    ),
    spelled as (
        select
            user_id,
            stage,
            from_on,
            to_on,
            sum(spell_start) over (partition by user_id order by from_on rows unbounded preceding) as spell
        from marked
    ),
    spells as (
        select user_id, stage, min(from_on) as from_on, max(to_on) as to_on from spelled group by user_id, stage, spell
    )

select
    spells.user_id,
    spells.stage,
    spells.from_on,
    case when spells.to_on <= clock.as_of then spells.to_on end as to_on,
    {{ days_between("spells.from_on", "spells.to_on") }} as days
from spells
cross join clock
