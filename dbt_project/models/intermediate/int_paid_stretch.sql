{{ config(materialized="table") }}

{%- set periods = paid_rules()["periods"] %}

with
    clock as (select as_of, business_zone from {{ ref("int_clock") }}),
    subscriptions as (
        select
            subscription_id,
            user_id,
            known_from_on,
            known_to_on,
            is_first,
            plan,
            period_unit,
            period_count,
            monthly_amount,
            paid_from_on,
            paid_until_on,
            held_until_on
        from {{ ref("int_subscription") }}
    ),
    orders as (
        select order_id, user_id, ordered_on, plan, paid_until, amount
        from {{ ref("int_order") }}
        where is_purchase and is_plan and user_id is not null and ordered_on <= (select as_of from clock)
    ),
    refunds as (select refund_id, order_id, refunded_on, amount from {{ ref("stg_refunds") }}),
    users as (
        select
            user_id,
            plan,
            lag(known_from_on) over (partition by user_id order by known_from_on) as previous_from_on,
            known_from_on,
            lead(known_from_on) over (partition by user_id order by known_from_on) as next_from_on
        from {{ ref("int_user") }}
    ),

    {#- From the first night on that a subscription of theirs is known, what a user has paid for is what subscriptions say. -#}
    subscribers as (select user_id, min(known_from_on) as first_known_on from subscriptions group by user_id),

    {#- An order given back whole pays for nothing from that day on. -#}
    given_back as (
        select
            refunds.order_id,
            greatest(refunds.refunded_on, orders.ordered_on) as refunded_on,
            orders.amount,
            sum(refunds.amount) over (
                partition by refunds.order_id
                order by refunds.refunded_on, refunds.refund_id
                rows between unbounded preceding and current row
            ) as refunded_amount
        from refunds
        inner join orders on refunds.order_id = orders.order_id
    ),
    returned as (
        select order_id, min(refunded_on) as refunded_on
        from given_back
        where refunded_amount >= amount
        group by order_id
    ),
    of_plans as (
        select
            orders.order_id,
            orders.user_id,
            orders.ordered_on,
            orders.amount,
            coalesce(orders.plan, users.plan) as plan,
            {{ business_date("orders.paid_until", "clock.business_zone") }} as stated_until_on,
            returned.refunded_on,
            subscribers.first_known_on
        from orders
        cross join clock
        left join
            users
            on orders.user_id = users.user_id
            and orders.ordered_on
            >= case when users.previous_from_on is not null then users.known_from_on else {{ no_beginning() }} end
            and orders.ordered_on < coalesce(users.next_from_on, {{ no_end() }})
        left join returned on orders.order_id = returned.order_id
        left join subscribers on orders.user_id = subscribers.user_id
    ),
    with_periods as (
        select
            order_id,
            user_id,
            ordered_on,
            amount,
            plan,
            stated_until_on,
            refunded_on,
            first_known_on,
            case
                {%- for period in periods %}
                    when {{ has_a_word("plan", period["words"]) }} then {{ text_literal(period["unit"]) }}
                {%- else %} when false then ''
                {%- endfor %}
            end as period_unit,
            case
                {%- for period in periods %} when {{ has_a_word("plan", period["words"]) }} then {{ period["count"] }}
                {%- else %} when false then 1
                {%- endfor %}
            end as period_count
        from of_plans
    ),
    paying as (
        select
            order_id,
            user_id,
            ordered_on,
            amount,
            plan,
            refunded_on,
            first_known_on,
            period_unit,
            period_count,
            coalesce(stated_until_on, {{ periods_after("ordered_on", "period_unit", "period_count") }}) as paid_until_on
        from with_periods
    ),
    stretches as (
        select
            user_id,
            'subscription' as paid_by,
            subscription_id as paid_id,
            greatest(known_from_on, paid_from_on) as from_on,
            least(coalesce(known_to_on, {{ no_end() }}), coalesce(held_until_on, {{ no_end() }})) as to_on,
            case when is_first then paid_from_on else greatest(known_from_on, paid_from_on) end as held_from_on,
            paid_from_on,
            paid_until_on,
            plan,
            period_unit,
            period_count,
            monthly_amount
        from subscriptions
        union all
        select
            user_id,
            'order' as paid_by,
            order_id as paid_id,
            ordered_on as from_on,
            least(
                {{ days_after("paid_until_on", paid_rules()["grace_days"]) }},
                coalesce(refunded_on, {{ no_end() }}),
                coalesce(first_known_on, {{ no_end() }})
            ) as to_on,
            ordered_on as held_from_on,
            ordered_on as paid_from_on,
            paid_until_on,
            plan,
            period_unit,
            cast(period_count as bigint) as period_count,
            {{ monthly("amount", "period_unit", "period_count") }} as monthly_amount
        from paying
        where paid_until_on > ordered_on
    )

select
    user_id,
    paid_by,
    paid_id,
    from_on,
    to_on,
    held_from_on,
    paid_from_on,
    paid_until_on,
    plan,
    period_unit,
    period_count,
    monthly_amount
from stretches
where held_from_on < to_on
