{{ config(materialized="table") }}

{%- set told = [
    "user_id",
    "plan",
    "period_unit",
    "period_count",
    "price",
    "currency",
    "started_at",
    "trial_ends_at",
    "renews_at",
    "cancelled_at",
    "ended_at",
] %}

with
    clock as (select as_of, business_zone from {{ ref("int_clock") }}),
    raw_subscriptions as (
        select
            subscription_id,
            {{ told | join(", ") }},
            arrived_on,
            lag(arrived_on) over (
                partition by subscription_id order by arrived_on, source_row, source_name, source_file
            ) as previous_arrived_on,
            lead(arrived_on) over (
                partition by subscription_id order by arrived_on, source_row, source_name, source_file
            ) as next_arrived_on,
            min(arrived_on) over (partition by subscription_id) as first_arrived_on
        from {{ source("raw", "subscriptions") }}
        where arrived_on <= (select as_of from clock)
    ),
    merges as (select user_id, survivor_id from {{ ref("int_user_merge") }}),

    {#- Of what arrived of a subscription on one night the last counts: the next to arrive came on another night, or never. -#}
    versions as (
        select
            raw.subscription_id,
            coalesce(merges.survivor_id, raw.user_id) as user_id,
            raw.arrived_on as known_from_on,
            raw.next_arrived_on as known_to_on,
            raw.arrived_on = raw.first_arrived_on as is_first,
            raw.plan,
            raw.period_unit,
            coalesce(raw.period_count, 1) as period_count,
            raw.price,
            raw.currency,
            {%- for time in ["started", "trial_ends", "renews", "cancelled", "ended"] %}
                {{ business_date("raw." ~ time ~ "_at", "clock.business_zone") }} as {{ time }}_on
                {{- "," if not loop.last }}
            {%- endfor %}
        from raw_subscriptions as raw
        cross join clock
        left join merges on raw.user_id = merges.user_id
        where raw.next_arrived_on is null or raw.next_arrived_on > raw.arrived_on
    ),
    begun as (
        select
            subscription_id,
            user_id,
            known_from_on,
            known_to_on,
            is_first,
            plan,
            period_unit,
            period_count,
            price,
            currency,
            started_on,
            trial_ends_on,
            renews_on,
            cancelled_on,
            ended_on,
            greatest(started_on, coalesce(trial_ends_on, started_on)) as paid_from_on
        from versions
    ),

    {#- Who does not say until when it is paid says so with the end, or with the period in which it was cancelled. -#}
    paid as (
        select
            subscription_id,
            user_id,
            known_from_on,
            known_to_on,
            is_first,
            plan,
            period_unit,
            period_count,
            price,
            currency,
            started_on,
            trial_ends_on,
            renews_on,
            cancelled_on,
            ended_on,
            paid_from_on,
            case
                when renews_on is not null
                then least(renews_on, coalesce(ended_on, renews_on))
                when ended_on is not null
                then ended_on
                when cancelled_on <= paid_from_on
                then paid_from_on
                when cancelled_on is not null
                then
                    coalesce(
                        {{
                            periods_after(
                                "paid_from_on",
                                "period_unit",
                                "period_count * ("
                                ~ whole_periods("paid_from_on", "cancelled_on", "period_unit", "period_count")
                                ~ " + 1)",
                            )
                        }},
                        cancelled_on
                    )
            end as paid_until_on
        from begun
    )

select
    subscription_id,
    user_id,
    known_from_on,
    known_to_on,
    is_first,
    plan,
    period_unit,
    period_count,
    price,
    currency,
    {{ monthly("price", "period_unit", "period_count") }} as monthly_amount,
    started_on,
    trial_ends_on,
    renews_on,
    cancelled_on,
    ended_on,
    paid_from_on,
    paid_until_on,
    {#- A renewal may be late where one is expected: the subscription was neither cancelled nor ended before it is due, and was paid before. -#}
    case
        when paid_until_on > paid_from_on
        then
            greatest(
                paid_until_on,
                least(
                    {{ days_after("paid_until_on", paid_rules()["grace_days"]) }},
                    coalesce(cancelled_on, {{ no_end() }}),
                    coalesce(ended_on, {{ no_end() }})
                )
            )
        else paid_until_on
    end as held_until_on
from paid
