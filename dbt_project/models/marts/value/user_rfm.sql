with
    clock as (select first_on from {{ ref("int_clock") }}),
    users as (select user_id from {{ ref("user_profile") }}),
    tonight as (select night_on from {{ ref("int_night") }} where is_as_of),
    buyers as (
        select
            rfm.user_id,
            rfm.recency_days,
            rfm.frequency,
            rfm.monetary_amount,
            rfm.r,
            rfm.f,
            rfm.m,
            rfm.fm,
            rfm.rfm_group
        from {{ ref("int_user_rfm") }} as rfm
        inner join tonight on rfm.night_on = tonight.night_on
    ),
    bins as (select count(distinct r) as r_bins, count(distinct f) as f_bins, count(distinct m) as m_bins from buyers),

    {#- The night from which on a user is told apart: what went before it is not known. -#}
    versions as (select user_id, known_from_on, registered_on from {{ ref("int_user") }}),
    first_nights as (
        select
            versions.user_id, min(greatest(versions.known_from_on, versions.registered_on, clock.first_on)) as first_on
        from versions
        cross join clock
        group by versions.user_id
    ),
    history as (select user_id, rfm_group, from_on, to_on from {{ ref("user_rfm_history") }}),
    followed as (
        select
            user_id,
            rfm_group,
            from_on,
            to_on,
            lag(rfm_group) over (partition by user_id order by from_on) as group_before,
            lag(to_on) over (partition by user_id order by from_on) as left_on,
            row_number() over (partition by user_id order by from_on desc) as place
        from history
    ),

    {#- Between two groups a user is a prospect, and so after the last one. -#}
    changes as (
        select
            followed.user_id,
            case
                when followed.to_on is not null
                then followed.rfm_group
                when followed.left_on = followed.from_on
                then followed.group_before
                when followed.from_on > first_nights.first_on
                then {{ prospect() }}
            end as previous_group,
            case
                when followed.to_on is not null
                then followed.to_on
                when followed.from_on > first_nights.first_on
                then followed.from_on
            end as changed_on
        from followed
        inner join first_nights on followed.user_id = first_nights.user_id
        where followed.place = 1
    )

select
    users.user_id,
    buyers.recency_days,
    coalesce(buyers.frequency, 0) as frequency,
    cast(coalesce(buyers.monetary_amount, 0) as decimal(18, 2)) as monetary_amount,
    buyers.r,
    buyers.f,
    buyers.m,
    buyers.fm,
    coalesce(buyers.rfm_group, {{ prospect() }}) as rfm_group,
    {{ rfm_label("buyers.rfm_group") }} as label,
    changes.previous_group,
    changes.changed_on,
    case when buyers.user_id is not null then bins.r_bins end as r_bins,
    case when buyers.user_id is not null then bins.f_bins end as f_bins,
    case when buyers.user_id is not null then bins.m_bins end as m_bins,
    case when buyers.user_id is not null then least(bins.r_bins, bins.f_bins, bins.m_bins) < 5 end as has_fewer_bins
from users
left join buyers on users.user_id = buyers.user_id
left join changes on users.user_id = changes.user_id
cross join bins
