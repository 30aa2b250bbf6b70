{{ config(materialized="table") }}

{#- Windows in days of every measure; each measure also has its lifetime sum. -#}
{%- set windows = {
    "order_count": [7, 30, 90, 365],
    "unpriced_order_count": [90],
    "spend_amount": [7, 30, 90, 365],
    "item_count": [30, 90, 365],
    "discount_amount": [90, 365],
    "refund_amount": [90, 365],
    "active_days": [7, 30, 90, 365],
    "event_count": [7, 30, 90],
    "session_count": [7, 30, 90],
    "engaged_session_count": [30, 90],
    "session_seconds": [30, 90],
    "touch_count": [30, 90],
    "open_count": [90],
    "click_count": [90],
    "redemption_count": [30, 90, 365],
    "payment_failure_count": [30],
    "cancelled_order_count": [90],
    "ticket_count": [90],
    "referral_count": [90],
    "feedback_count": [90],
    "content_count": [90],
    "point_count": [90, 365],
    "plan_order_count": [],
    "unsubscribe_count": [],
    "complaint_count": [],
} -%}
{#- Measures that only their lifetime sum is used of. -#}
{%- set parts = [
    "weekend_order_count",
    "evening_order_count",
    "new_store_count",
    "new_category_count",
    "new_campaign_count",
    "category_spend_amount",
    "purchase_day_count",
] -%}
{%- for step in value_chain() if step["measure"] not in windows and step["measure"] not in parts -%}
    {%- do parts.append(step["measure"]) -%}
{%- endfor -%}
{#- What is carried as the least or greatest value so far. -#}
{%- set extremes = {
    "first_order_day": "min",
    "last_order_day": "max",
    "last_plan_order_day": "max",
    "last_active_day": "max",
    "last_touch_day": "max",
    "last_ranked_gap": "max",
    "largest_order_amount": "max",
    "top_category_rank": "max",
} -%}
{#- Every sum as (name, measure, days of its window or 0 for the lifetime). -#}
{%- set sums = [] -%}
{%- for measure in (windows.keys() | list) + parts -%}
    {%- for window in windows.get(measure, []) -%}
        {%- do sums.append((measure ~ "_" ~ window ~ "d", measure, window)) -%}
    {%- endfor -%}
    {%- do sums.append((measure, measure, 0)) -%}
{%- endfor -%}
{%- set sum_types = {} -%}
{%- for name, measure, window in sums -%}
    {%- do sum_types.update({measure: "decimal(18, 2)" if measure.endswith("_amount") else "bigint"}) -%}
{%- endfor -%}
{#- What only a day with an order can have; it is added up over those days alone, a fifth of all. -#}
{%- set of_orders = [
    "order_count",
    "unpriced_order_count",
    "spend_amount",
    "item_count",
    "discount_amount",
    "plan_order_count",
    "weekend_order_count",
    "evening_order_count",
    "new_store_count",
    "new_category_count",
    "category_spend_amount",
    "purchase_day_count",
    "first_order_day",
    "last_order_day",
    "last_plan_order_day",
    "last_ranked_gap",
    "largest_order_amount",
    "top_category_rank",
] -%}
{%- set carried = (extremes.keys() | list) + (sums | map("first") | list) -%}

{#- What the user has declared, as it was known that night; age and birthday come from it. -#}
{%- set attributes = ["gender", "income_band", "household", "region", "city_tier", "language", "channel", "plan"] -%}

{#- Stands for the end of what stands for good: see no_end. -#}
{%- set no_day = 999999999 -%}

{#- Written out where it is read: a shared CTE would be a copy of all history. -#}
{%- set days -%}
        select
            user_id,
            day_number,
            case when order_count > 0 then day_number end as first_order_day,
            case when order_count > 0 then day_number end as last_order_day,
            case when plan_order_count > 0 then day_number end as last_plan_order_day,
            case when active_days > 0 then day_number end as last_active_day,
            case when touch_count > 0 then day_number end as last_touch_day,
            day_number * 100000 + gap_days as last_ranked_gap,
            largest_order_amount,
            top_category_rank,
            case when order_count > 0 then 1 else 0 end as purchase_day_count
            {%- for measure in (windows.keys() | list) + parts if measure not in ["purchase_day_count", "point_count"] %}
                , coalesce({{ measure }}, 0) as {{ measure }}
            {%- endfor %},
            {{ points() }} as point_count
        from {{ ref("int_user_day") }}
{%- endset %}

with
    users as (
        select
            user_id,
            known_from_on,
            known_to_on,
            registered_on,
            birth_date,
            age_band,
            trial_ends_on,
            {{ attributes | join(",\n            ") }}
        from {{ ref("int_user") }}
    ),
    nights as (select night_on, day_number from {{ ref("int_night") }} where is_in_window),
    plan_nights as (
        select
            user_id,
            night_on,
            paid_up_from_on,
            paid_up_to_on,
            is_paid_up,
            paid_until_on,
            paid_period_number,
            plan,
            monthly_amount,
            trial_ends_on
        from {{ ref("int_user_plan_night") }}
    ),
    thresholds as (
        select version_on, category, {{ gap_thresholds().keys() | join(", ") }} from {{ ref("int_gap_threshold") }}
    ),
    bounds as (select min(day_number) as first_day, max(day_number) as last_day from nights),
    panel as (
        select
            users.user_id,
            nights.day_number,
            nights.night_on,
            users.registered_on,
            users.birth_date,
            users.age_band,
            users.trial_ends_on
            {%- for name in attributes %}, users.{{ name }} {%- endfor %}
        from users
        inner join
            nights
            on nights.night_on >= users.known_from_on
            and nights.night_on >= users.registered_on
            and (users.known_to_on is null or nights.night_on < users.known_to_on)
    ),

    {#- The first night of the window is one pass over the days, whatever their number, and one over those with an order. -#}
    {%- for part, measures_of_orders in [("opening_orders", true), ("opening_days", false)] %}
        {{ part }} as (
            select
                user_id
                {%- for column, how in extremes.items() if (column in of_orders) == measures_of_orders %}
                    , {{ how }} ({{ column }}) as {{ column }}
                {%- endfor %}
                {%- for name, measure, window in sums if (measure in of_orders) == measures_of_orders %}
                    {%- set value -%}
                    {%- if window -%}
                        case when day_number > (select first_day from bounds) - {{ window }} then {{ measure }} end
                    {%- else -%} {{ measure }}
                    {%- endif -%}
                    {%- endset %},
                    cast(sum({{ value }}) as {{ sum_types[measure] }}) as {{ name }}
                {%- endfor %}
            from ({{ days }}) as days
            where
                day_number <= (select first_day from bounds)
                {%- if measures_of_orders %} and order_count > 0 {%- endif %}
            group by user_id
        ),
    {%- endfor %}
    opening as (
        select opening_days.user_id, {{ carried | join(", ") }}
        from opening_days
        left join opening_orders on opening_days.user_id = opening_orders.user_id
    ),

    {#-
        Later nights follow from it by what moves: a day enters every window on its date and leaves each when its length is over.
        Nights on which nothing of a user moves are not looked at.
    -#}
    shifts as (
        {%- for shift in [0, 7, 30, 90, 365] %}
            select {{ shift }} as shift {{ "union all" if not loop.last }}
        {%- endfor %}
    ),
    moves as (
        select
            days.user_id,
            days.day_number + shifts.shift as day_number,
            {%- for column in extremes %}
                case when shifts.shift = 0 then days.{{ column }} end as {{ column }},
            {%- endfor %}
            {%- for name, measure, window in sums %}
                case
                    when shifts.shift = 0
                    then days.{{ measure }}
                    {%- if window %} when shifts.shift = {{ window }} then - days.{{ measure }} {%- endif %}
                    else 0
                end as {{ name }} {{- "," if not loop.last }}
            {%- endfor %}
        from ({{ days }}) as days
        inner join
            shifts
            on days.day_number + shifts.shift > (select first_day from bounds)
            and days.day_number + shifts.shift <= (select last_day from bounds)
    ),
    moved as (
        select
            user_id,
            day_number,
            {%- for column, how in extremes.items() %} {{ how }} ({{ column }}) as {{ column }}, {%- endfor %}
            {%- for name, measure, window in sums %}
                cast(sum({{ name }}) as {{ sum_types[measure] }}) as {{ name }} {{- "," if not loop.last }}
            {%- endfor %}
        from moves
        group by user_id, day_number
    ),
    movers as (select distinct user_id from moved),
    turns as (
        select opening.user_id, bounds.first_day as day_number, {{ carried | join(", ") }}
        from opening
        inner join movers on opening.user_id = movers.user_id
        cross join bounds
        union all
        select user_id, day_number, {{ carried | join(", ") }}
        from moved
    ),
    running as (
        select
            user_id,
            day_number as from_day,
            coalesce(lead(day_number) over (partition by user_id order by day_number), {{ no_day }}) as to_day,
            {%- for column, how in extremes.items() %}
                {{ how }} ({{ column }}) over so_far as {{ column }},
            {%- endfor %}
            {%- for name, measure, window in sums %}
                sum({{ name }}) over so_far as {{ name }} {{- "," if not loop.last }}
            {%- endfor %}
        from turns
        window so_far as (partition by user_id order by day_number rows unbounded preceding)
    ),

    {#- Who does not move is as in the opening, all nights long. -#}
    standing as (
        select user_id, from_day, to_day, {{ carried | join(", ") }}
        from running
        union all
        select opening.user_id, bounds.first_day as from_day, {{ no_day }} as to_day, {{ carried | join(", ") }}
        from opening
        left join movers on opening.user_id = movers.user_id
        cross join bounds
        where movers.user_id is null
    ),
    summed as (
        select
            panel.user_id,
            panel.day_number,
            panel.night_on,
            panel.registered_on,
            coalesce({{ days_after("plan_nights.trial_ends_on", -1) }}, panel.trial_ends_on) as trial_ends_on,
            panel.birth_date,
            panel.age_band,
            coalesce(plan_nights.is_paid_up, false) as is_paid_up,
            plan_nights.paid_until_on,
            plan_nights.paid_period_number,
            plan_nights.monthly_amount,
            {{ days_between("cast('1970-01-01' as date)", "plan_nights.paid_up_from_on") }} as paid_up_from_day,
            {{ days_between("cast('1970-01-01' as date)", "plan_nights.paid_up_to_on") }} as paid_up_to_day,
            cast(extract(year from panel.night_on) - extract(year from panel.birth_date) as integer) as years,
            {%- for name in attributes %}
                {{ "coalesce(plan_nights.plan, panel.plan) as plan" if name == "plan" else "panel." ~ name }},
            {%- endfor %}
            {%- for column in extremes %} standing.{{ column }}, {%- endfor %}
            {%- for name, measure, window in sums %}
                cast(coalesce(standing.{{ name }}, 0) as {{ sum_types[measure] }}) as {{ name }}
                {{- "," if not loop.last }}
            {%- endfor %}
        from panel
        left join
            standing
            on panel.user_id = standing.user_id
            and panel.day_number >= standing.from_day
            and panel.day_number < standing.to_day
        left join plan_nights on panel.user_id = plan_nights.user_id and panel.night_on = plan_nights.night_on
    ),

    {#- A 29 February is kept on the 28th in years without one, as everywhere in the project. -#}
    aged as (
        select
            cast(
                years - case when {{ years_after("birth_date", "years") }} > night_on then 1 else 0 end as bigint
            ) as age,
            {{
                days_between(
                    "night_on",
                    "case when "
                    ~ years_after("birth_date", "years")
                    ~ " >= night_on then "
                    ~ years_after("birth_date", "years")
                    ~ " else "
                    ~ years_after("birth_date", "(years + 1)")
                    ~ " end",
                )
            }} as days_to_birthday,
            age_band,
            {%- for name in attributes %} {{ name }}, {%- endfor %}
            user_id,
            day_number,
            night_on,
            registered_on,
            trial_ends_on,
            is_paid_up,
            paid_until_on,
            paid_period_number,
            monthly_amount,
            paid_up_from_day,
            paid_up_to_day,
            {{ carried | join(", ") }}
        from summed
    )

select
    user_id,
    night_on,
    gender,
    age,
    case
        {%- for bound in age_bounds() %}
            when age < {{ bound }}
            then
                '{{ "under" if loop.first else age_bounds()[loop.index0 - 1] ~ "-" ~ (bound - 1) }}{{ " " ~ bound if loop.first }}'
        {%- endfor %}
        when age >= {{ age_bounds() | last }}
        then '{{ age_bounds() | last }}+'
        else age_band
    end as age_band,
    days_to_birthday,
    {%- for name in attributes if name != "gender" %} {{ name }}, {%- endfor %}
    registered_on,
    {{ days_between("registered_on", "night_on") }} as days_since_registered,
    {{ days_after("cast('1970-01-01' as date)", "first_order_day") }} as first_order_on,
    {{ days_after("cast('1970-01-01' as date)", "last_order_day") }} as last_order_on,
    day_number - first_order_day as days_since_first_order,
    day_number - last_order_day as days_since_order,
    plan is not null as has_plan,
    {{ days_between("night_on", "trial_ends_on") }} as days_to_trial_end,
    day_number - last_plan_order_day as days_since_plan_order,
    is_paid_up,
    case when is_paid_up then day_number - paid_up_from_day + 1 end as days_paid_up,
    case when is_paid_up then {{ days_between("night_on", "paid_until_on") }} - 1 end as days_to_paid_end,
    case when is_paid_up then paid_period_number end as paid_period_number,
    case when is_paid_up then monthly_amount end as monthly_plan_amount,
    {#- Who bought something else lately is judged by that; a plan bought since the end has begun anew. -#}
    case
        when
            not is_paid_up
            and (last_order_day is null or (last_order_day = last_plan_order_day and last_order_day < paid_up_to_day))
        then day_number - paid_up_to_day
    end as days_since_paid_end,
    case
        when is_paid_up
        then 0
        else
            day_number
            - greatest(coalesce(last_order_day, paid_up_to_day - 1), coalesce(paid_up_to_day - 1, last_order_day))
    end as days_since_paid,
    day_number - last_active_day as days_since_active,
    day_number - last_touch_day as days_since_touch,
    cast(purchase_day_count as bigint) as purchase_day_count,
    {{ ratio("last_order_day - first_order_day", "purchase_day_count - 1", 9, 2) }} as average_gap_days,
    mod(last_ranked_gap, 100000) as last_gap_days,
    {%- for measure, lengths in windows.items() %}
        {%- for suffix in lengths | map("string") | map("replace", "", "_", 1) | list + [""] %}
            cast(
                {{ measure }}{{ suffix ~ "d" if suffix }} as {{ sum_types[measure] }}
            ) as {{ measure }}{{ suffix ~ "d" if suffix }},
        {%- endfor %}
    {%- endfor %}
    {{ share("least(engaged_session_count_90d, session_count_90d)", "session_count_90d") }}
    as engaged_session_share_90d,
    {{ ratio("spend_amount", "(order_count - unpriced_order_count)", 18, 2) }} as average_order_amount,
    {{ ratio("spend_amount_90d", "(order_count_90d - unpriced_order_count_90d)", 18, 2) }} as average_order_amount_90d,
    largest_order_amount,
    {{ ratio("item_count", "order_count", 18, 2) }} as average_item_count,
    {{ share("discount_amount_90d", "discount_amount_90d + spend_amount_90d") }} as discount_share_90d,
    {{ share("discount_amount_365d", "discount_amount_365d + spend_amount_365d") }} as discount_share_365d,
    {{ share("discount_amount", "discount_amount + spend_amount") }} as discount_share,
    {{ share("weekend_order_count", "order_count") }} as weekend_share,
    {{ share("evening_order_count", "order_count") }} as evening_share,
    cast(new_store_count as bigint) as store_count,
    cast(new_category_count as bigint) as category_count,
    {{ ranked_tail("top_category_rank") }} as top_category,
    {{ share(ranked_amount("top_category_rank"), "category_spend_amount") }} as top_category_share,
    cast(new_campaign_count as bigint) as campaign_count,
    {{ share("least(redemption_count, touch_count)", "touch_count") }} as response_share,
    case
        {%- for step in value_chain() %}
            when {{ step["measure"] }} < {{ step["count"] }} then {{ text_literal(step["name"]) }}
        {%- else %} when false then ''
        {%- endfor %}
    end as next_key_behaviour
    {%- for name in gap_thresholds() %}, coalesce(own.{{ name }}, usual.{{ name }}) as {{ name }} {%- endfor %}
from aged
left join
    thresholds as usual
    on date_trunc('month', aged.night_on) = usual.version_on
    and usual.category = {{ every_category() }}
left join
    thresholds as own
    on date_trunc('month', aged.night_on) = own.version_on
    and {{ ranked_tail("aged.top_category_rank") }} = own.category
