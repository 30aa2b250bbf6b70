-- One row per post, comment, like or share.
select content_id, user_id, kind, topic, parent_id, created_at, _file, _row, _night from content
