-- A period opens as the one before closed, its dimensions add up to the total, its users are those counted one by
-- one, day by day
-- those of user_counts_daily, and the two lifecycles count the same users.
{%- set counts = [
    "opening",
    "new",
    "returning",
    "resurrecting",
    "dormant",
    "active",
    "late_start",
    "dormant_stock",
    "idle_2_3",
    "idle_4_7",
    "idle_8_15",
    "idle_16",
    "churned",
] %}

with
    clock as (select first_on, window_from from {{ ref("int_clock") }}),
    periods as (
        select
            grain,
            period_on,
            ends_on,
            dimension,
            value,
            {%- for name in counts %} {{ name }}_count, {%- endfor %}
            lag(ends_on) over in_turn as previous_ends_on,
            lag(active_count) over in_turn as previous_active_count,
            lag(dormant_stock_count) over in_turn as previous_stock_count
        from {{ ref("period_lifecycle") }}
        window in_turn as (partition by grain, dimension, value order by period_on)
    ),
    sums as (
        select
            grain,
            period_on,
            dimension,
            {%- for name in counts %} sum({{ name }}_count) as {{ name }}_count{{ "," if not loop.last }} {%- endfor %}
        from periods
        where dimension <> 'total' and ends_on >= (select window_from from clock)
        group by grain, period_on, dimension
    ),
    users as (select grain, ends_on, count(*) as user_count from {{ ref("int_user_period") }} group by grain, ends_on),
    nights as (select night_on, dau_count from {{ ref("user_counts_daily") }}),
    stages as (
        select
            grain,
            ends_on,
            {%- for name in ["new", "returning", "resurrecting", "dormant", "inactive"] %}
                sum(case when state = '{{ name }}' then user_count else 0 end) as {{ name }}_count,
            {%- endfor %}
            min(user_count) as least_count
        from {{ ref("period_stage") }}
        group by grain, ends_on
    ),
    closing as (
        select night_on, sum(closing_count) as user_count, stage
        from {{ ref("lifecycle_flow_daily") }}
        group by night_on, stage
    ),
    staged as (
        select least(ends_on, clock_as_of) as night_on, grain, stage, sum(user_count) as user_count
        from
            (
                select stage.grain, stage.ends_on, stage.stage, stage.user_count, clock.as_of as clock_as_of
                from {{ ref("period_stage") }} as stage
                cross join {{ ref("int_clock") }} as clock
                where stage.stage <> 'none'
            ) as known
        group by least(ends_on, clock_as_of), grain, stage
    )

select grain, period_on, dimension, value, 'does not open as the period before closed' as problem
from periods
where
    coalesce(previous_active_count, 0) <> opening_count
    or coalesce(previous_stock_count, 0) + dormant_count - resurrecting_count + late_start_count <> dormant_stock_count
    or previous_ends_on <> {{ days_after("period_on", -1) }}
union all
select totals.grain, totals.period_on, sums.dimension, totals.value, 'is not the sum of the values' as problem
from periods as totals
left join sums on totals.grain = sums.grain and totals.period_on = sums.period_on
where
    totals.dimension = 'total'
    and totals.ends_on >= (select window_from from clock)
    and (
        {%- for name in counts %}
            totals.{{ name }}_count is distinct from sums.{{ name }}_count {{ "or" if not loop.last }}
        {%- endfor %}
    )
union all
select
    periods.grain, periods.period_on, periods.dimension, periods.value, 'differs from the users one by one' as problem
from periods
left join users on periods.grain = users.grain and periods.ends_on = users.ends_on
where periods.dimension = 'total' and periods.active_count <> coalesce(users.user_count, 0)
union all
select
    'day' as grain,
    nights.night_on as period_on,
    periods.dimension,
    periods.value,
    'differs from user_counts_daily' as problem
from nights
left join periods on nights.night_on = periods.period_on and periods.grain = 'day' and periods.dimension = 'total'
where nights.dau_count <> coalesce(periods.active_count, 0)
union all
select periods.grain, periods.period_on, periods.dimension, periods.value, 'differs from period_stage' as problem
from periods
left join stages on periods.grain = stages.grain and periods.ends_on = stages.ends_on
where
    periods.dimension = 'total'
    and periods.ends_on >= (select first_on from clock)
    and (
        stages.least_count < 0
        {%- for name in ["new", "returning", "resurrecting", "dormant"] %}
            or periods.{{ name }}_count is distinct from stages.{{ name }}_count
        {%- endfor %}
        or periods.dormant_stock_count - periods.dormant_count is distinct from stages.inactive_count
    )
union all
select
    staged.grain,
    staged.night_on as period_on,
    'stage' as dimension,
    staged.stage as value,
    'differs from lifecycle_flow_daily' as problem
from staged
left join closing on staged.night_on = closing.night_on and staged.stage = closing.stage
where staged.user_count is distinct from closing.user_count
