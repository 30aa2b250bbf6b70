{%- set from_registration = value_origin() == "registration" -%}

with
    clock as (select first_on from {{ ref("int_clock") }}),
    latest as (select max(version_on) as version_on from {{ ref("int_value_version") }} where is_in_window),
    purchase_days as (
        select
            user_id,
            activity_on,
            {{ purchases_of_day() }} as purchase_count,
            coalesce(unpriced_order_count, 0) as unpriced_order_count,
            spend_amount,
            {{ beginning_amount("spend_amount", "(order_count - coalesce(unpriced_order_count, 0))") }}
            as beginning_amount
        from {{ ref("int_user_day") }}
        where order_count > 0 and activity_on < (select version_on from latest)
    ),
    users as (select user_id, known_from_on, known_to_on, registered_on from {{ ref("int_user") }}),

    -- A user is counted from the first night they were known on until the last, whatever changed about them in between.
    counted as (
        select
            users.user_id,
            min_by(users.registered_on, users.known_from_on) as registered_on,
            min({{ known_from(days_after("users.known_from_on", -1), "clock.first_on") }}) as counted_from_month,
            max(
                case
                    when users.known_to_on is null
                    then 999999
                    else {{ known_from(days_after("users.known_to_on", -1), "clock.first_on") }}
                end
            ) as counted_to_month
        from users
        cross join clock
        group by users.user_id
    ),
    days as (
        select
            user_id,
            activity_on,
            activity_on as purchased_on,
            purchase_count,
            unpriced_order_count,
            spend_amount,
            beginning_amount
        from purchase_days
        {%- if from_registration %}
            union all
            select
                user_id,
                registered_on as activity_on,
                cast(null as date) as purchased_on,
                0 as purchase_count,
                0 as unpriced_order_count,
                0 as spend_amount,
                0 as beginning_amount
            from counted
            where registered_on < (select version_on from latest)
        {%- endif %}
    ),
    months as (
        select
            days.user_id,
            {{ known_from("days.activity_on", "clock.first_on") }} as from_month,
            sum(days.purchase_count) as purchase_count,
            min(days.activity_on) as begun_on,
            max(days.purchased_on) as last_purchase_on,
            sum(days.unpriced_order_count) as unpriced_order_count,
            sum(days.spend_amount) as spend_amount,
            min_by(days.beginning_amount, days.activity_on) as beginning_amount
        from days
        cross join clock
        group by days.user_id, {{ known_from("days.activity_on", "clock.first_on") }}
    ),
    so_far as (
        select
            user_id,
            from_month,
            lead(from_month) over (partition by user_id order by from_month) as to_month,
            min(begun_on) over (partition by user_id) as begun_on,
            max(last_purchase_on) over (
                partition by user_id order by from_month rows between unbounded preceding and current row
            ) as last_purchase_on,
            min(from_month) over (partition by user_id) as begun_from_month,
            sum(purchase_count) over (
                partition by user_id order by from_month rows between unbounded preceding and current row
            )
            - {{ beginning_count() }} as repeat_count,
            sum(unpriced_order_count) over (
                partition by user_id order by from_month rows between unbounded preceding and current row
            ) as unpriced_order_count,
            sum(spend_amount) over (
                partition by user_id order by from_month rows between unbounded preceding and current row
            ) as spend_amount,
            min_by(beginning_amount, from_month) over (partition by user_id) as beginning_amount
        from months
    )

select
    so_far.user_id,
    so_far.from_month,
    so_far.to_month,
    counted.counted_from_month,
    counted.counted_to_month,
    so_far.begun_from_month,
    so_far.begun_on,
    coalesce(so_far.last_purchase_on, so_far.begun_on) as last_on,
    so_far.repeat_count,
    so_far.unpriced_order_count,
    so_far.spend_amount - so_far.beginning_amount as repeat_amount
from so_far
inner join counted on so_far.user_id = counted.user_id
