{{ windowed("activity_on", start="facts_from") }}

with
    clock as (select as_of, facts_from from {{ ref("int_clock") }}),
    orders as (
        select order_id, user_id, ordered_on
        from {{ ref("int_order") }}
        where is_purchase and user_id is not null and ordered_on >= (select facts_from from clock)
    ),
    lines as (select order_id, product_id, amount from {{ ref("stg_order_items") }} where amount > 0),
    products as (select product_id, category from {{ ref("stg_products") }} where category is not null),

    bought as (
        select orders.user_id, orders.ordered_on, lines.product_id, sum(lines.amount) as amount
        from orders
        inner join lines on orders.order_id = lines.order_id
        group by orders.user_id, orders.ordered_on, lines.product_id
    ),
    days as (
        select bought.user_id, bought.ordered_on as activity_on, products.category, sum(bought.amount) as spend_amount
        from bought
        inner join products on bought.product_id = products.product_id
        group by bought.user_id, bought.ordered_on, products.category
    ),
    before as (
        {%- if is_incremental() %}
            select user_id, category, max(cumulative_amount) as cumulative_amount
            from {{ this }}
            where activity_on < (select facts_from from clock) and user_id in (select user_id from bought)
            group by user_id, category
        {%- else %}select user_id, category, cast(null as decimal(18, 2)) as cumulative_amount from days where false
        {%- endif %}
    )

select
    days.user_id,
    days.activity_on,
    days.category,
    cast(days.spend_amount as decimal(18, 2)) as spend_amount,
    cast(
        coalesce(before.cumulative_amount, 0) + sum(days.spend_amount) over (
            partition by days.user_id, days.category order by days.activity_on rows unbounded preceding
        ) as decimal(18, 2)
    ) as cumulative_amount
from days
left join before on days.user_id = before.user_id and days.category = before.category
