-- One row per campaign, announced a week before it starts.
select
    编号 as campaign_id,
    名称 as name,
    类型 as campaign_type,
    渠道 as channel,
    策略 as strategy,
    开始 as starts_on,
    结束 as ends_on,
    费用 as cost,
    优惠 as incentive,
    门槛 as threshold,
    _file,
    _row,
    _night
from campaigns
