-- One row per coupon or gift on the night it was issued, and a newer version of it on the later night it was used.
with states as (select *, left(used, 10) = left(issued, 10) as used_at_once from coupons)
select
    coupon_id as incentive_id,
    user_no as user_id,
    campaign as campaign_id,
    kind,
    coupon_id as code,
    issued as issued_at,
    claimed as claimed_at,
    case when used_at_once then used end as used_at,
    case when used_at_once then order_no end as order_id,
    value,
    _file,
    _row,
    left(issued, 10) as _night
from states
union all
select
    coupon_id, user_no, campaign, kind, coupon_id, issued, claimed, used, order_no, value, _file, _row, left(used, 10)
from states
where not used_at_once
