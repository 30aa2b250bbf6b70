-- One row per user and night of the window whose group is not the one of exactly one spell of the history, or who had a
-- spell without a group.
with
    groups as (select user_id, night_on, rfm_group from {{ ref("int_user_rfm") }}),
    history as (select user_id, rfm_group, from_on, to_on, days from {{ ref("user_rfm_history") }}),
    clock as (select window_from, {{ days_after("as_of", 1) }} as tomorrow_on from {{ ref("int_clock") }}),
    counted as (select count(*) as night_count from groups),
    spelled as (
        select
            sum(
                {{
                    days_between(
                        "greatest(history.from_on, clock.window_from)", "coalesce(history.to_on, clock.tomorrow_on)"
                    )
                }}
            ) as night_count
        from history
        cross join clock
        where history.to_on is null or history.to_on > clock.window_from
    )

    {{ nights_not_in_one_spell("groups", "history", "rfm_group") }}
union all
select 'nights' as subject
from counted
cross join spelled
where counted.night_count <> coalesce(spelled.night_count, 0)
