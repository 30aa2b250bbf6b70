-- One row per event of the tracker; of two with one id the one that was collected first stays, as in their package, then the earlier one.
select
    event_id,
    user_id,
    coalesce(domain_userid, 'without domain_userid ' || event_id) as device_id,
    domain_sessionid as visit_id,
    derived_tstamp as event_at,
    case event_name when 'page_view' then 'view' when 'page_ping' then 'heartbeat' else event_name end as event_name,
    page_urlpath as page,
    mkt_campaign as campaign_id,
    _file,
    _row,
    left(collector_tstamp, 10) as _night,
    -(
        cast(epoch_us(cast(collector_tstamp as timestamp)) as hugeint) * 10000000000000000
        + epoch_us(cast(derived_tstamp as timestamp))
    ) as _version
from web
where app_id is distinct from 'consent_accel'
