-- One row per user and night of the window whose group is not the one of exactly one spell of the history, or who had a
-- spell without a group.
with
    groups as (select user_id, night_on, rfm_group from {{ ref("int_user_rfm") }}),
    spells as (select user_id, rfm_group, from_on, to_on, days from {{ ref("user_rfm_history") }}),
    clock as (select window_from, {{ days_after("as_of", 1) }} as tomorrow_on from {{ ref("int_clock") }}),
    counted as (select count(*) as night_count from groups),
    spelled as (
        select
            sum(
                {{
                    days_between(
                        "greatest(spells.from_on, clock.window_from)", "coalesce(spells.to_on, clock.tomorrow_on)"
                    )
                }}
            ) as night_count
        from spells
        cross join clock
        where spells.to_on is null or spells.to_on > clock.window_from
    )

select groups.user_id as subject
from groups
left join
    spells
    on groups.user_id = spells.user_id
    and groups.night_on >= spells.from_on
    and (spells.to_on is null or groups.night_on < spells.to_on)
group by groups.user_id, groups.night_on, groups.rfm_group
having groups.rfm_group is null or count(spells.rfm_group) <> 1 or min(spells.rfm_group) <> groups.rfm_group
union all
select 'nights' as subject
from counted
cross join spelled
where counted.night_count <> coalesce(spelled.night_count, 0)
