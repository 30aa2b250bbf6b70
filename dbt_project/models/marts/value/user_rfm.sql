{%- set meta = declared("user_rfm").config.meta if execute else {"groups": [], "window_days": 0} -%}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    users as (select user_id from {{ ref("user_profile") }}),
    purchases as (
        select orders.user_id, orders.ordered_on, orders.amount - orders.refund_amount as net_amount, clock.as_of
        from {{ ref("user_orders") }} as orders
        cross join clock
        where
            orders.is_purchase
            and orders.ordered_on <= clock.as_of
            and orders.ordered_on > {{ days_after("clock.as_of", -meta["window_days"]) }}
    ),
    buyers as (
        select
            purchases.user_id,
            {{ days_between("max(purchases.ordered_on)", "max(purchases.as_of)") }} as recency_days,
            count(*) as frequency,
            sum(purchases.net_amount) as monetary_amount
        from purchases
        inner join users on purchases.user_id = users.user_id
        group by purchases.user_id
    ),
    -- Twice the average rank among equals, so that it stays a whole number.
    ranked as (
        select
            user_id,
            recency_days,
            frequency,
            monetary_amount,
            count(*) over () as buyer_count,
            2 * rank() over (order by recency_days desc)
            + count(*) over (partition by recency_days)
            - 1 as recency_rank,
            2 * rank() over (order by frequency) + count(*) over (partition by frequency) - 1 as frequency_rank,
            2 * rank() over (order by monetary_amount)
            + count(*) over (partition by monetary_amount)
            - 1 as monetary_rank
        from buyers
    ),
    scored as (
        select
            user_id,
            recency_days,
            frequency,
            monetary_amount,
            {%- for score, rank in [("r", "recency_rank"), ("f", "frequency_rank"), ("m", "monetary_rank")] %}
                cast(
                    ceil(cast(5 * {{ rank }} as double) / (2 * buyer_count)) as integer
                ) as {{ score }}{{ "," if not loop.last }}
            {%- endfor %}
        from ranked
    ),
    graded as (
        select
            user_id, recency_days, frequency, monetary_amount, r, f, m, cast(floor((f + m + 1) / 2.0) as integer) as fm
        from scored
    ),
    score_counts as (select least(count(distinct r), count(distinct f), count(distinct m)) as bins from scored),
    grouped as (
        select user_id, recency_days, frequency, monetary_amount, r, f, m, fm, {{ rfm_group() }} as rfm_group
        from graded
    )

select
    users.user_id,
    grouped.recency_days,
    coalesce(grouped.frequency, 0) as frequency,
    cast(coalesce(grouped.monetary_amount, 0) as decimal(18, 2)) as monetary_amount,
    grouped.r,
    grouped.f,
    grouped.m,
    grouped.fm,
    coalesce(grouped.rfm_group, 'prospect') as rfm_group,
    {{ rfm_label("grouped.rfm_group") }} as label,
    case when grouped.user_id is not null then score_counts.bins end as bins
from users
left join grouped on users.user_id = grouped.user_id
cross join score_counts
