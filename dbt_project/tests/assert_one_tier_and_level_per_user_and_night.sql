-- Every user of a night lies in exactly one spell of the tiers and one of the levels, which carry the night's; every
-- user of as_of has one row of each table, and a level ends after as_of.
with
    tonight as (select night_on from {{ ref("int_night") }} where is_as_of),
    nights as (
        select user_id, night_on, 'tier' as ladder, tier as state
        from {{ ref("int_user_ladder") }}
        union all
        select user_id, night_on, 'level' as ladder, level as state
        from {{ ref("int_user_ladder") }}
    ),
    history as (
        select user_id, 'tier' as ladder, tier as state, from_on, to_on
        from {{ ref("user_tier_history") }}
        union all
        select user_id, 'level' as ladder, level as state, from_on, to_on
        from {{ ref("user_membership_history") }}
    ),
    present as (
        select nights.user_id, nights.ladder, nights.state
        from nights
        inner join tonight on nights.night_on = tonight.night_on
    ),
    shown as (
        select user_id, 'tier' as ladder, tier as state
        from {{ ref("user_tier") }}
        union all
        select user_id, 'level' as ladder, level as state
        from {{ ref("user_membership") }}
        where coalesce(ends_on > (select night_on from tonight), true)
    )

    {{ nights_not_in_one_spell("nights", "history", "state", per=["ladder"]) }}
union all
select coalesce(present.user_id, shown.user_id) as subject
from present
full outer join shown on present.user_id = shown.user_id and present.ladder = shown.ladder
where present.state is distinct from shown.state
