-- One row per campaign, on its first day. Money has a decimal comma.
select
    编号 as campaign_id,
    名称 as name,
    类型 as campaign_type,
    case 渠道 when '短信' then 'sms' when '邮件' then 'email' else 渠道 end as channel,
    开始 as starts_on,
    结束 as ends_on,
    replace(费用, ',', '.') as cost,
    优惠 as incentive,
    门槛 as threshold,
    _file,
    _row,
    开始 as _night
from campaigns
