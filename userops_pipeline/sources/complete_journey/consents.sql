-- One row per household: membership of the loyalty programme is the stated basis for coupons by post, and for nothing
-- else.
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
    household_id as user_id,
    'household ' || household_id as contact_point,
    'postal' as channel,
    'marketing' as purpose,
    'subscribed' as state,
    'loyalty programme membership' as basis,
    first_sight[1] as changed_at,
    first_sight[2] as _file,
    first_sight[3] as _row,
    business_date(first_sight[1]) as _night
from first_sightings
