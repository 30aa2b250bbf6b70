{%- set activities, used_grains = [], [] -%}
{%- for retention in retentions() -%}
    {%- do activities.extend([retention["start"], retention["returns"]]) -%}
    {%- do used_grains.append(retention["grain"]) -%}
{%- endfor -%}
{%- set activities, used_grains = activities | unique | sort, used_grains | unique | sort -%}

with
    clock as (select as_of, {{ days_after("as_of", 1) }} as tomorrow_on from {{ ref("int_clock") }}),
    users as (
        select user_id, registered_on
        from {{ ref("int_user") }}
        where known_to_on is null and registered_on <= (select as_of from clock)
    ),
    versions as (
        select
            user_id,
            from_on,
            to_on,
            birth_date,
            age_band
            {%- for name in declared_dimensions() %}, {{ name }} {%- endfor %}
        from {{ ref("int_user_version") }}
    ),
    dates as ({{ activity_dates(activities) }}),
    known_dates as (
        select dates.user_id, dates.activity_on {%- for name in activities %}, dates.did_{{ name }} {%- endfor %}
        from dates
        inner join users on dates.user_id = users.user_id
        where dates.activity_on <= (select as_of from clock)
    ),
    {%- for grain in used_grains %}
        {{ grain }}_periods as (
            select
                user_id,
                {{ period_number(grain, "activity_on") }} as period_number
                {%- for name in activities %}
                    , min(case when did_{{ name }} = 1 then activity_on end) as {{ name }}_on
                {%- endfor %}
            from known_dates
            group by user_id, {{ period_number(grain, "activity_on") }}
        ),
    {%- endfor %}
    span as (
        select min(known_dates.activity_on) as from_on, max(clock.as_of) as to_on
        from known_dates
        cross join clock
        having count(*) > 0
    ),
    days as ({{ nights("span", "from_on", "to_on") }}),
    offsets as (select {{ days_between("span.from_on", "days.night_on") }} as first_period from days cross join span),
    bounds as (
        select
            as_of
            {%- for grain in used_grains %}
                ,
                {{ period_number(grain, "as_of") }} as last_{{ grain }}_number,
                {{ period_number(grain, "tomorrow_on") }} as {{ grain }}_number
            {%- endfor %}
        from clock
    ),
    {%- for retention in retentions() %} {{ retention_steps(retention) }} {%- endfor %}
    cells as (
        {%- for retention in retentions() %}
            select
                retention,
                label,
                grain,
                kind,
                entry,
                cohort_on,
                dimension,
                value,
                first_period,
                last_period,
                ends_on,
                cohort_size,
                returned_count,
                is_complete
            from {{ retention["name"] }}_cells {{ "union all" if not loop.last }}
        {%- endfor %}
    ),
    compared as (
        select
            retention,
            label,
            grain,
            kind,
            entry,
            cohort_on,
            dimension,
            value,
            first_period,
            last_period,
            ends_on,
            cohort_size,
            returned_count,
            lag(returned_count) over (
                partition by retention, cohort_on, dimension, value order by first_period
            ) as previous_count,
            is_complete
        from cells
    )

select
    retention,
    label,
    grain,
    kind,
    entry,
    cohort_on,
    dimension,
    value,
    cast(first_period as bigint) as first_period,
    cast(last_period as bigint) as last_period,
    ends_on,
    cast(cohort_size as bigint) as cohort_size,
    cast(returned_count as bigint) as returned_count,
    {{ share("returned_count", "cohort_size") }} as retention_share,
    {{ ratio("returned_count", "previous_count", 18, 6) }} as share_of_previous,
    is_complete
from compared
