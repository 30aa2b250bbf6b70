-- One row per kind of e-mail that is sent, from the day of its first.
select
    action as campaign_id,
    action as name,
    'email' as channel,
    min(left(occurred_at, 10)) as starts_on,
    min_by(_file, _row) as _file,
    min(_row) as _row,
    min(night(occurred_at)) as _night
from emails
where starts_with(action, 'sent_')
group by action
