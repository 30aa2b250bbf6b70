{%- set measures = dict(contribution_parts(), contribution="contribution_share * 1000000") %}
{%- set rows = [] %}
{%- for measure, column in measures.items() -%}
    {%- do rows.append([text_literal(measure), "cast(" ~ column ~ " as decimal(24, 6))"]) -%}
{%- endfor %}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    users as (select user_id from {{ ref("user_profile") }}),
    contributions as (
        select user_id, {{ contribution_parts().values() | join(", ") }}, contribution_share
        from {{ ref("int_user_community") }}
        where night_on = (select as_of from clock)
    ),
    everybody as (select count(*) as user_count from users),
    deciles as (
        {%- for decile in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] %}
            select {{ decile }} as decile {{ "union all" if not loop.last }}
        {%- endfor %}
    ),
    {#- Who contributed nothing needs no row: theirs are the last places, and they add nothing to any sum. -#}
    valued as ({{ as_rows("contributions", ["measure", "amount"], rows, keep=["user_id"]) }}),
    placed as (
        select measure, amount, row_number() over (partition by measure order by amount desc, user_id) as place
        from valued
        where amount > 0
    ),
    tenths as (
        select
            placed.measure,
            cast(ceil(cast(placed.place * 10 as double) / everybody.user_count) as integer) as decile,
            sum(placed.amount) as amount,
            sum(cast(placed.place as decimal(12, 0)) * placed.amount) as placed_amount
        from placed
        cross join everybody
        group by placed.measure, ceil(cast(placed.place * 10 as double) / everybody.user_count)
    ),
    totals as (select measure, sum(amount) as amount, sum(placed_amount) as placed_amount from tenths group by measure),
    filled as (
        select
            totals.measure,
            deciles.decile,
            floor(cast(everybody.user_count * deciles.decile as double) / 10)
            - floor(cast(everybody.user_count * (deciles.decile - 1) as double) / 10) as user_count,
            everybody.user_count as all_user_count,
            coalesce(tenths.amount, 0) as amount,
            sum(coalesce(tenths.amount, 0)) over (
                partition by totals.measure order by deciles.decile rows unbounded preceding
            ) as amount_so_far,
            totals.amount as total_amount,
            totals.placed_amount
        from totals
        cross join deciles
        cross join everybody
        left join tenths on totals.measure = tenths.measure and deciles.decile = tenths.decile
    )

select
    measure,
    decile,
    cast(user_count as bigint) as user_count,
    {{ share("amount", "total_amount") }} as measure_share,
    {{ share("amount_so_far", "total_amount") }} as cumulative_measure_share,
    {{
        share(
            "(all_user_count + 1) * cast(total_amount as double) - 2 * cast(placed_amount as double)",
            "all_user_count * cast(total_amount as double)",
        )
    }} as gini
from filled
