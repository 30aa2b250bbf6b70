{%- do ref("int_user_day") -%} {%- do ref("int_active_day") -%}
{%- set used = {} -%}
{%- for retention in retentions() -%}
    {%- for activity in [retention["start"], retention["returns"]] -%}
        {%- do used.update({retention["grain"] ~ "_" ~ activity: (retention["grain"], activity)}) -%}
    {%- endfor -%}
{%- endfor -%}
{%- set used_grains = retentions() | map(attribute="grain") | unique | sort -%}

with
    clock as (select as_of, {{ days_after("as_of", 1) }} as tomorrow_on from {{ ref("int_clock") }}),
    users as (
        select user_id, registered_on
        from {{ ref("int_user") }}
        where known_to_on is null and registered_on <= (select as_of from clock)
    ),
    versions as (
        select
            versions.user_id,
            versions.from_on,
            versions.to_on,
            versions.birth_date,
            versions.age_band
            {%- for name in declared_dimensions() %}, versions.{{ name }} {%- endfor %}
        from {{ ref("int_user_version") }} as versions
        inner join users on versions.user_id = users.user_id
    ),
    {#- Each period in which somebody did something, once; a day is one already. -#}
    {%- for name, (grain, activity) in used.items() %}
        {{ name }} as (
            select
                user_id,
                {{ period_number(grain, "activity_on") }} as period_number,
                {{ "activity_on" if grain == "day" else "min(activity_on)" }} as first_on
            from ({{ dates_of(activity) }}) as dates
            where activity_on <= (select as_of from clock)
            {%- if grain != "day" %} group by user_id, {{ period_number(grain, "activity_on") }} {%- endif %}
        ),
    {%- endfor %}
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
