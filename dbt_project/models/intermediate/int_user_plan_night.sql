{{ config(materialized="table") }}

with
    clock as (select window_from, window_to from {{ ref("int_clock") }}),
    spells as (select user_id, from_on, to_on, next_from_on from {{ ref("int_paid_spell") }}),
    stretches as (
        select
            user_id,
            paid_by,
            paid_id,
            from_on,
            to_on,
            paid_from_on,
            paid_until_on,
            plan,
            period_unit,
            period_count,
            monthly_amount
        from {{ ref("int_paid_stretch") }}
        where from_on < to_on
    ),
    told as (
        select
            subscription_id,
            user_id,
            greatest(known_from_on, started_on) as from_on,
            coalesce(known_to_on, {{ no_end() }}) as told_to_on,
            plan,
            trial_ends_on
        from {{ ref("int_subscription") }}
        where trial_ends_on > started_on
    ),

    {#- Of several trials the one told last counts, and goes on counting when it is over. -#}
    trials as (
        select
            user_id,
            from_on,
            lead(from_on) over (partition by user_id order by from_on, subscription_id) as next_from_on,
            plan,
            trial_ends_on
        from told
        where from_on < told_to_on
    ),
    spell_window as (
        select
            spells.user_id,
            spells.from_on as paid_up_from_on,
            spells.to_on as paid_up_to_on,
            greatest(spells.from_on, clock.window_from) as first_on,
            least(coalesce({{ days_after("spells.next_from_on", -1) }}, clock.window_to), clock.window_to) as last_on
        from spells
        cross join clock
    ),
    trial_window as (
        select
            trials.user_id,
            trials.plan,
            trials.trial_ends_on,
            greatest(trials.from_on, clock.window_from) as first_on,
            least(coalesce({{ days_after("trials.next_from_on", -1) }}, clock.window_to), clock.window_to) as last_on
        from trials
        cross join clock
    ),
    stretch_window as (
        select
            stretches.user_id,
            stretches.paid_by,
            stretches.paid_id,
            stretches.paid_from_on,
            stretches.paid_until_on,
            stretches.plan,
            stretches.period_unit,
            stretches.period_count,
            stretches.monthly_amount,
            greatest(stretches.from_on, clock.window_from) as first_on,
            least({{ days_after("stretches.to_on", -1) }}, clock.window_to) as last_on
        from stretches
        cross join clock
    ),
    spells_met as (
        select user_id, paid_up_from_on, paid_up_to_on, first_on, last_on from spell_window where first_on <= last_on
    ),
    trials_met as (select user_id, plan, trial_ends_on, first_on, last_on from trial_window where first_on <= last_on),
    stretches_met as (
        select
            user_id,
            paid_by,
            paid_id,
            paid_from_on,
            paid_until_on,
            plan,
            period_unit,
            period_count,
            monthly_amount,
            first_on,
            last_on
        from stretch_window
        where first_on <= last_on
    ),
    spell_nights as (
        {{ nights("spells_met", "first_on", "last_on", keep=["user_id", "paid_up_from_on", "paid_up_to_on"]) }}
    ),
    trial_nights as ({{ nights("trials_met", "first_on", "last_on", keep=["user_id", "plan", "trial_ends_on"]) }}),
    stretch_nights as (
        {{
            nights(
                "stretches_met",
                "first_on",
                "last_on",
                keep=[
                    "user_id",
                    "paid_by",
                    "paid_id",
                    "paid_from_on",
                    "paid_until_on",
                    "plan",
                    "period_unit",
                    "period_count",
                    "monthly_amount",
                ],
            )
        }}
    ),
    paid_nights as (
        select
            user_id,
            night_on,
            max(coalesce(paid_until_on, {{ no_end() }})) as paid_until_on,
            {#- An order is one payment of many, and counted as a purchase. -#}
            max(
                case
                    when paid_by = 'subscription'
                    then 1 + coalesce({{ whole_periods("paid_from_on", "night_on", "period_unit", "period_count") }}, 0)
                    else 1
                end
            ) as paid_period_number,
            max_by(
                case when paid_by = 'subscription' then plan end,
                {{ in_order(["coalesce(paid_until_on, " ~ no_end() ~ ")", "paid_from_on", "paid_id"]) }}
            ) as plan,
            sum(monthly_amount) as monthly_amount
        from stretch_nights
        group by user_id, night_on
    ),
    {#- A user is on a night in at most one spell and one trial. -#}
    seen as (
        select user_id, night_on
        from spell_nights
        union
        select user_id, night_on
        from trial_nights
    )

select
    seen.user_id,
    seen.night_on,
    spell_nights.paid_up_from_on,
    spell_nights.paid_up_to_on,
    coalesce(seen.night_on < spell_nights.paid_up_to_on, false) as is_paid_up,
    case when paid_nights.paid_until_on < {{ no_end() }} then paid_nights.paid_until_on end as paid_until_on,
    cast(paid_nights.paid_period_number as bigint) as paid_period_number,
    coalesce(paid_nights.plan, case when seen.night_on < trial_nights.trial_ends_on then trial_nights.plan end) as plan,
    cast(paid_nights.monthly_amount as decimal(18, 2)) as monthly_amount,
    trial_nights.trial_ends_on
from seen
left join spell_nights on seen.user_id = spell_nights.user_id and seen.night_on = spell_nights.night_on
left join trial_nights on seen.user_id = trial_nights.user_id and seen.night_on = trial_nights.night_on
left join paid_nights on seen.user_id = paid_nights.user_id and seen.night_on = paid_nights.night_on
