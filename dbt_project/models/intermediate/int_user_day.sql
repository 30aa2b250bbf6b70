{{ windowed("activity_on", start="facts_from") }}

{#- What is counted of events and of everything else alike. -#}
{%- set counted = {"search_count": "activity = 'search'", "qualifying_count": is_activity("active")} -%}
{%- for kind in activity_kinds() -%} {%- do counted.update({kind ~ "_count": is_activity(kind)}) -%} {%- endfor %}

with
    clock as (select as_of, facts_from, sessions_from from {{ ref("int_clock") }}),
    activity as (
        select user_id, activity_at, activity_on, source_table, activity, is_own, value
        from {{ ref("int_activity") }}
        where
            user_id is not null
            and source_table not in ('users', 'order_items', 'events')
            and activity_on >= (select facts_from from clock)
            and activity_on <= (select as_of from clock)
    ),
    events as (
        select user_id, activity_at, activity_on, activity, is_own
        from {{ ref("int_activity") }}
        where
            user_id is not null
            and source_table = 'events'
            and activity_on >= (select facts_from from clock)
            and activity_on <= (select as_of from clock)
    ),
    orders as (
        select order_id, user_id, ordered_on, amount, discount_amount, merchant_id, is_plan, weekday, hour_of_day
        from {{ ref("int_order") }}
        where is_purchase and user_id is not null
    ),
    refunds as (select refund_id, order_id, refunded_on, amount from {{ ref("stg_refunds") }}),
    lines as (select order_id from {{ ref("stg_order_items") }} where not coalesce(is_return, false)),
    messages as (
        select user_id, campaign_id, activity_on as sent_on
        from {{ ref("int_activity") }}
        where activity = 'touch_sent' and campaign_id is not null
    ),
    sessions as (
        select user_id, started_on, engaged_on, duration_seconds, first_day_seconds
        from {{ ref("int_sessions") }}
        where user_id is not null and started_on >= (select sessions_from from clock)
    ),
    category_days as (
        select user_id, activity_on, category, spend_amount, cumulative_amount
        from {{ ref("int_user_category_day") }}
        where activity_on >= (select facts_from from clock)
    ),

    {#- What was the first time is asked of the whole history, but only of users with something new. -#}
    purchases as (
        select order_id, user_id, ordered_on, amount, discount_amount, merchant_id, is_plan, weekday, hour_of_day
        from orders
        where user_id in (select user_id from orders where ordered_on >= (select facts_from from clock))
    ),
    touches as (
        select user_id, campaign_id, sent_on
        from messages
        where user_id in (select user_id from messages where sent_on >= (select facts_from from clock))
    ),

    {#- A refund of an order that still counts as a purchase, of the buyer; not before the order, whose next version would move it. -#}
    refunded as (
        select
            orders.user_id,
            greatest(refunds.refunded_on, orders.ordered_on) as refunded_on,
            refunds.amount,
            coalesce(orders.amount, 0) - sum(refunds.amount) over (
                partition by refunds.order_id
                order by refunds.refunded_on, refunds.refund_id
                rows between unbounded preceding and current row
            ) as left_amount
        from refunds
        inner join orders on refunds.order_id = orders.order_id
    ),
    {#- Nobody gets back more than was paid: what goes beyond the order (the whole noted beside its parts) is not counted. -#}
    purchase_refunds as (
        select user_id, refunded_on, greatest(amount + least(left_amount, 0), 0) as amount from refunded
    ),
    others as (
        select user_id, activity_at, activity_on, source_table, activity, is_own, value
        from activity
        union all
        select
            user_id,
            cast(null as timestamp) as activity_at,
            refunded_on as activity_on,
            'refunds' as source_table,
            'purchase_refund' as activity,
            false as is_own,
            amount as value
        from purchase_refunds
        where refunded_on >= (select facts_from from clock) and refunded_on <= (select as_of from clock)
    ),

    {#- Events are many and only counted; they are added up alone, before they meet the rest. -#}
    event_days as (
        select
            user_id,
            activity_on,
            max(case when is_own then 1 else 0 end) as is_active,
            min(case when is_own then activity_at end) as first_active_at,
            {%- for name, condition in counted.items() %}
                count(case when {{ condition }} then 1 end) as {{ name }},
            {%- endfor %}
            count(*) as event_count
        from events
        group by user_id, activity_on
    ),
    other_days as (
        select
            user_id,
            activity_on,
            max(case when is_own then 1 else 0 end) as is_active,
            min(case when is_own then activity_at end) as first_active_at,
            {%- for name, condition in counted.items() %}
                count(case when {{ condition }} then 1 end) as {{ name }},
            {%- endfor %}
            sum(case when activity = 'refund' then value else 0 end) as refund_amount,
            sum(case when activity = 'purchase_refund' then value else 0 end) as purchase_refund_amount,
            count(case when activity = 'touch_sent' then 1 end) as touch_count,
            count(case when activity = 'touch_opened' then 1 end) as open_count,
            count(case when activity = 'touch_clicked' then 1 end) as click_count,
            count(case when activity = 'touch_unsubscribed' then 1 end) as unsubscribe_count,
            count(case when activity = 'touch_complained' then 1 end) as complaint_count,
            count(case when activity = 'incentive_used' then 1 end) as redemption_count,
            count(case when activity = 'payment_failure' then 1 end) as payment_failure_count,
            count(case when activity = 'order_cancelled' then 1 end) as cancelled_order_count,
            count(case when activity = 'ticket_opened' then 1 end) as ticket_count,
            count(case when source_table = 'referrals' then 1 end) as referral_count,
            count(case when source_table = 'feedback' then 1 end) as feedback_count,
            count(case when source_table = 'content' then 1 end) as content_count
        from others
        group by user_id, activity_on
    ),
    activity_days as (
        select
            coalesce(event_days.user_id, other_days.user_id) as user_id,
            coalesce(event_days.activity_on, other_days.activity_on) as activity_on,
            greatest(coalesce(event_days.is_active, 0), coalesce(other_days.is_active, 0)) as is_active,
            least(
                coalesce(event_days.first_active_at, other_days.first_active_at),
                coalesce(other_days.first_active_at, event_days.first_active_at)
            ) as first_active_at,
            {%- for name in counted %}
                coalesce(event_days.{{ name }}, 0) + coalesce(other_days.{{ name }}, 0) as {{ name }},
            {%- endfor %}
            coalesce(event_days.event_count, 0) as event_count,
            coalesce(other_days.refund_amount, 0) as refund_amount,
            coalesce(other_days.purchase_refund_amount, 0) as purchase_refund_amount,
            coalesce(other_days.touch_count, 0) as touch_count,
            coalesce(other_days.open_count, 0) as open_count,
            coalesce(other_days.click_count, 0) as click_count,
            coalesce(other_days.unsubscribe_count, 0) as unsubscribe_count,
            coalesce(other_days.complaint_count, 0) as complaint_count,
            coalesce(other_days.redemption_count, 0) as redemption_count,
            coalesce(other_days.payment_failure_count, 0) as payment_failure_count,
            coalesce(other_days.cancelled_order_count, 0) as cancelled_order_count,
            coalesce(other_days.ticket_count, 0) as ticket_count,
            coalesce(other_days.referral_count, 0) as referral_count,
            coalesce(other_days.feedback_count, 0) as feedback_count,
            coalesce(other_days.content_count, 0) as content_count
        from event_days
        full outer join
            other_days on event_days.user_id = other_days.user_id and event_days.activity_on = other_days.activity_on
    ),
    purchase_days as (
        select
            user_id,
            ordered_on,
            count(*) as order_count,
            count(case when amount is null then 1 end) as unpriced_order_count,
            sum(amount) as spend_amount,
            sum(discount_amount) as discount_amount,
            max(amount) as largest_order_amount,
            count(case when is_plan then 1 end) as plan_order_count,
            count(case when weekday >= 6 then 1 end) as weekend_order_count,
            count(case when hour_of_day >= 18 then 1 end) as evening_order_count,
            {{ days_between("lag(ordered_on) over (partition by user_id order by ordered_on)", "ordered_on") }}
            as gap_days
        from purchases
        group by user_id, ordered_on
    ),
    line_days as (
        select purchases.user_id, purchases.ordered_on, count(*) as item_count
        from purchases
        inner join lines on purchases.order_id = lines.order_id
        where purchases.ordered_on >= (select facts_from from clock)
        group by purchases.user_id, purchases.ordered_on
    ),
    first_stores as (
        select user_id, merchant_id, min(ordered_on) as first_on
        from purchases
        where merchant_id is not null
        group by user_id, merchant_id
    ),
    store_days as (select user_id, first_on, count(*) as new_store_count from first_stores group by user_id, first_on),
    first_campaigns as (
        select user_id, campaign_id, min(sent_on) as first_on from touches group by user_id, campaign_id
    ),
    {#- What a session was by midnight belongs to the day it began on, the rest of it to the next. -#}
    session_parts as (
        select
            user_id,
            started_on as activity_on,
            1 as begun,
            case when engaged_on = started_on then 1 else 0 end as engaged,
            first_day_seconds as seconds
        from sessions
        union all
        select
            user_id,
            {{ days_after("started_on", 1) }} as activity_on,
            0 as begun,
            case when engaged_on > started_on then 1 else 0 end as engaged,
            duration_seconds - first_day_seconds as seconds
        from sessions
        where engaged_on > started_on or duration_seconds > first_day_seconds
    ),
    session_days as (
        select
            user_id,
            activity_on,
            sum(begun) as session_count,
            sum(engaged) as engaged_session_count,
            sum(seconds) as session_seconds
        from session_parts
        group by user_id, activity_on
    ),
    campaign_days as (
        select user_id, first_on, count(*) as new_campaign_count from first_campaigns group by user_id, first_on
    ),
    top_category_days as (
        select
            user_id,
            activity_on,
            sum(spend_amount) as category_spend_amount,
            count(case when cumulative_amount = spend_amount then 1 end) as new_category_count,
            max({{ ranked_text("cumulative_amount", "category") }}) as top_category_rank
        from category_days
        group by user_id, activity_on
    )

select
    activity_days.user_id,
    activity_days.activity_on,
    {{ days_between("cast('1970-01-01' as date)", "activity_days.activity_on") }} as day_number,
    cast(activity_days.is_active as bigint) as active_days,
    activity_days.first_active_at,
    cast(activity_days.qualifying_count as bigint) as qualifying_count,
    {%- for kind in activity_kinds() %}
        cast(activity_days.{{ kind }}_count as bigint) as {{ kind }}_count,
    {%- endfor %}
    cast(activity_days.search_count as bigint) as search_count,
    cast(coalesce(purchase_days.order_count, 0) as bigint) as order_count,
    cast(coalesce(purchase_days.unpriced_order_count, 0) as bigint) as unpriced_order_count,
    cast(coalesce(purchase_days.spend_amount, 0) as decimal(18, 2)) as spend_amount,
    cast(coalesce(purchase_days.discount_amount, 0) as decimal(18, 2)) as discount_amount,
    cast(coalesce(line_days.item_count, 0) as bigint) as item_count,
    cast(purchase_days.largest_order_amount as decimal(18, 2)) as largest_order_amount,
    cast(coalesce(purchase_days.plan_order_count, 0) as bigint) as plan_order_count,
    cast(coalesce(purchase_days.weekend_order_count, 0) as bigint) as weekend_order_count,
    cast(coalesce(purchase_days.evening_order_count, 0) as bigint) as evening_order_count,
    purchase_days.gap_days,
    cast(coalesce(store_days.new_store_count, 0) as bigint) as new_store_count,
    cast(coalesce(top_category_days.new_category_count, 0) as bigint) as new_category_count,
    cast(coalesce(top_category_days.category_spend_amount, 0) as decimal(18, 2)) as category_spend_amount,
    top_category_days.top_category_rank,
    cast(activity_days.refund_amount as decimal(18, 2)) as refund_amount,
    cast(activity_days.purchase_refund_amount as decimal(18, 2)) as purchase_refund_amount,
    cast(activity_days.event_count as bigint) as event_count,
    cast(coalesce(session_days.session_count, 0) as bigint) as session_count,
    cast(coalesce(session_days.engaged_session_count, 0) as bigint) as engaged_session_count,
    cast(coalesce(session_days.session_seconds, 0) as bigint) as session_seconds,
    cast(activity_days.touch_count as bigint) as touch_count,
    cast(activity_days.open_count as bigint) as open_count,
    cast(activity_days.click_count as bigint) as click_count,
    cast(activity_days.unsubscribe_count as bigint) as unsubscribe_count,
    cast(activity_days.complaint_count as bigint) as complaint_count,
    cast(coalesce(campaign_days.new_campaign_count, 0) as bigint) as new_campaign_count,
    cast(activity_days.redemption_count as bigint) as redemption_count,
    cast(activity_days.payment_failure_count as bigint) as payment_failure_count,
    cast(activity_days.cancelled_order_count as bigint) as cancelled_order_count,
    cast(activity_days.ticket_count as bigint) as ticket_count,
    cast(activity_days.referral_count as bigint) as referral_count,
    cast(activity_days.feedback_count as bigint) as feedback_count,
    cast(activity_days.content_count as bigint) as content_count
from activity_days
left join
    purchase_days
    on activity_days.user_id = purchase_days.user_id
    and activity_days.activity_on = purchase_days.ordered_on
left join line_days on activity_days.user_id = line_days.user_id and activity_days.activity_on = line_days.ordered_on
left join store_days on activity_days.user_id = store_days.user_id and activity_days.activity_on = store_days.first_on
left join
    session_days
    on activity_days.user_id = session_days.user_id
    and activity_days.activity_on = session_days.activity_on
left join
    campaign_days
    on activity_days.user_id = campaign_days.user_id
    and activity_days.activity_on = campaign_days.first_on
left join
    top_category_days
    on activity_days.user_id = top_category_days.user_id
    and activity_days.activity_on = top_category_days.activity_on
