-- One row per action of a reader: reading reaches, liking, commenting and sharing engage, paying converts.
select
    id as event_id,
    nullif(who, '') as user_id,
    device as device_id,
    "at" as event_at,
    case
        what
        when '阅读'
        then 'view'
        when '点赞'
        then 'like'
        when '评论'
        then 'comment'
        when '转发'
        then 'share'
        when '关注'
        then 'follow'
        when '取关'
        then 'unfollow'
        when '付费'
        then 'pay'
        when '搜索'
        then 'search'
    end as event_name,
    article as content_id,
    topic,
    _file,
    _row,
    left("at", 10) as _night
from actions
