{{ windowed("version_on", start="facts_from") }}

{%- set holdout_months = rules_of_int_value_history()["holdout_months"] -%}

with
    versions as (select version_on, month_number, is_in_window from {{ ref("int_value_version") }}),
    latest as (select max(version_on) as version_on from versions where is_in_window),
    buyers as (
        select user_id, begun_on, begun_from_month, counted_from_month, counted_to_month
        from {{ ref("int_buyer_month") }}
        where to_month is null
    ),
    repeats as (
        select
            days.activity_on as purchased_on,
            buyers.begun_from_month,
            buyers.counted_from_month,
            buyers.counted_to_month,
            sum(
                {{ purchases_of_day() }}
                - case when days.activity_on = buyers.begun_on then {{ beginning_count() }} else 0 end
            ) as repeat_count
        from {{ ref("int_user_day") }} as days
        inner join buyers on days.user_id = buyers.user_id
        where days.order_count > 0 and days.activity_on < (select version_on from latest)
        group by days.activity_on, buyers.begun_from_month, buyers.counted_from_month, buyers.counted_to_month
    )

select versions.version_on, repeats.purchased_on, cast(sum(repeats.repeat_count) as bigint) as repeat_count
from versions
inner join versions as earlier on versions.month_number - {{ holdout_months }} = earlier.month_number
inner join
    repeats
    on repeats.purchased_on < versions.version_on
    and repeats.repeat_count > 0
    and repeats.begun_from_month <= earlier.month_number
    and versions.month_number >= repeats.counted_from_month
    and versions.month_number < repeats.counted_to_month
where versions.is_in_window
group by versions.version_on, repeats.purchased_on
