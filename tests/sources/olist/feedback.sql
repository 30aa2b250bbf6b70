-- One row per review, on the night it was answered. A review_id stands on several orders, an order has several
-- reviews: the pair is the key.
select
    review_id || '-' || order_id as feedback_id,
    customer_unique_id as user_id,
    'review' as kind,
    review_answer_timestamp as given_at,
    review_score as score,
    order_id,
    review_comment_message as body,
    reviews._file,
    reviews._row,
    night(review_answer_timestamp) as _night
from reviews
left join orders_file using (order_id)
left join customers using (customer_id)
