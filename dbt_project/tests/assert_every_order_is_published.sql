-- user_orders holds every order of staging, to the cent.
with
    staged as (select count(*) as order_count, sum(amount) as amount from {{ ref("stg_orders") }}),
    published as (select count(*) as order_count, sum(amount) as amount from {{ ref("user_orders") }})

select staged.order_count as staged_count, published.order_count as published_count
from staged
cross join published
where staged.order_count <> published.order_count or staged.amount is distinct from published.amount
