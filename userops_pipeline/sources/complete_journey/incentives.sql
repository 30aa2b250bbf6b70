-- One row per redeemed coupon. Only redemptions are in the data; the day of use stands for the day of issue.
select
    household_id
    || '-'
    || coupon_upc
    || '-'
    || campaign_id
    || '-'
    || cast(cast(redemption_date as date) as varchar) as incentive_id,
    household_id as user_id,
    campaign_id,
    'coupon' as kind,
    coupon_upc as code,
    utc(redemption_date) as issued_at,
    utc(redemption_date) as used_at,
    _file,
    _row,
    redemption_date as _night
from coupon_redemptions
