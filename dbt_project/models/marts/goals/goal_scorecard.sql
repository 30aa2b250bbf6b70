{%- set bindings, grains_used = goal_metrics(), [] -%}
{%- for each in bindings -%} {%- do grains_used.append(each["bound"]["period"]) -%} {%- endfor -%}
{%- set texts = ["goal", "goal_label", "owner", "metric", "metric_label", "grain", "direction", "adds", "needs"] %}

with
    clock as (select as_of, first_on from {{ ref("int_clock") }}),
    nights as (select night_on from {{ ref("int_night") }}),
    arrivals as (select table_name, rows_kept, arrived_on from {{ ref("load_accounting") }}),
    measured as (
        select night_on, metric, numerator, denominator from {{ ref("metrics_daily") }} where dimension = 'total'
    ),
    goals as (
        {%- for each in bindings %}
            {%- set goal, metric, bound = each["goal"], each["metric"], each["bound"] %}
            select
                {%- for text in [
                    goal["name"],
                    goal["label"],
                    goal["owner"],
                    metric["name"],
                    metric["label"],
                    bound["period"],
                    bound["direction"],
                    metric["adds"],
                    metric["needs"],
                ] %}
                    {{ text_literal(text) }} as {{ texts[loop.index0] }},
                {%- endfor %}
                cast({{ bound["target"] }} as decimal(18, 4)) as target,
                {{ bound.get("at_least", 0) }} as at_least_count {{ "union all" if not loop.last }}
        {%- endfor %}
    ),
    landed as (
        select arrivals.table_name
        from arrivals
        inner join clock on arrivals.arrived_on <= clock.as_of
        where arrivals.rows_kept > 0
        group by arrivals.table_name
    ),

    {#- Every night in the periods it belongs to, with its place in them. -#}
    placed as (
        {%- for grain in grains_used | unique | sort %}
            select
                '{{ grain }}' as grain,
                night_on,
                {{ period_number(grain, "night_on") }} as period_number,
                {{ period_on(grain, "night_on") }} as period_on,
                {{ period_end(grain, "night_on") }} as ends_on
            from nights {{ "union all" if not loop.last }}
        {%- endfor %}
    ),
    periods as (
        select
            grain,
            period_number,
            period_on,
            ends_on,
            min(night_on) as from_on,
            max(night_on) as to_on,
            count(*) as night_count,
            {{ days_between("period_on", "ends_on") }} + 1 as day_count
        from placed
        group by grain, period_number, period_on, ends_on
    ),
    running as (
        select periods.grain, periods.night_count as elapsed_count
        from periods
        inner join clock on periods.to_on = clock.as_of
        where periods.ends_on > clock.as_of
    ),

    {#- What a period has come to, and what it had come to after as many nights as have elapsed of the running one. -#}
    summed as (
        select
            goals.goal,
            goals.metric,
            goals.grain,
            placed.period_number,
            count(measured.numerator) as nights,
            count(
                case
                    when placed.night_on < {{ days_after("periods.period_on", "coalesce(running.elapsed_count, 0)") }}
                    then measured.numerator
                end
            ) as early_nights,
            max(goals.adds) as adds,
            {%- for part in ["numerator", "denominator"] %}
                sum(
                    case when goals.adds <> 'stock' or placed.night_on = periods.to_on then measured.{{ part }} end
                ) as {{ part }},
                sum(
                    case
                        when
                            goals.adds <> 'stock'
                            and placed.night_on
                            < {{ days_after("periods.period_on", "coalesce(running.elapsed_count, 0)") }}
                        then measured.{{ part }}
                        when goals.adds = 'stock' and placed.night_on = periods.to_on
                        then measured.{{ part }}
                    end
                ) as early_{{ part }}{{ "," if not loop.last }}
            {%- endfor %}
        from goals
        inner join placed on goals.grain = placed.grain
        inner join periods on placed.grain = periods.grain and placed.period_number = periods.period_number
        left join running on goals.grain = running.grain
        inner join measured on goals.metric = measured.metric and placed.night_on = measured.night_on
        group by goals.goal, goals.metric, goals.grain, placed.period_number
    ),
    rated as (
        select
            goal,
            metric,
            grain,
            period_number,
            numerator,
            denominator,
            {%- for early in ["", "early_"] %}
                case
                    when adds = 'daily'
                    then {{ ratio(early ~ "numerator", early ~ "nights", 18, 6) }}
                    when denominator is null
                    then cast({{ early }}numerator as decimal(18, 6))
                    else {{ ratio(early ~ "numerator", early ~ "denominator", 18, 6) }}
                end as {{ early }}value {{- "," if not loop.last }}
            {%- endfor %}
        from summed
    ),
    judged as (
        select
            {%- for text in texts[:8] %} goals.{{ text }}, {%- endfor %}
            periods.period_on,
            periods.ends_on,
            periods.ends_on <= clock.as_of as is_complete,
            rated.numerator,
            rated.denominator,
            goals.target,
            case
                when goals.adds = 'count'
                then
                    cast(
                        {{ ratio("goals.target * periods.night_count", "periods.day_count", 18, 4) }} as decimal(18, 4)
                    )
                else goals.target
            end as due_target,
            case
                when landed.table_name is null
                then 'no ' || goals.needs || ' landed'
                when goals.adds = 'count' and periods.from_on > periods.period_on
                then 'the first night lies within the period'
                when rated.value is null
                then 'nothing to measure in the period'
                when goals.adds = 'rate' and rated.denominator < goals.at_least_count
                then 'its denominator is below ' || cast(goals.at_least_count as string)
            end as reason,
            rated.value,
            case
                when before.night_count < before.day_count and goals.adds = 'count'
                then null
                when periods.ends_on <= clock.as_of
                then previous.value
                else previous.early_value
            end as previous_value
        from goals
        cross join clock
        inner join periods on goals.grain = periods.grain
        left join landed on goals.needs = landed.table_name
        left join
            rated
            on goals.goal = rated.goal
            and goals.metric = rated.metric
            and goals.grain = rated.grain
            and periods.period_number = rated.period_number
        left join periods as before on periods.grain = before.grain and before.period_number = periods.period_number - 1
        left join
            rated as previous
            on goals.goal = previous.goal
            and goals.metric = previous.metric
            and goals.grain = previous.grain
            and previous.period_number = periods.period_number - 1
    ),
    shown as (
        select
            {%- for text in texts[:7] %} {{ text }}, {%- endfor %}
            period_on,
            ends_on,
            is_complete,
            case when reason is null then numerator end as numerator,
            case when reason is null then denominator end as denominator,
            case when reason is null then value end as metric_value,
            target,
            due_target,
            reason,
            case when reason is null then previous_value end as previous_value
        from judged
    )

select
    goal,
    goal_label,
    owner,
    metric,
    metric_label,
    grain,
    period_on,
    ends_on,
    is_complete,
    cast(numerator as decimal(18, 2)) as numerator,
    cast(denominator as decimal(18, 2)) as denominator,
    metric_value,
    direction,
    target,
    due_target,
    case
        when reason is not null
        then 'not_measurable'
        when direction = 'up' and metric_value >= due_target or direction = 'down' and metric_value <= due_target
        then case when is_complete then 'met' else 'on_track' end
        when is_complete
        then 'missed'
        else 'at_risk'
    end as status,
    reason,
    previous_value,
    cast(metric_value - previous_value as decimal(18, 6)) as change_amount,
    {{ ratio("metric_value - previous_value", "abs(previous_value)", 18, 6) }} as change_share
from shown
