-- One row per answer, review or interview note.
select
    id as feedback_id,
    "user" as user_id,
    kind,
    given as given_at,
    score,
    "order" as order_id,
    product as product_id,
    body,
    interpretation,
    _file,
    _row,
    _night
from feedback
