{{ config(materialized="table") }}

{#- Windows in days of every measure; each measure also has its lifetime sum. -#}
{%- set windows = {
    "order_count": [7, 30, 90, 365],
    "spend_amount": [7, 30, 90, 365],
    "item_count": [30, 90, 365],
    "discount_amount": [90, 365],
    "refund_amount": [90, 365],
    "active_days": [7, 30, 90, 365],
    "event_count": [7, 30, 90],
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
] -%}
{%- set measures = (windows.keys() | list) + parts -%}

with
    users as (select user_id, known_from_on, known_to_on, registered_on from {{ ref("int_user") }}),
    nights as (select night_on, day_number from {{ ref("int_night") }} where is_in_window),
    days as (
        select
            user_id,
            day_number,
            largest_order_amount,
            gap_days,
            top_category_rank,
            {{ measures | join(",\n            ") }}
        from {{ ref("int_user_day") }}
    ),

    panel as (
        select users.user_id, nights.day_number, nights.night_on, users.registered_on
        from users
        inner join
            nights
            on nights.night_on >= users.known_from_on
            and nights.night_on >= users.registered_on
            and (users.known_to_on is null or nights.night_on < users.known_to_on)
    ),
    stream as (
        select
            coalesce(panel.user_id, days.user_id) as user_id,
            coalesce(panel.day_number, days.day_number) as day_number,
            panel.night_on,
            panel.registered_on,
            days.largest_order_amount,
            days.top_category_rank,
            case when days.order_count > 0 then days.day_number end as order_day,
            case when days.active_days > 0 then days.day_number end as active_day,
            case when days.touch_count > 0 then days.day_number end as touch_day,
            days.day_number * 100000 + days.gap_days as ranked_gap,
            {%- for measure in measures %}
                coalesce(days.{{ measure }}, 0) as {{ measure }}{{ "," if not loop.last }}
            {%- endfor %}
        from panel
        full outer join days on panel.user_id = days.user_id and panel.day_number = days.day_number
    ),
    summed as (
        select
            user_id,
            day_number,
            night_on,
            registered_on,
            max(largest_order_amount) over lifetime as largest_order_amount,
            max(top_category_rank) over lifetime as top_category_rank,
            min(order_day) over lifetime as first_order_day,
            max(order_day) over lifetime as last_order_day,
            count(order_day) over lifetime as purchase_day_count,
            max(active_day) over lifetime as last_active_day,
            max(touch_day) over lifetime as last_touch_day,
            mod(max(ranked_gap) over lifetime, 100000) as last_gap_days,
            {%- for measure in measures %}
                {%- for window in windows.get(measure, []) %}
                    sum({{ measure }}) over last_{{ window }}d as {{ measure }}_{{ window }}d,
                {%- endfor %}
                sum({{ measure }}) over lifetime as {{ measure }}{{ "," if not loop.last }}
            {%- endfor %}
        from stream
        window
            {%- for window in [7, 30, 90, 365] %}
                last_{{ window }}d as (
                    partition by user_id order by day_number range between {{ window - 1 }} preceding and current row
                ),
            {%- endfor %}
            lifetime as (partition by user_id order by day_number rows unbounded preceding)
    )

select
    user_id,
    night_on,
    registered_on,
    {{ days_between("registered_on", "night_on") }} as days_since_registered,
    {{ days_after("cast('1970-01-01' as date)", "first_order_day") }} as first_order_on,
    {{ days_after("cast('1970-01-01' as date)", "last_order_day") }} as last_order_on,
    day_number - first_order_day as days_since_first_order,
    day_number - last_order_day as days_since_order,
    day_number - last_active_day as days_since_active,
    day_number - last_touch_day as days_since_touch,
    purchase_day_count,
    cast(
        (last_order_day - first_order_day) * 1.0 / nullif(purchase_day_count - 1, 0) as decimal(9, 2)
    ) as average_gap_days,
    last_gap_days,
    {%- for measure, lengths in windows.items() %}
        {%- for suffix in lengths | map("string") | map("replace", "", "_", 1) | list + [""] %}
            cast(
                {{ measure }}{{ suffix ~ "d" if suffix }}
                as {{ "decimal(18, 2)" if measure.endswith("_amount") else "bigint" }}
            ) as {{ measure }}{{ suffix ~ "d" if suffix }},
        {%- endfor %}
    {%- endfor %}
    cast(spend_amount * 1.0 / nullif(order_count, 0) as decimal(18, 2)) as average_order_amount,
    cast(spend_amount_90d * 1.0 / nullif(order_count_90d, 0) as decimal(18, 2)) as average_order_amount_90d,
    largest_order_amount,
    cast(item_count * 1.0 / nullif(order_count, 0) as decimal(18, 2)) as average_item_count,
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
    {{ share("least(redemption_count, touch_count)", "touch_count") }} as response_share
from summed
where night_on is not null
