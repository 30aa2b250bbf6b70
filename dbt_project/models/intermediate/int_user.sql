{#- Many read it, and its view would open every file of raw users for each of them. -#}
{{ config(materialized="table") }}

with
    clock as (select as_of, business_zone from {{ ref("int_clock") }}),
    raw_users as (
        select
            user_id,
            registered_at,
            gender,
            birth_date,
            age_band,
            income_band,
            household,
            region,
            city_tier,
            language,
            channel,
            campaign_id,
            plan,
            trial_ends_on,
            arrived_on,
            lead(arrived_on) over (
                partition by user_id order by arrived_on, source_row, source_name, source_file
            ) as next_arrived_on
        from {{ source("raw", "users") }}
        where arrived_on <= (select as_of from clock)
    ),
    {#- Of what arrived of a user on one night the last counts: the next to arrive came on another night, or never. -#}
    versions as (
        select
            user_id,
            arrived_on as known_from_on,
            next_arrived_on as known_to_on,
            registered_at,
            gender,
            birth_date,
            age_band,
            income_band,
            household,
            region,
            city_tier,
            language,
            channel,
            campaign_id,
            plan,
            trial_ends_on
        from raw_users
        where next_arrived_on is null or next_arrived_on > arrived_on
    ),
    merges as (select user_id from {{ ref("int_user_merge") }}),
    exclusions as (select subject_id as user_id, from_on, to_on from {{ ref("int_exclusion") }} where subject = 'user'),
    -- An exclusion covers a version from its first night on, or begins within it and shortens it.
    shortened as (
        select
            versions.user_id,
            versions.known_from_on,
            max(case when exclusions.from_on <= versions.known_from_on then 1 else 0 end) as is_excluded,
            min(exclusions.from_on) as excluded_from_on
        from versions
        inner join
            exclusions
            on versions.user_id = exclusions.user_id
            and (exclusions.to_on is null or exclusions.to_on > versions.known_from_on)
            and (versions.known_to_on is null or exclusions.from_on < versions.known_to_on)
        group by versions.user_id, versions.known_from_on
    )

select
    versions.user_id,
    versions.known_from_on,
    coalesce(shortened.excluded_from_on, versions.known_to_on) as known_to_on,
    versions.registered_at,
    {{ business_date("versions.registered_at", "clock.business_zone") }} as registered_on,
    versions.gender,
    versions.birth_date,
    versions.age_band,
    versions.income_band,
    versions.household,
    versions.region,
    versions.city_tier,
    versions.language,
    versions.channel,
    versions.campaign_id,
    versions.plan,
    versions.trial_ends_on
from versions
cross join clock
left join merges on versions.user_id = merges.user_id
left join shortened on versions.user_id = shortened.user_id and versions.known_from_on = shortened.known_from_on
where merges.user_id is null and coalesce(shortened.is_excluded, 0) = 0
