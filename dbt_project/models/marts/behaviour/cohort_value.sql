{%- set rules = rules_of_cohort_value()["cohorts"] -%}
{%- set grain, dimensions = rules["grain"], rules["dimensions"] -%}

with
    clock as (select as_of, {{ days_after("as_of", 1) }} as tomorrow_on from {{ ref("int_clock") }}),
    users as (
        select user_id
        from {{ ref("int_user") }}
        where known_to_on is null and registered_on <= (select as_of from clock)
    ),
    versions as (
        select
            user_id,
            from_on,
            to_on,
            birth_date,
            age_band
            {%- for name in declared_dimensions() %}, {{ name }} {%- endfor %}
        from {{ ref("int_user_version") }}
    ),
    purchases as (
        select
            orders.user_id,
            orders.ordered_on,
            {{ period_number(grain, "orders.ordered_on") }} as period_number,
            coalesce(orders.amount, 0) as amount,
            orders.discount_amount,
            least(orders.refund_amount, coalesce(orders.amount, 0)) as refund_amount
        from {{ ref("user_orders") }} as orders
        inner join users on orders.user_id = users.user_id
        where orders.is_purchase and orders.ordered_on <= (select as_of from clock)
    ),
    firsts as (
        select user_id, min(ordered_on) as entry_on, min(period_number) as entry_number from purchases group by user_id
    ),
    entries as (
        select
            firsts.user_id,
            firsts.entry_number,
            {{ period_on(grain, "firsts.entry_on") }} as cohort_on
            {%- for name in dimensions %}
                , {{ value_on(name, "firsts.entry_on", "versions") }} as {{ name }}
            {%- endfor %}
        from firsts
        inner join versions on firsts.user_id = versions.user_id and {{ known_on("versions", "firsts.entry_on") }}
    ),
    sizes as (
        select entry_number, cohort_on, {{ grouped_dimension(dimensions) }}, count(*) as cohort_size
        from entries
        group by
            grouping sets (
                (entry_number, cohort_on)
                {%- for name in dimensions %}, (entry_number, cohort_on, {{ name }}) {%- endfor %}
            )
    ),
    bought as (
        select
            entries.entry_number,
            purchases.period_number,
            {%- for name in dimensions %} entries.{{ name }}, {%- endfor %}
            purchases.amount,
            purchases.discount_amount,
            purchases.refund_amount
        from purchases
        inner join entries on purchases.user_id = entries.user_id
    ),
    amounts as (
        select
            entry_number,
            period_number,
            {{ grouped_dimension(dimensions) }},
            count(*) as order_count,
            sum(amount + discount_amount) as gross_amount,
            sum(discount_amount) as discount_amount,
            sum(refund_amount) as refund_amount,
            sum(amount - refund_amount) as net_amount
        from bought
        group by
            grouping sets (
                (entry_number, period_number)
                {%- for name in dimensions %}, (entry_number, period_number, {{ name }}) {%- endfor %}
            )
    ),
    span as (
        select min(firsts.entry_on) as from_on, max(clock.as_of) as to_on
        from firsts
        cross join clock
        having count(*) > 0
    ),
    days as ({{ nights("span", "from_on", "to_on") }}),
    spine as (select distinct {{ period_number(grain, "night_on") }} as period_number from days),
    cells as (
        select
            sizes.cohort_on,
            sizes.dimension,
            sizes.value,
            spine.period_number - sizes.entry_number as period,
            sizes.cohort_size,
            coalesce(amounts.order_count, 0) as order_count,
            coalesce(amounts.gross_amount, 0) as gross_amount,
            coalesce(amounts.discount_amount, 0) as discount_amount,
            coalesce(amounts.refund_amount, 0) as refund_amount,
            coalesce(amounts.net_amount, 0) as net_amount,
            spine.period_number < {{ period_number(grain, "clock.tomorrow_on") }} as is_complete
        from sizes
        cross join clock
        inner join spine on sizes.entry_number <= spine.period_number
        left join
            amounts
            on sizes.entry_number = amounts.entry_number
            and spine.period_number = amounts.period_number
            and sizes.dimension = amounts.dimension
            and sizes.value = amounts.value
    ),
    summed as (
        select
            cohort_on,
            dimension,
            value,
            period,
            cohort_size,
            order_count,
            gross_amount,
            discount_amount,
            refund_amount,
            net_amount,
            sum(gross_amount) over until_then as cumulative_gross_amount,
            sum(net_amount) over until_then as cumulative_net_amount,
            is_complete
        from cells
        window until_then as (partition by cohort_on, dimension, value order by period rows unbounded preceding)
    )

select
    cohort_on,
    dimension,
    value,
    cast(period as bigint) as period,
    cast(cohort_size as bigint) as cohort_size,
    cast(order_count as bigint) as order_count,
    cast(gross_amount as decimal(18, 2)) as gross_amount,
    cast(discount_amount as decimal(18, 2)) as discount_amount,
    cast(refund_amount as decimal(18, 2)) as refund_amount,
    cast(net_amount as decimal(18, 2)) as net_amount,
    cast(cumulative_gross_amount as decimal(18, 2)) as cumulative_gross_amount,
    cast(cumulative_net_amount as decimal(18, 2)) as cumulative_net_amount,
    {{ ratio("cumulative_net_amount", "cohort_size", 18, 4) }} as cumulative_net_per_user,
    is_complete
from summed
