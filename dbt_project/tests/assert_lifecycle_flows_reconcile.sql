-- Opening + entered - left = closing; tonight opens as last night closed; closing is the number of users in the stage
-- that night.
with
    flows as (
        select
            night_on,
            stage,
            opening_count,
            entered_count,
            left_count,
            closing_count,
            lag(closing_count) over (partition by stage order by night_on) as previous_closing_count
        from {{ ref("lifecycle_flow_daily") }}
    ),
    nights as (select night_on from {{ ref("int_night") }} where is_in_window),
    states as (
        select night_on, stage, count(*) as user_count from {{ ref("int_user_ladder") }} group by night_on, stage
    )

select flows.night_on, flows.stage
from flows
left join nights on flows.night_on = nights.night_on
left join states on flows.night_on = states.night_on and flows.stage = states.stage
where
    flows.opening_count + flows.entered_count - flows.left_count <> flows.closing_count
    or flows.opening_count <> coalesce(flows.previous_closing_count, 0)
    or (nights.night_on is not null and flows.closing_count <> coalesce(states.user_count, 0))
