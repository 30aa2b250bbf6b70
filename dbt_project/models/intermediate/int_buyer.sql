{{ config(materialized="table") }}

{%- set from_registration = value_origin() == "registration" -%}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    purchase_days as (
        select
            user_id,
            activity_on,
            {{ purchases_of_day() }} as purchase_count,
            order_count,
            unpriced_order_count,
            spend_amount
        from {{ ref("int_user_day") }}
        where order_count > 0 and activity_on <= (select as_of from clock)
    ),
    -- A history begins at the registration that was first told.
    users as (
        select
            user_id,
            min_by(registered_on, known_from_on) as registered_on,
            max(case when known_to_on is null then 1 else 0 end) as is_known
        from {{ ref("int_user") }}
        group by user_id
    ),
    buyers as (
        select
            user_id,
            sum(purchase_count) as purchase_count,
            count(*) as purchase_day_count,
            min(activity_on) as first_purchase_on,
            max(activity_on) as last_purchase_on,
            sum(order_count) as order_count,
            sum(unpriced_order_count) as unpriced_order_count,
            sum(spend_amount) as spend_amount,
            min_by(
                {{ beginning_amount("spend_amount", "(order_count - coalesce(unpriced_order_count, 0))") }}, activity_on
            ) as beginning_amount
        from purchase_days
        group by user_id
    ),
    histories as (
        select
            {%- if from_registration %}
                users.user_id,
                least(users.registered_on, coalesce(buyers.first_purchase_on, users.registered_on)) as begun_on,
            {%- else %} buyers.user_id, buyers.first_purchase_on as begun_on,
            {%- endif %}
            buyers.first_purchase_on,
            buyers.last_purchase_on,
            coalesce(buyers.purchase_count, 0) as purchase_count,
            coalesce(buyers.purchase_day_count, 0) as purchase_day_count,
            coalesce(buyers.order_count, 0) as order_count,
            coalesce(buyers.unpriced_order_count, 0) as unpriced_order_count,
            coalesce(buyers.spend_amount, 0) as spend_amount,
            coalesce(buyers.beginning_amount, 0) as beginning_amount
        {%- if from_registration %}
            from users left join buyers on users.user_id = buyers.user_id where users.is_known = 1
        {%- else %} from buyers
        {%- endif %}
    )

select
    histories.user_id,
    cast(histories.purchase_count - {{ beginning_count() }} as bigint) as repeat_count,
    {{ days_between("histories.begun_on", "coalesce(histories.last_purchase_on, histories.begun_on)") }}
    as recency_days,
    {{ days_between("histories.begun_on", "clock.as_of") }} as age_days,
    histories.begun_on,
    histories.first_purchase_on,
    histories.last_purchase_on,
    histories.purchase_day_count,
    cast(histories.order_count as bigint) as order_count,
    cast(histories.unpriced_order_count as bigint) as unpriced_order_count,
    cast(histories.spend_amount as decimal(18, 2)) as spend_amount,
    cast(histories.spend_amount - histories.beginning_amount as decimal(18, 2)) as repeat_amount
from histories
cross join clock
where histories.begun_on <= clock.as_of
