-- One row per household, on the night it is first seen: bought, was targeted or redeemed. The data has no sign-up date.
with
    sightings as (
        select household_id, cast(transaction_timestamp as timestamp) as seen_at, _file, _row
        from transactions
        union all
        select targeting.household_id, utc(description.start_date) as seen_at, targeting._file, targeting._row
        from campaigns as targeting
        join campaign_descriptions as description using (campaign_id)
        union all
        select household_id, utc(redemption_date) as seen_at, _file, _row
        from coupon_redemptions
    ),
    first_sightings as (
        select household_id, min(row(seen_at, _file, _row)) as first_sight from sightings group by household_id
    )
select
    first_sightings.household_id as user_id,
    first_sight[1] as registered_at,
    demographics.age as age_band,
    demographics.income as income_band,
    demographics.household_comp as household,
    'loyalty programme' as plan,
    first_sight[2] as _file,
    first_sight[3] as _row,
    business_date(first_sight[1]) as _night
from first_sightings
left join demographics on demographics.household_id = first_sightings.household_id
