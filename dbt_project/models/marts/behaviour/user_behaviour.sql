{%- set rules = habit_rules() -%}

with
    clock as (
        select
            as_of,
            business_zone,
            {{ days_after("as_of", -6) }} as week_from,
            {{ days_after("as_of", -29) }} as month_from,
            {{ days_after("as_of", -89) }} as quarter_from,
            {{ days_after("as_of", 1 - (rules["lookback_days"] | default(180))) }} as habits_from
        from {{ ref("int_clock") }}
    ),
    {#- Users are numbered: whatever is sorted and grouped by user below costs half as much by a number as by a text. -#}
    users as (
        select user_id, cast(row_number() over (order by user_id) as integer) as user_number
        from {{ ref("int_user") }}
        where known_to_on is null and registered_on <= (select as_of from clock)
    ),
    days as (
        select
            users.user_number,
            days.activity_on,
            days.active_days,
            case when days.event_count > 0 then days.search_count end as search_count,
            days.first_active_at
        from {{ ref("int_user_day") }} as days
        inner join users on days.user_id = users.user_id
        where days.activity_on between (select habits_from from clock) and (select as_of from clock)
    ),
    category_days as (
        select user_id, category, activity_on, spend_amount
        from {{ ref("int_user_category_day") }}
        where activity_on between (select habits_from from clock) and (select as_of from clock)
    ),
    orders as (
        select user_id, amount, discount_amount
        from {{ ref("int_order") }}
        where
            is_purchase
            and user_id is not null
            and ordered_on between (select habits_from from clock) and (select as_of from clock)
    ),
    lines as (
        select users.user_number, lines.category, cast(lines.unit_price as double) as unit_price
        from {{ ref("int_purchase_line") }} as lines
        inner join users on lines.user_id = users.user_id
        where
            lines.category is not null
            and lines.unit_price > 0
            and lines.ordered_on between (select habits_from from clock) and (select as_of from clock)
    ),

    active as (
        select
            days.user_number,
            days.activity_on,
            {{ business_hour("days.first_active_at", "clock.business_zone") }} as hour_of_day,
            {{ iso_weekday("days.activity_on") }} as weekday
        from days
        cross join clock
        where days.active_days > 0
    ),
    counted as (
        select
            days.user_number,
            count(case when days.active_days > 0 and days.activity_on >= clock.week_from then 1 end) as active_days_7d,
            count(
                case when days.active_days > 0 and days.activity_on >= clock.month_from then 1 end
            ) as active_days_30d,
            count(
                case when days.active_days > 0 and days.activity_on >= clock.quarter_from then 1 end
            ) as active_days_90d,
            sum(case when days.activity_on >= clock.quarter_from then days.search_count end) as search_count_90d,
            sum(days.active_days) as habit_days
        from days
        cross join clock
        group by days.user_number
    ),
    spaced as (
        select
            user_number,
            {{ days_between("lag(activity_on) over (partition by user_number order by activity_on)", "activity_on") }}
            as gap_days
        from active
    ),
    gap_places as (
        select
            user_number,
            gap_days,
            row_number() over (partition by user_number order by gap_days) as place,
            count(*) over (partition by user_number) as gap_count
        from spaced
        where gap_days is not null
    ),
    gaps as (
        select
            user_number,
            count(*) as gap_count,
            {{ percentile_at(50, "gap_days", "place", "gap_count") }} as gap_median_days,
            {{ percentile_at(90, "gap_days", "place", "gap_count") }} as gap_p90_days
        from gap_places
        group by user_number
    ),

    {#-
        Of hours and weekdays with equally many days the one used last is preferred, then the earlier one: the greatest of one number
        made of the three, where an hour or weekday is counted back from 99.
    -#}
    {%- for part in ["hour_of_day", "weekday"] %}
        {{ part }}_days as (
            select user_number, {{ part }}, count(*) as day_count, max(activity_on) as last_on
            from active
            group by user_number, {{ part }}
        ),
        {{ part }}_ranks as (
            select
                user_number,
                max(day_count) as day_count,
                99 - mod(
                    max(
                        day_count * 1000000000
                        + {{ days_between("cast('1970-01-01' as date)", "last_on") }} * 100
                        + 99
                        - {{ part }}
                    ),
                    100
                ) as {{ part }}
            from {{ part }}_days
            group by user_number
        ),
    {%- endfor %}

    category_sums as (
        select user_id, category, sum(spend_amount) as spend_amount, max(activity_on) as last_on
        from category_days
        group by user_id, category
    ),
    category_ranks as (
        select
            user_id,
            category,
            spend_amount,
            sum(spend_amount) over (partition by user_id) as whole_amount,
            row_number() over (partition by user_id order by spend_amount desc, last_on desc, category) as place
        from category_sums
    ),
    categories as (
        select
            user_id,
            max(case when place = 1 then category end) as top_category,
            max(case when place = 1 then spend_amount end) as top_amount,
            max(case when place = 2 then category end) as second_category,
            max(case when place = 2 then spend_amount end) as second_amount,
            max(whole_amount) as whole_amount
        from category_ranks
        group by user_id
    ),

    {#- What a user picks, against what is usual in its category: 1 is the middle of the category. -#}
    category_prices as (
        select category, percentile_cont(0.5) within group (order by unit_price) as middle_price
        from lines
        group by category
        having count(*) >= {{ rules["minimum_category_lines"] | default(1) }}
    ),
    relative_prices as (
        select lines.user_number, lines.unit_price / category_prices.middle_price as relative_price
        from lines
        inner join category_prices on lines.category = category_prices.category
    ),
    price_places as (
        select
            user_number,
            relative_price,
            row_number() over (partition by user_number order by relative_price) as place,
            count(*) over (partition by user_number) as line_count
        from relative_prices
    ),
    price_indexes as (
        select
            user_number,
            count(*) as priced_line_count,
            cast({{ percentile_at(50, "relative_price", "place", "line_count") }} as decimal(18, 4)) as price_index
        from price_places
        group by user_number
    ),
    spending as (
        select
            user_id,
            count(*) as order_count,
            sum({{ one_if("discount_amount > 0") }}) as discounted_order_count,
            sum(discount_amount) as discount_amount,
            coalesce(sum(amount), 0) as amount
        from orders
        group by user_id
    ),

    known as (
        select
            users.user_id,
            users.user_number,
            coalesce(counted.active_days_7d, 0) as active_days_7d,
            coalesce(counted.active_days_30d, 0) as active_days_30d,
            coalesce(counted.active_days_90d, 0) as active_days_90d,
            counted.search_count_90d,
            coalesce(counted.habit_days, 0) as habit_days,
            coalesce(gaps.gap_count, 0) as gap_count,
            gaps.gap_median_days,
            gaps.gap_p90_days,
            coalesce(spending.order_count, 0) as order_count,
            spending.discounted_order_count,
            spending.discount_amount,
            spending.amount,
            coalesce(price_indexes.priced_line_count, 0) as priced_line_count,
            price_indexes.price_index,
            categories.top_category,
            categories.top_amount,
            categories.second_category,
            categories.second_amount,
            categories.whole_amount,
            coalesce(counted.habit_days, 0) >= {{ rules["minimum_active_days"] | default(1) }} as has_habit,
            coalesce(gaps.gap_count, 0) >= {{ rules["minimum_gaps"] | default(1) }} as has_gaps,
            coalesce(spending.order_count, 0) >= {{ rules["minimum_orders"] | default(1) }} as has_orders,
            coalesce(price_indexes.priced_line_count, 0) >= {{ rules["minimum_lines"] | default(1) }} as has_prices
        from users
        left join counted on users.user_number = counted.user_number
        left join gaps on users.user_number = gaps.user_number
        left join spending on users.user_id = spending.user_id
        left join price_indexes on users.user_number = price_indexes.user_number
        left join categories on users.user_id = categories.user_id
    )

select
    known.user_id,
    cast(known.active_days_7d as bigint) as active_days_7d,
    cast(known.active_days_30d as bigint) as active_days_30d,
    cast(known.active_days_90d as bigint) as active_days_90d,
    cast(known.search_count_90d as bigint) as search_count_90d,
    cast(known.habit_days as bigint) as habit_day_count,
    case when known.has_habit then cast(hour_of_day_ranks.hour_of_day as bigint) end as preferred_hour,
    case
        when known.has_habit then {{ share("hour_of_day_ranks.day_count", "known.habit_days") }}
    end as preferred_hour_share,
    case when known.has_habit then cast(weekday_ranks.weekday as bigint) end as preferred_weekday,
    case
        when known.has_habit then {{ share("weekday_ranks.day_count", "known.habit_days") }}
    end as preferred_weekday_share,
    cast(known.gap_count as bigint) as gap_count,
    case when known.has_gaps then cast(known.gap_median_days as decimal(9, 2)) end as gap_median_days,
    case when known.has_gaps then cast(known.gap_p90_days as decimal(9, 2)) end as gap_p90_days,
    cast(known.order_count as bigint) as order_count,
    case when known.has_orders then known.top_category end as top_category,
    case when known.has_orders then {{ share("known.top_amount", "known.whole_amount") }} end as top_category_share,
    case when known.has_orders then known.second_category end as second_category,
    case
        when known.has_orders then {{ share("known.second_amount", "known.whole_amount") }}
    end as second_category_share,
    cast(known.priced_line_count as bigint) as priced_line_count,
    case when known.has_prices then known.price_index end as price_index,
    case
        when not known.has_prices
        then null
        when known.price_index < {{ rules["low_price_index"] | default(1) }}
        then 'low'
        when known.price_index > {{ rules["high_price_index"] | default(1) }}
        then 'high'
        else 'middle'
    end as price_band,
    case
        when known.has_orders then {{ share("known.discounted_order_count", "known.order_count") }}
    end as discounted_order_share,
    case
        when known.has_orders then {{ share("known.discount_amount", "known.amount + known.discount_amount") }}
    end as discount_share
from known
left join hour_of_day_ranks on known.user_number = hour_of_day_ranks.user_number
left join weekday_ranks on known.user_number = weekday_ranks.user_number
