-- One row per channel, campaign and day.
select channel, campaign_id, spent_on, amount, currency, _file, _row, _night from channel_costs
