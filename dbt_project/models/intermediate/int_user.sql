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
            excluded_as,
            arrived_on,
            row_number() over (
                partition by user_id, arrived_on order by source_row desc, source_name desc, source_file desc
            ) as version_rank
        from {{ source("raw", "users") }}
        where arrived_on <= (select as_of from clock)
    ),
    versions as (
        select
            user_id,
            arrived_on as known_from_on,
            lead(arrived_on) over (partition by user_id order by arrived_on) as known_to_on,
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
            excluded_as
        from raw_users
        where version_rank = 1
    )

select
    versions.user_id,
    versions.known_from_on,
    versions.known_to_on,
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
    versions.plan
from versions
cross join clock
where versions.excluded_as is null
