with
    passages as (
        select from_plan_state, to_plan_state, sum(user_count) as user_count
        from {{ ref("plan_transitions_daily") }}
        group by from_plan_state, to_plan_state
    ),
    states as (
        {%- for state in states_of("plan_state") %}
            select
                cast({{ loop.revindex }} as bigint) as position,
                {{ text_literal(state["name"]) }} as plan_state
                {{- " union all" if not loop.last }}
        {%- endfor %}
    ),
    entered as (select to_plan_state, sum(user_count) as user_count from passages group by to_plan_state)

select
    states.position,
    states.plan_state as from_plan_state,
    {{ state_label("plan_state", "states.plan_state") }} as from_label,
    reached.plan_state as to_plan_state,
    {{ state_label("plan_state", "reached.plan_state") }} as to_label,
    cast(coalesce(entered.user_count, 0) as bigint) as entered_count,
    cast(coalesce(passages.user_count, 0) as bigint) as passed_count,
    {{ share("coalesce(passages.user_count, 0)", "entered.user_count") }} as conversion_share
from states
inner join states as reached on states.plan_state <> reached.plan_state
left join entered on states.plan_state = entered.to_plan_state
left join passages on states.plan_state = passages.from_plan_state and reached.plan_state = passages.to_plan_state
