with
    nights as (select night_on from {{ ref("int_night") }}),
    spells as (select stage, from_on, to_on from {{ ref("user_lifecycle_history") }}),
    stages as (
        {%- for stage in stages() %}
            select {{ text_literal(stage["name"]) }} as stage {{- " union all" if not loop.last }}
        {%- endfor %}
    ),
    entered as (select from_on, stage, count(*) as user_count from spells group by from_on, stage),
    departed as (select to_on, stage, count(*) as user_count from spells where to_on is not null group by to_on, stage),
    moves as (
        select
            nights.night_on,
            stages.stage,
            cast(coalesce(entered.user_count, 0) as bigint) as entered_count,
            cast(coalesce(departed.user_count, 0) as bigint) as left_count
        from nights
        cross join stages
        left join entered on nights.night_on = entered.from_on and stages.stage = entered.stage
        left join departed on nights.night_on = departed.to_on and stages.stage = departed.stage
    ),
    closed as (
        select
            night_on,
            stage,
            entered_count,
            left_count,
            cast(
                sum(entered_count - left_count) over (
                    partition by stage order by night_on rows unbounded preceding
                ) as bigint
            ) as closing_count
        from moves
    )

select
    night_on,
    stage,
    closing_count - entered_count + left_count as opening_count,
    entered_count,
    left_count,
    closing_count
from closed
