-- One row per user and experiment.
select experiment_id, user_id, arm, assigned_at, _file, _row, _night from assignments
