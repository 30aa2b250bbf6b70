-- One row per coupon or red packet on the night it was issued, and a newer version on the night it was used.
select
    incentive_id, user_id, campaign_id, kind, issued_at, claimed_at, used_at, order_id, value, cost, _file, _row, _night
from incentives
