{{ config(materialized="table") }}

with
    clock as (select as_of, facts_from from {{ ref("int_clock") }}),
    periods as (select user_id, grain, period_number, ends_on from {{ ref("int_user_period") }}),
    firsts as (select user_id, registered_on from {{ ref("int_user_first_active") }}),
    bounds as (
        {%- for grain in grains() %}
            select
                '{{ grain }}' as grain,
                {{ period_number(grain, "facts_from") }} as window_number,
                {{ period_number(grain, "as_of") }} as last_number
            from clock {{ "union all" if not loop.last }}
        {%- endfor %}
    ),

    {#- Of the periods before the window only the last one matters. -#}
    kept as (
        select user_id, grain, max(period_number) as period_number
        from periods
        where ends_on < (select facts_from from clock)
        group by user_id, grain
        union all
        select user_id, grain, period_number
        from periods
        where ends_on >= (select facts_from from clock)
    ),
    spaced as (
        select
            kept.user_id,
            kept.grain,
            kept.period_number,
            lag(kept.period_number) over (
                partition by kept.user_id, kept.grain order by kept.period_number
            ) as previous_number,
            coalesce(
                lead(kept.period_number) over (partition by kept.user_id, kept.grain order by kept.period_number),
                bounds.last_number + 1
            ) as next_number,
            bounds.window_number
        from kept
        inner join bounds on kept.grain = bounds.grain
    ),
    active as (
        select
            spaced.user_id,
            spaced.grain,
            case
                when spaced.previous_number = spaced.period_number - 1
                then 'returning'
                {%- if period_rules()["new_by"] == "person_created" %}
                    when
                        spaced.previous_number is null
                        and case
                            spaced.grain
                            {%- for grain in grains() %}
                                when '{{ grain }}' then {{ period_number(grain, "firsts.registered_on") }}
                            {%- endfor %}
                        end
                        = spaced.period_number
                    then 'new'
                {%- else %} when spaced.previous_number is null then 'new'
                {%- endif %}
                else 'resurrecting'
            end as state,
            spaced.previous_number is null as is_first,
            spaced.period_number
        from spaced
        inner join firsts on spaced.user_id = firsts.user_id
        where spaced.period_number >= spaced.window_number
    ),

    {#- Silence after an active period, cut where its age changes its name. -#}
    ages as (
        {%- for grain in grains() %}
            {%- set outer_last = loop.last %}
            {%- for first, last in silence_ages(grain) %}
                select
                    '{{ grain }}' as grain,
                    cast({{ first }} as bigint) as age_from,
                    cast({{ last or "null" }} as bigint) as age_to
                    {{ "union all" if not (loop.last and outer_last) }}
            {%- endfor %}
        {%- endfor %}
    ),
    silent as (
        select
            spaced.user_id,
            spaced.grain,
            ages.age_from,
            greatest(spaced.period_number + ages.age_from, spaced.window_number) as from_number,
            least(coalesce(spaced.period_number + ages.age_to + 1, spaced.next_number), spaced.next_number) as to_number
        from spaced
        inner join ages on spaced.grain = ages.grain and spaced.next_number > spaced.period_number + ages.age_from
    )

select
    user_id,
    grain,
    state,
    is_first,
    cast(0 as bigint) as age_from,
    period_number as from_number,
    period_number + 1 as to_number
from active
union all
select
    user_id,
    grain,
    case when age_from = 1 then 'dormant' else 'inactive' end as state,
    false as is_first,
    age_from,
    from_number,
    to_number
from silent
where from_number < to_number
