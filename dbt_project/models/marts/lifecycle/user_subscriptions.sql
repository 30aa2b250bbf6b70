with
    clock as (select as_of from {{ ref("int_clock") }}),
    subscriptions as (
        select
            subscription_id,
            user_id,
            plan,
            period_unit,
            period_count,
            price,
            currency,
            monthly_amount,
            started_on,
            trial_ends_on,
            paid_from_on,
            paid_until_on,
            cancelled_on,
            ended_on,
            held_until_on
        from {{ ref("int_subscription") }}
        where known_to_on is null
    ),
    standing as (
        select
            subscriptions.subscription_id,
            case
                when clock.as_of < subscriptions.started_on
                then 'upcoming'
                when clock.as_of >= subscriptions.ended_on
                then 'ended'
                when clock.as_of < subscriptions.trial_ends_on
                then 'trial'
                when clock.as_of >= subscriptions.held_until_on
                then 'ended'
                when clock.as_of >= subscriptions.paid_until_on
                then 'late'
                when clock.as_of >= subscriptions.cancelled_on
                then 'cancelling'
                else 'paid'
            end as standing
        from subscriptions
        cross join clock
    )

select
    subscriptions.subscription_id,
    subscriptions.user_id,
    subscriptions.plan,
    standing.standing,
    case
        standing.standing
        when 'upcoming'
        then '未开始'
        when 'trial'
        then '试用中'
        when 'paid'
        then '付费中'
        when 'cancelling'
        then '到期不续'
        when 'late'
        then '宽限期'
        when 'ended'
        then '已结束'
    end as label,
    subscriptions.period_unit,
    subscriptions.period_count,
    subscriptions.price,
    subscriptions.currency,
    subscriptions.monthly_amount,
    subscriptions.started_on,
    subscriptions.trial_ends_on,
    subscriptions.paid_from_on,
    subscriptions.paid_until_on,
    subscriptions.cancelled_on,
    subscriptions.ended_on
from subscriptions
inner join standing on subscriptions.subscription_id = standing.subscription_id
