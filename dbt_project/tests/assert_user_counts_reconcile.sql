-- Tonight opens as last night closed, no night is missing, and the stocks of as_of are those of the users one by one.
{%- set rules = activity_rules() %}

with
    tonight as (select night_on from {{ ref("int_night") }} where is_as_of),
    nights as (select night_on from {{ ref("int_night") }}),
    counts as (
        select
            night_on,
            registered_opening_count,
            registered_count,
            active_opening_count,
            active_count,
            churned_opening_count,
            churned_count,
            dormant_count,
            unactivated_count,
            dau_count,
            wau_count,
            mau_count,
            lag(registered_count) over (order by night_on) as registered_before_count,
            lag(active_count) over (order by night_on) as active_before_count,
            lag(churned_count) over (order by night_on) as churned_before_count
        from {{ ref("user_counts_daily") }}
    ),
    users as (
        select users.user_id
        from {{ ref("int_user") }} as users
        inner join tonight on users.registered_on <= tonight.night_on
        where users.known_to_on is null
    ),
    last_days as (
        select days.user_id, max(days.activity_on) as last_on
        from {{ ref("int_active_day") }} as days
        inner join tonight on days.activity_on <= tonight.night_on
        group by days.user_id
    ),
    -- Who had paid for the night on which they would have churned, and for every one since.
    paying as (
        select distinct last_days.user_id
        from last_days
        cross join tonight
        inner join
            {{ ref("int_paid_spell") }} as spells
            on last_days.user_id = spells.user_id
            and {{ days_after("last_days.last_on", rules["churned_after_days"]) }} >= spells.from_on
            and tonight.night_on < spells.to_on
    ),
    idle as (
        select
            users.user_id,
            {{ days_between("last_days.last_on", "tonight.night_on") }} as idle_days,
            paying.user_id is not null as is_paying
        from users
        cross join tonight
        left join last_days on users.user_id = last_days.user_id
        left join paying on users.user_id = paying.user_id
    ),
    expected as (
        select
            count(*) as registered_count,
            coalesce(sum({{ one_if("idle_days is null") }}), 0) as unactivated_count,
            coalesce(sum({{ one_if("idle_days < " ~ rules["dormant_after_days"]) }}), 0) as active_count,
            coalesce(
                sum({{ one_if("idle_days >= " ~ rules["churned_after_days"] ~ " and not is_paying") }}), 0
            ) as churned_count,
            coalesce(sum({{ one_if("idle_days = 0") }}), 0) as dau_count,
            coalesce(sum({{ one_if("idle_days < 7") }}), 0) as wau_count,
            coalesce(sum({{ one_if("idle_days < 30") }}), 0) as mau_count
        from idle
    )

select counts.night_on, 'does not open as the night before closed' as problem
from counts
where
    counts.registered_opening_count <> counts.registered_before_count
    or counts.active_opening_count <> counts.active_before_count
    or counts.churned_opening_count <> counts.churned_before_count
union all
select nights.night_on, 'is missing' as problem
from nights
left join counts on nights.night_on = counts.night_on
where counts.night_on is null
union all
select counts.night_on, 'differs from the users one by one' as problem
from counts
inner join tonight on counts.night_on = tonight.night_on
cross join expected
where
    counts.registered_count <> expected.registered_count
    or counts.unactivated_count <> expected.unactivated_count
    or counts.active_count <> expected.active_count
    or counts.churned_count <> expected.churned_count
    or counts.dau_count <> expected.dau_count
    or counts.wau_count <> expected.wau_count
    or counts.mau_count <> expected.mau_count
