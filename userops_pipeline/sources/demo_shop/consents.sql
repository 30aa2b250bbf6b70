-- One row per consent given or withdrawn.
select user_id, contact_point, channel, purpose, state, basis, changed_at, _file, _row, _night from consents
