with
    clock as (select first_on from {{ ref("int_clock") }}),
    latest as (select max(version_on) as version_on from {{ ref("int_value_version") }} where is_in_window),
    purchase_days as (
        select user_id, activity_on, spend_amount
        from {{ ref("int_user_day") }}
        where order_count > 0 and activity_on < (select version_on from latest)
    ),
    users as (select user_id, known_from_on, known_to_on from {{ ref("int_user") }}),

    -- A user is counted from the first night they were known on until the last, whatever changed about them in between.
    counted as (
        select
            users.user_id,
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
    months as (
        select
            purchase_days.user_id,
            {{ known_from("purchase_days.activity_on", "clock.first_on") }} as from_month,
            count(*) as day_count,
            min(purchase_days.activity_on) as first_purchase_on,
            max(purchase_days.activity_on) as last_purchase_on,
            sum(purchase_days.spend_amount) as spend_amount,
            min_by(purchase_days.spend_amount, purchase_days.activity_on) as first_amount
        from purchase_days
        cross join clock
        group by purchase_days.user_id, {{ known_from("purchase_days.activity_on", "clock.first_on") }}
    ),
    so_far as (
        select
            user_id,
            from_month,
            lead(from_month) over (partition by user_id order by from_month) as to_month,
            min(first_purchase_on) over (partition by user_id) as first_purchase_on,
            last_purchase_on,
            min(from_month) over (partition by user_id) as bought_from_month,
            sum(day_count) over (
                partition by user_id order by from_month rows between unbounded preceding and current row
            )
            - 1 as repeat_count,
            sum(spend_amount) over (
                partition by user_id order by from_month rows between unbounded preceding and current row
            ) as spend_amount,
            min_by(first_amount, from_month) over (partition by user_id) as first_amount
        from months
    )

select
    so_far.user_id,
    so_far.from_month,
    so_far.to_month,
    counted.counted_from_month,
    counted.counted_to_month,
    so_far.bought_from_month,
    so_far.first_purchase_on,
    so_far.last_purchase_on,
    so_far.repeat_count,
    so_far.spend_amount - so_far.first_amount as repeat_amount
from so_far
inner join counted on so_far.user_id = counted.user_id
