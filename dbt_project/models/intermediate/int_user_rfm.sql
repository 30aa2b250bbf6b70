{{ config(materialized="table") }}

{%- set window_days = rfm_window_days() %}

with
    clock as (select window_from, window_to from {{ ref("int_clock") }}),
    users as (select user_id, known_from_on, known_to_on, registered_on from {{ ref("int_user") }}),
    days as (
        select user_id, activity_on, order_count, spend_amount - purchase_refund_amount as net_amount
        from {{ ref("int_user_day") }}
        where
            (order_count > 0 or purchase_refund_amount > 0)
            and activity_on <= (select window_to from clock)
            and activity_on > {{ days_after("(select window_from from clock)", -window_days) }}
    ),

    {#- What is paid for is used every night: recency counts from the last one of them. -#}
    paid_nights as (
        select user_id, night_on, least(night_on, {{ days_after("paid_up_to_on", -1) }}) as paid_up_on
        from {{ ref("int_user_plan_night") }}
        where paid_up_to_on is not null
    ),

    {#- A day counts from its date, or from the first night of the window, until its length is over. -#}
    moves as (
        select
            user_id,
            greatest(activity_on, (select window_from from clock)) as moved_on,
            order_count,
            net_amount,
            case when order_count > 0 then activity_on end as last_order_on
        from days
        union all
        select
            user_id,
            {{ days_after("activity_on", window_days) }} as moved_on,
            - order_count as order_count,
            - net_amount as net_amount,
            cast(null as date) as last_order_on
        from days
        where {{ days_after("activity_on", window_days) }} <= (select window_to from clock)
    ),
    changes as (
        select
            user_id,
            moved_on,
            sum(order_count) as order_count,
            sum(net_amount) as net_amount,
            max(last_order_on) as last_order_on
        from moves
        group by user_id, moved_on
    ),
    carried as (
        select
            user_id,
            moved_on,
            lead(moved_on) over (partition by user_id order by moved_on) as moved_again_on,
            sum(order_count) over so_far as frequency,
            sum(net_amount) over so_far as net_amount,
            max(last_order_on) over so_far as last_order_on
        from changes
        window so_far as (partition by user_id order by moved_on rows unbounded preceding)
    ),

    {#- Nights on which it stood so and the user was known. -#}
    stretches as (
        select
            carried.user_id,
            carried.frequency,
            carried.net_amount,
            carried.last_order_on,
            greatest(carried.moved_on, users.known_from_on, users.registered_on) as from_on,
            least(
                coalesce({{ days_after("carried.moved_again_on", -1) }}, clock.window_to),
                coalesce({{ days_after("users.known_to_on", -1) }}, clock.window_to)
            ) as to_on
        from carried
        inner join users on carried.user_id = users.user_id
        cross join clock
        where carried.frequency > 0
    ),
    standing as (
        select user_id, frequency, net_amount, last_order_on, from_on, to_on from stretches where from_on <= to_on
    ),
    panel as (
        {{ nights("standing", "from_on", "to_on", keep=["user_id", "frequency", "net_amount", "last_order_on"]) }}
    ),
    measured as (
        select
            panel.user_id,
            panel.night_on,
            {{
                days_between(
                    "greatest(panel.last_order_on, coalesce(paid_nights.paid_up_on, panel.last_order_on))",
                    "panel.night_on",
                )
            }} as recency_days,
            cast(panel.frequency as bigint) as frequency,
            cast(panel.net_amount as decimal(18, 2)) as monetary_amount
        from panel
        left join paid_nights on panel.user_id = paid_nights.user_id and panel.night_on = paid_nights.night_on
    ),
    {%- if rfm_thresholds() %}
        scored as (
            select
                user_id,
                night_on,
                recency_days,
                frequency,
                monetary_amount
                {%- for letter, measure in rfm_measures().items() %}
                    , {{ rfm_score_by_thresholds(letter, measure) }} as {{ letter }}
                {%- endfor %}
            from measured
        ),
    {%- else %}

        buyers as (select night_on, count(*) as buyer_count from measured group by night_on),
        {#- Equals are ranked once, not row by row, and a night keeps the last value of each score: one row per night, so that no planner
            can join what two measures have in common, which is the night alone. -#}
        {%- for letter, measure in rfm_measures().items() %}
            {{ letter }}_values as (
                select night_on, {{ measure }} as value, count(*) as value_count
                from measured
                group by night_on, {{ measure }}
            ),
            {{ letter }}_places as (
                select
                    night_on,
                    value,
                    value_count,
                    sum(value_count) over (
                        partition by night_on order by value {{- " desc" if letter == "r" }} rows unbounded preceding
                    ) as place
                from {{ letter }}_values
            ),
            {#- Twice the average rank among equals, so that it stays a whole number. -#}
            {{ letter }}_scores as (
                select
                    places.night_on,
                    places.value,
                    cast(
                        ceil(
                            cast(5 * cast(2 * places.place - places.value_count + 1 as bigint) as double)
                            / (2 * buyers.buyer_count)
                        ) as integer
                    ) as score
                from {{ letter }}_places as places
                inner join buyers on places.night_on = buyers.night_on
            ),
            {{ letter }}_cuts as (
                select
                    night_on
                    {%- for score in [1, 2, 3, 4] %}
                        ,
                        {{ "min" if letter == "r" else "max" }} (
                            case when score <= {{ score }} then value end
                        ) as last_{{ score }}
                    {%- endfor %}
                from {{ letter }}_scores
                group by night_on
            ),
        {%- endfor %}
        scored as (
            select
                measured.user_id,
                measured.night_on,
                measured.recency_days,
                measured.frequency,
                measured.monetary_amount
                {%- for letter, measure in rfm_measures().items() %}
                    ,
                    case
                        {%- for score in [1, 2, 3, 4] %}
                            when
                                measured.{{ measure }} {{ ">=" if letter == "r" else "<=" }} {{ letter }}_cuts.last_{{ score }}
                            then {{ score }}
                        {%- endfor %}
                        else 5
                    end as {{ letter }}
                {%- endfor %}
            from measured
            {%- for letter in rfm_measures() %}
                inner join {{ letter }}_cuts on measured.night_on = {{ letter }}_cuts.night_on
            {%- endfor %}
        ),
    {%- endif %}
    graded as (
        select
            user_id,
            night_on,
            recency_days,
            frequency,
            monetary_amount,
            r,
            f,
            m,
            cast(floor((f + m + 1) / 2.0) as integer) as fm
        from scored
    )

select user_id, night_on, recency_days, frequency, monetary_amount, r, f, m, fm, {{ rfm_group() }} as rfm_group
from graded
