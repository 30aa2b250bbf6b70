-- Who came into a stage and who left it is what passed from stage to stage, the playbook counts the same users, and
-- nobody passes
-- from a stage into itself or after no time.
with
    passages as (
        select night_on, from_stage, to_stage, user_count, median_days from {{ ref("lifecycle_transitions_daily") }}
    ),
    entered as (
        select night_on, to_stage as stage, sum(user_count) as user_count from passages group by night_on, to_stage
    ),
    departed as (
        select night_on, from_stage as stage, sum(user_count) as user_count from passages group by night_on, from_stage
    ),
    flows as (select night_on, stage, entered_count, left_count, closing_count from {{ ref("lifecycle_flow_daily") }}),
    playbook as (select night_on, stage, user_count, entered_count, left_count from {{ ref("lifecycle_kpi_daily") }})

select flows.night_on, flows.stage
from flows
left join entered on flows.night_on = entered.night_on and flows.stage = entered.stage
left join departed on flows.night_on = departed.night_on and flows.stage = departed.stage
left join playbook on flows.night_on = playbook.night_on and flows.stage = playbook.stage
where
    flows.entered_count <> coalesce(entered.user_count, 0)
    or flows.left_count <> coalesce(departed.user_count, 0)
    or flows.closing_count <> coalesce(playbook.user_count, 0)
    or flows.entered_count <> coalesce(playbook.entered_count, flows.entered_count)
    or flows.left_count <> coalesce(playbook.left_count, flows.left_count)
union all
select night_on, from_stage as stage
from passages
where
    from_stage = to_stage
    or (from_stage = {{ outside() }} and median_days is not null)
    or (from_stage <> {{ outside() }} and coalesce(median_days, 0) < 1)
