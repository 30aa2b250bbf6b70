{{ read_often() }}

with
    clock as (select business_zone from {{ ref("int_clock") }}),
    merges as (select user_id, survivor_id from {{ ref("int_user_merge") }}),
    -- Own is what a user does and comes for. Being invited by them is a deed of others, and telling us to stop is no
    -- coming.
    acts as (
        select
            'users' as source_table,
            user_id as activity_id,
            user_id as user_id,
            cast(null as string) as device_id,
            registered_at as activity_at,
            {{ business_date("registered_at", "(select business_zone from clock)") }} as activity_on,
            'registered' as activity,
            true as is_own,
            'user' as object_type,
            user_id as object_id,
            campaign_id as campaign_id,
            cast(null as decimal(18, 2)) as value
        from {{ ref("stg_users") }}
        union all
        select
            'events' as source_table,
            event_id as activity_id,
            user_id as user_id,
            device_id as device_id,
            event_at as activity_at,
            event_on as activity_on,
            event_name as activity,
            true as is_own,
            case
                when product_id is not null
                then 'product'
                when content_id is not null
                then 'content'
                when merchant_id is not null
                then 'merchant'
                when topic is not null
                then 'topic'
                when page is not null
                then 'page'
            end as object_type,
            coalesce(product_id, content_id, merchant_id, topic, page) as object_id,
            campaign_id as campaign_id,
            cast(null as decimal(18, 2)) as value
        from {{ ref("int_event") }}
        where event_name <> 'heartbeat'
        union all
        select
            'orders' as source_table,
            order_id as activity_id,
            user_id as user_id,
            cast(null as string) as device_id,
            ordered_at as activity_at,
            ordered_on as activity_on,
            case
                when is_purchase
                then 'purchase'
                when {{ is_bought("status") }}
                then 'order_free'
                else 'order_' || status
            end as activity,
            status <> 'void' as is_own,
            'order' as object_type,
            order_id as object_id,
            cast(null as string) as campaign_id,
            cast(amount as decimal(18, 2)) as value
        from {{ ref("int_order") }}
        union all
        select
            'order_items' as source_table,
            order_items.order_item_id as activity_id,
            orders.user_id as user_id,
            cast(null as string) as device_id,
            order_items.ordered_at as activity_at,
            order_items.ordered_on as activity_on,
            'product_bought' as activity,
            true as is_own,
            'product' as object_type,
            order_items.product_id as object_id,
            cast(null as string) as campaign_id,
            cast(order_items.amount as decimal(18, 2)) as value
        from {{ ref("stg_order_items") }} as order_items
        left join {{ ref("int_order") }} as orders on order_items.order_id = orders.order_id
        where orders.is_purchase and order_items.amount >= 0
        union all
        select
            'payments' as source_table,
            payment_id as activity_id,
            user_id as user_id,
            cast(null as string) as device_id,
            attempted_at as activity_at,
            attempted_on as activity_on,
            'payment_' || outcome as activity,
            true as is_own,
            'order' as object_type,
            order_id as object_id,
            cast(null as string) as campaign_id,
            cast(amount as decimal(18, 2)) as value
        from {{ ref("stg_payments") }}
        union all
        select
            'refunds' as source_table,
            refund_id as activity_id,
            user_id as user_id,
            cast(null as string) as device_id,
            refunded_at as activity_at,
            refunded_on as activity_on,
            'refund' as activity,
            false as is_own,
            'order' as object_type,
            order_id as object_id,
            cast(null as string) as campaign_id,
            cast(amount as decimal(18, 2)) as value
        from {{ ref("stg_refunds") }}
        union all
        select
            'touches' as source_table,
            touch_id as activity_id,
            user_id as user_id,
            cast(null as string) as device_id,
            sent_at as activity_at,
            sent_on as activity_on,
            'touch_sent' as activity,
            false as is_own,
            'campaign' as object_type,
            campaign_id as object_id,
            campaign_id as campaign_id,
            cast(null as decimal(18, 2)) as value
        from {{ ref("stg_touches") }}
        union all
        select
            'touches' as source_table,
            touch_id as activity_id,
            user_id as user_id,
            cast(null as string) as device_id,
            greatest(opened_at, sent_at) as activity_at,
            {{ business_date("greatest(opened_at, sent_at)", "(select business_zone from clock)") }} as activity_on,
            'touch_opened' as activity,
            true as is_own,
            'campaign' as object_type,
            campaign_id as object_id,
            campaign_id as campaign_id,
            cast(null as decimal(18, 2)) as value
        from {{ ref("stg_touches") }}
        where opened_at is not null
        union all
        select
            'touches' as source_table,
            touch_id as activity_id,
            user_id as user_id,
            cast(null as string) as device_id,
            greatest(clicked_at, sent_at) as activity_at,
            {{ business_date("greatest(clicked_at, sent_at)", "(select business_zone from clock)") }} as activity_on,
            'touch_clicked' as activity,
            true as is_own,
            'campaign' as object_type,
            campaign_id as object_id,
            campaign_id as campaign_id,
            cast(null as decimal(18, 2)) as value
        from {{ ref("stg_touches") }}
        where clicked_at is not null
        union all
        select
            'touches' as source_table,
            touch_id as activity_id,
            user_id as user_id,
            cast(null as string) as device_id,
            greatest(converted_at, sent_at) as activity_at,
            {{ business_date("greatest(converted_at, sent_at)", "(select business_zone from clock)") }} as activity_on,
            'touch_converted' as activity,
            true as is_own,
            'campaign' as object_type,
            campaign_id as object_id,
            campaign_id as campaign_id,
            cast(null as decimal(18, 2)) as value
        from {{ ref("stg_touches") }}
        where converted_at is not null
        union all
        select
            'touches' as source_table,
            touch_id as activity_id,
            user_id as user_id,
            cast(null as string) as device_id,
            greatest(unsubscribed_at, sent_at) as activity_at,
            {{ business_date("greatest(unsubscribed_at, sent_at)", "(select business_zone from clock)") }}
            as activity_on,
            'touch_unsubscribed' as activity,
            false as is_own,
            'campaign' as object_type,
            campaign_id as object_id,
            campaign_id as campaign_id,
            cast(null as decimal(18, 2)) as value
        from {{ ref("stg_touches") }}
        where unsubscribed_at is not null
        union all
        select
            'touches' as source_table,
            touch_id as activity_id,
            user_id as user_id,
            cast(null as string) as device_id,
            greatest(complained_at, sent_at) as activity_at,
            {{ business_date("greatest(complained_at, sent_at)", "(select business_zone from clock)") }} as activity_on,
            'touch_complained' as activity,
            false as is_own,
            'campaign' as object_type,
            campaign_id as object_id,
            campaign_id as campaign_id,
            cast(null as decimal(18, 2)) as value
        from {{ ref("stg_touches") }}
        where complained_at is not null
        union all
        select
            'incentives' as source_table,
            incentive_id as activity_id,
            user_id as user_id,
            cast(null as string) as device_id,
            issued_at as activity_at,
            issued_on as activity_on,
            'incentive_issued' as activity,
            false as is_own,
            'campaign' as object_type,
            campaign_id as object_id,
            campaign_id as campaign_id,
            cast(value as decimal(18, 2)) as value
        from {{ ref("stg_incentives") }}
        union all
        select
            'incentives' as source_table,
            incentive_id as activity_id,
            user_id as user_id,
            cast(null as string) as device_id,
            greatest(claimed_at, issued_at) as activity_at,
            {{ business_date("greatest(claimed_at, issued_at)", "(select business_zone from clock)") }} as activity_on,
            'incentive_claimed' as activity,
            true as is_own,
            'campaign' as object_type,
            campaign_id as object_id,
            campaign_id as campaign_id,
            cast(value as decimal(18, 2)) as value
        from {{ ref("stg_incentives") }}
        where claimed_at is not null
        union all
        select
            'incentives' as source_table,
            incentive_id as activity_id,
            user_id as user_id,
            cast(null as string) as device_id,
            greatest(used_at, issued_at) as activity_at,
            {{ business_date("greatest(used_at, issued_at)", "(select business_zone from clock)") }} as activity_on,
            'incentive_used' as activity,
            true as is_own,
            'campaign' as object_type,
            campaign_id as object_id,
            campaign_id as campaign_id,
            cast(value as decimal(18, 2)) as value
        from {{ ref("stg_incentives") }}
        where used_at is not null
        union all
        select
            'referrals' as source_table,
            referral_id as activity_id,
            inviter_id as user_id,
            cast(null as string) as device_id,
            step_at as activity_at,
            step_on as activity_on,
            'referral_' || step as activity,
            step = 'poster' as is_own,
            'user' as object_type,
            invitee_id as object_id,
            campaign_id as campaign_id,
            cast(null as decimal(18, 2)) as value
        from {{ ref("stg_referrals") }}
        union all
        select
            'tickets' as source_table,
            ticket_id as activity_id,
            user_id as user_id,
            cast(null as string) as device_id,
            opened_at as activity_at,
            opened_on as activity_on,
            'ticket_opened' as activity,
            true as is_own,
            'ticket' as object_type,
            ticket_id as object_id,
            cast(null as string) as campaign_id,
            cast(null as decimal(18, 2)) as value
        from {{ ref("stg_tickets") }}
        union all
        select
            'tickets' as source_table,
            ticket_id as activity_id,
            user_id as user_id,
            cast(null as string) as device_id,
            greatest(resolved_at, opened_at) as activity_at,
            {{ business_date("greatest(resolved_at, opened_at)", "(select business_zone from clock)") }} as activity_on,
            'ticket_resolved' as activity,
            false as is_own,
            'ticket' as object_type,
            ticket_id as object_id,
            cast(null as string) as campaign_id,
            cast(satisfaction as decimal(18, 2)) as value
        from {{ ref("stg_tickets") }}
        where resolved_at is not null
        union all
        select
            'feedback' as source_table,
            feedback_id as activity_id,
            user_id as user_id,
            cast(null as string) as device_id,
            given_at as activity_at,
            given_on as activity_on,
            'feedback_' || kind as activity,
            true as is_own,
            case when order_id is not null then 'order' when product_id is not null then 'product' end as object_type,
            coalesce(order_id, product_id) as object_id,
            cast(null as string) as campaign_id,
            cast(score as decimal(18, 2)) as value
        from {{ ref("stg_feedback") }}
        union all
        select
            'content' as source_table,
            content_id as activity_id,
            user_id as user_id,
            cast(null as string) as device_id,
            created_at as activity_at,
            created_on as activity_on,
            'content_' || kind as activity,
            true as is_own,
            case when topic is not null then 'topic' end as object_type,
            topic as object_id,
            cast(null as string) as campaign_id,
            cast(null as decimal(18, 2)) as value
        from {{ ref("stg_content") }}
    )

select
    acts.source_table,
    acts.activity_id,
    coalesce(merges.survivor_id, acts.user_id) as user_id,
    acts.device_id,
    acts.activity_at,
    acts.activity_on,
    acts.activity,
    acts.is_own,
    acts.object_type,
    acts.object_id,
    acts.campaign_id,
    acts.value
from acts
left join merges on acts.user_id = merges.user_id
where merges.user_id is null or acts.source_table <> 'users'
