{#- What stands for the state of a user before the first spell and after the last one. -#}
{% macro outside() -%} 'outside' {%- endmacro %}

{#-
    Who passed from which state into which on the nights of the window, as CTEs that end with `transitions` (night_on, from_<state>,
    to_<state>, user_count, median_days), out of `spells` (user_id, <state>, from_on, to_on, days). The model has the CTE `clock`.
-#}
{% macro transitions(spells, state) %}
    entered as (
        select user_id, from_on as night_on, {{ state }}
        from {{ spells }}
        where from_on >= (select window_from from clock)
    ),
    departed as (
        select user_id, to_on as night_on, {{ state }}, days
        from {{ spells }}
        where to_on >= (select window_from from clock)
    ),
    passages as (
        select
            coalesce(entered.night_on, departed.night_on) as night_on,
            coalesce(departed.{{ state }}, {{ outside() }}) as from_{{ state }},
            coalesce(entered.{{ state }}, {{ outside() }}) as to_{{ state }},
            departed.days
        from entered
        full outer join departed on entered.user_id = departed.user_id and entered.night_on = departed.night_on
    ),
    transitions as (
        select
            night_on,
            from_{{ state }},
            to_{{ state }},
            cast(count(*) as bigint) as user_count,
            {{ rounded("percentile_cont(0.5) within group (order by days)", 9, 1) }} as median_days
        from passages
        group by night_on, from_{{ state }}, to_{{ state }}
    )
{% endmacro %}

{#-
    How many users a state has gained, lost and kept on every night, as CTEs that end with `flows` (night_on, <state>, opening_count,
    entered_count, left_count, closing_count), out of all `transitions`.
-#}
{% macro flows(transitions, state, ladder) %}
    nights as (select night_on from {{ ref("int_night") }}),
    states as (
        {%- for each in states_of(ladder) %}
            select {{ text_literal(each["name"]) }} as {{ state }} {{- " union all" if not loop.last }}
        {%- endfor %}
    ),
    entered as (
        select night_on, to_{{ state }} as {{ state }}, sum(user_count) as user_count
        from {{ transitions }}
        group by night_on, to_{{ state }}
    ),
    departed as (
        select night_on, from_{{ state }} as {{ state }}, sum(user_count) as user_count
        from {{ transitions }}
        group by night_on, from_{{ state }}
    ),
    moves as (
        select
            nights.night_on,
            states.{{ state }},
            cast(coalesce(entered.user_count, 0) as bigint) as entered_count,
            cast(coalesce(departed.user_count, 0) as bigint) as left_count
        from nights
        cross join states
        left join entered on nights.night_on = entered.night_on and states.{{ state }} = entered.{{ state }}
        left join departed on nights.night_on = departed.night_on and states.{{ state }} = departed.{{ state }}
    ),
    closed as (
        select
            night_on,
            {{ state }},
            entered_count,
            left_count,
            cast(
                sum(entered_count - left_count) over (
                    partition by {{ state }} order by night_on rows unbounded preceding
                ) as bigint
            ) as closing_count
        from moves
    ),
    flows as (
        select
            night_on,
            {{ state }},
            closing_count - entered_count + left_count as opening_count,
            entered_count,
            left_count,
            closing_count
        from closed
    )
{% endmacro %}
