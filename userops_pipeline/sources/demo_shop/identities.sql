-- One row per device first used by a user, and a newer version about once a week.
select device_id, user_id, first_seen_at, last_seen_at, _file, _row, _night from identities
