-- One row per payment attempt.
select payment_id, order_id, user_id, attempted_at, method, outcome, error_class, amount, _file, _row, _night
from payments
