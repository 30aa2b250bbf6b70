{{ windowed("version_on", start="facts_from") }}

{%- set rules = gap_rules() %}

with
    clock as (select facts_from from {{ ref("int_clock") }}),
    nights as (select night_on from {{ ref("int_night") }}),
    exclusions as (select subject_id as user_id, from_on, to_on from {{ ref("int_exclusion") }} where subject = 'user'),
    purchase_days as (
        select user_id, activity_on, top_category_rank from {{ ref("int_user_day") }} where order_count > 0
    ),
    versions as (select distinct cast(date_trunc('month', night_on) as date) as version_on from nights),
    {#- A version looks at purchase days that were followed for long enough before anything that can still arrive. -#}
    due as (
        select
            version_on, {{ days_after("version_on", -1 - purchase_lateness() - rules["follow_days"]) }} as learned_to_on
        from versions
        where version_on >= (select facts_from from clock)
    ),
    ranked as (
        select
            user_id,
            activity_on as began_on,
            max(top_category_rank) over (
                partition by user_id order by activity_on rows unbounded preceding
            ) as category_rank,
            {{ days_between("activity_on", "lead(activity_on) over (partition by user_id order by activity_on)") }}
            as gap_days
        from purchase_days
        where activity_on <= (select {{ days_after("max(learned_to_on)", rules["follow_days"]) }} from due)
    ),
    counted as (
        select
            ranked.began_on,
            {{ ranked_tail("ranked.category_rank") }} as category,
            case when ranked.gap_days <= {{ rules["follow_days"] }} then ranked.gap_days end as gap_days,
            count(*) as purchase_days
        from ranked
        left join
            exclusions
            on ranked.user_id = exclusions.user_id
            and ranked.began_on >= exclusions.from_on
            and ranked.began_on < coalesce(exclusions.to_on, {{ no_end() }})
        where exclusions.user_id is null
        group by ranked.began_on, ranked.category_rank, ranked.gap_days
    ),
    learned as (
        select due.version_on, due.learned_to_on, counted.category, counted.gap_days, counted.purchase_days
        from due
        inner join counted on counted.began_on <= due.learned_to_on
    ),
    gaps as (
        select version_on, category, gap_days, sum(purchase_days) as purchase_days
        from learned
        where category is not null
        group by version_on, category, gap_days
        union all
        select version_on, {{ every_category() }} as category, gap_days, sum(purchase_days) as purchase_days
        from learned
        group by version_on, gap_days
    ),
    running as (
        select
            version_on,
            category,
            gap_days,
            purchase_days,
            sum(case when gap_days is not null then purchase_days else 0 end) over (
                partition by version_on, category order by gap_days nulls last rows unbounded preceding
            ) as returns_so_far,
            sum(case when gap_days is not null then purchase_days else 0 end) over (
                partition by version_on, category
            ) as returns
        from gaps
    ),
    quantiles as (
        select
            version_on,
            category,
            sum(purchase_days) as purchase_day_count,
            max(returns) as gap_count
            {%- for name, hundredths in gap_thresholds().items() %}
                , min(case when returns_so_far * 100 >= returns * {{ hundredths }} then gap_days end) as {{ name }}
            {%- endfor %}
        from running
        group by version_on, category
    ),
    declared as (
        {%- for each in rules.get("declared", []) %}
            select
                {{ text_literal(each["category"]) }} as category
                {%- for name in gap_thresholds() %}, {{ each[name] }} as {{ name }} {%- endfor %}
            union all
        {%- endfor %}
        select
            cast(null as string) as category
            {%- for name in gap_thresholds() %}, {{ rules["default"].get(name, 0) }} as {{ name }} {%- endfor %}
    ),
    categories as (
        select version_on, learned_to_on, {{ every_category() }} as category
        from due
        union
        select due.version_on, due.learned_to_on, declared.category
        from due
        cross join declared
        where declared.category is not null
        union
        select due.version_on, due.learned_to_on, quantiles.category
        from due
        inner join quantiles on due.version_on = quantiles.version_on
    )

select
    categories.version_on,
    categories.category,
    {{ days_after("categories.learned_to_on", rules["follow_days"]) }} as learned_to_on,
    cast(coalesce(own.purchase_day_count, 0) as bigint) as purchase_day_count,
    cast(coalesce(own.gap_count, 0) as bigint) as gap_count,
    case
        when stated.category is not null
        then 'declared'
        when own.gap_count >= {{ rules["min_gaps"] }}
        then 'learned'
        else 'too_few_gaps'
    end as source,
    {%- for name in gap_thresholds() %}
        cast(
            case
                when stated.category is not null
                then stated.{{ name }}
                when own.gap_count >= {{ rules["min_gaps"] }}
                then own.{{ name }}
                when everybody_stated.category is not null
                then everybody_stated.{{ name }}
                when everybody.gap_count >= {{ rules["min_gaps"] }}
                then everybody.{{ name }}
                else fallback.{{ name }}
            end as bigint
        ) as {{ name }} {{- "," if not loop.last }}
    {%- endfor %}
from categories
cross join (select {{ gap_thresholds().keys() | join(", ") }} from declared where category is null) as fallback
left join declared as stated on categories.category = stated.category
left join declared as everybody_stated on everybody_stated.category = {{ every_category() }}
left join quantiles as own on categories.version_on = own.version_on and categories.category = own.category
left join
    quantiles as everybody
    on categories.version_on = everybody.version_on
    and everybody.category = {{ every_category() }}
