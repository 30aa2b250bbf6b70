{{ config(materialized="table") }}

{%- set rules = referral_rules() %}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    steps as (
        select
            coalesce(inviters.survivor_id, referrals.inviter_id) as inviter_id,
            coalesce(invitees.survivor_id, referrals.invitee_id) as invitee_id,
            referrals.step_at,
            referrals.step_on,
            referrals.referral_id
        from {{ ref("stg_referrals") }} as referrals
        left join {{ ref("int_user_merge") }} as inviters on referrals.inviter_id = inviters.user_id
        left join {{ ref("int_user_merge") }} as invitees on referrals.invitee_id = invitees.user_id
        where referrals.invitee_id is not null and referrals.step_on <= (select as_of from clock)
    ),
    active_days as (select user_id, activity_on from {{ ref("int_active_day") }}),
    purchases as (
        select user_id, ordered_on
        from {{ ref("int_order") }}
        where is_purchase and ordered_on <= (select as_of from clock)
    ),
    devices as (
        select device_user.device_id, coalesce(merges.survivor_id, device_user.user_id) as user_id, device_user.from_on
        from {{ ref("int_device_user") }} as device_user
        left join {{ ref("int_user_merge") }} as merges on device_user.user_id = merges.user_id
    ),

    {#- Who invited first has invited. -#}
    ranked as (
        select
            inviter_id,
            invitee_id,
            step_on as invited_on,
            row_number() over (partition by invitee_id order by step_at, referral_id) as step_rank
        from steps
    ),
    invited as (
        select
            inviter_id, invitee_id, invited_on, count(*) over (partition by inviter_id, invited_on) as invitees_of_day
        from ranked
        where step_rank = 1
    ),
    activated as (
        select invited.invitee_id, min(active_days.activity_on) as activated_on
        from invited
        inner join
            active_days
            on invited.invitee_id = active_days.user_id
            and active_days.activity_on > invited.invited_on
            and active_days.activity_on <= {{ days_after("invited.invited_on", rules.get("activation_days", 0)) }}
        group by invited.invitee_id
    ),
    bought as (
        select invited.invitee_id, min(purchases.ordered_on) as first_order_on
        from invited
        inner join purchases on invited.invitee_id = purchases.user_id
        group by invited.invitee_id
    ),
    {#- Accounts of one person are seen on one device: the inviter's, or one that several of the invitees use. -#}
    members as (
        select inviter_id, inviter_id as user_id
        from invited
        union
        select inviter_id, invitee_id as user_id
        from invited
    ),
    seen as (
        select members.inviter_id, members.user_id, devices.device_id, min(devices.from_on) as from_on
        from members
        inner join devices on members.user_id = devices.user_id
        group by members.inviter_id, members.user_id, devices.device_id
    ),
    shared as (
        select own.inviter_id, own.user_id, min(greatest(own.from_on, others.from_on)) as shared_on
        from seen as own
        inner join
            seen as others
            on own.inviter_id = others.inviter_id
            and own.device_id = others.device_id
            and own.user_id <> others.user_id
        group by own.inviter_id, own.user_id
    ),
    screened as (
        select
            invited.inviter_id,
            invited.invitee_id,
            invited.invited_on,
            activated.activated_on,
            bought.first_order_on,
            case
                when invited.inviter_id = invited.invitee_id
                then 'self_invite'
                when bought.first_order_on < invited.invited_on
                then 'existing_buyer'
                when invited.invitees_of_day > {{ rules.get("burst_invitees", 0) }}
                then 'burst'
                when shared.shared_on is not null
                then 'shared_device'
            end as screen,
            shared.shared_on
        from invited
        left join activated on invited.invitee_id = activated.invitee_id
        left join bought on invited.invitee_id = bought.invitee_id
        left join shared on invited.inviter_id = shared.inviter_id and invited.invitee_id = shared.user_id
    )

select
    inviter_id,
    invitee_id,
    invited_on,
    activated_on,
    case when first_order_on >= invited_on then first_order_on end as paid_on,
    screen,
    case
        when screen = 'shared_device' then greatest(invited_on, shared_on) when screen is not null then invited_on
    end as screened_on
from screened
