{{ config(materialized="table") }}

{%- set rules = precursor_rules() %}
{%- set span, activity, churn_days = rules["look_back_days"], rules["activity"], churned_after(rules["activity"]) %}
{%- set reach = [2 * span, rules["value_days"]] | max %}
{#- Sums the conditions name, as (name, measure, whether of the days before the look-back). -#}
{%- set sums, names = [], [] %}
{%- for measure in day_measures() %}
    {%- do names.append(measure) %} {%- do names.append(measure ~ "_before") %}
{%- endfor %}
{%- for name in named_in(rules["behaviours"] | map(attribute="when") | join(" "), names) %}
    {%- if name.endswith("_before") %} {%- do sums.append((name, name[:-7], true)) %}
    {%- else %} {%- do sums.append((name, name, false)) %}
    {%- endif %}
{%- endfor %}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    {#- The last night after which churn has had its time, and tonight. -#}
    looked_at as (
        select {{ days_after("as_of", -churn_days) }} as night_on, true as is_settled
        from clock
        union all
        select as_of as night_on, false as is_settled
        from clock
    ),
    users as (select user_id, registered_on from {{ ref("int_user") }} where known_to_on is null),
    {#- A day is placed once in the look-back of its night, not once for every sum. -#}
    days as (
        select
            days.user_id,
            looked_at.night_on,
            looked_at.is_settled,
            days.activity_on > {{ days_after("looked_at.night_on", -span) }} as is_within,
            days.activity_on > {{ days_after("looked_at.night_on", -2 * span) }}
            and days.activity_on <= {{ days_after("looked_at.night_on", -span) }} as is_before,
            days.activity_on > {{ days_after("looked_at.night_on", -rules["value_days"]) }} as is_valued,
            days.active_days as days_there,
            days.spend_amount as value_amount
            {%- for measure in sums | map(attribute=1) | unique %}, days.{{ measure }} {%- endfor %}
        from looked_at
        inner join
            {{ ref("int_user_day") }} as days
            on days.activity_on <= looked_at.night_on
            and days.activity_on > {{ days_after("looked_at.night_on", -reach) }}
        where days.activity_on > (select {{ days_after("as_of", -churn_days - reach) }} from clock)
    ),
    added_up as (
        select
            user_id,
            night_on,
            is_settled,
            sum(case when is_within then days_there else 0 end) as days_there,
            sum(case when is_valued then value_amount else 0 end) as value_amount
            {%- for name, measure, is_before in sums %}
                ,
                sum(
                    case when {{ "is_before" if is_before else "is_within" }} then {{ measure }} else 0 end
                ) as {{ name }}
            {%- endfor %}
        from days
        group by user_id, night_on, is_settled
    ),
    {#- Who was there, and who came back, by the activity whose silence is churn. -#}
    dates as ({{ activity_dates([activity]) }}),
    seen as (
        select
            dates.user_id,
            looked_at.night_on,
            max(case when dates.activity_on <= looked_at.night_on then 1 else 0 end) as was_there,
            max(case when dates.activity_on > looked_at.night_on then 1 else 0 end) as came_back
        from looked_at
        inner join
            dates
            on dates.activity_on > {{ days_after("looked_at.night_on", -span) }}
            and dates.activity_on <= {{ days_after("looked_at.night_on", churn_days) }}
        where dates.did_{{ activity }} = 1
        group by dates.user_id, looked_at.night_on
    ),
    {#- Who has paid for any night of those in which they could have come back is not gone. -#}
    paid_up as (
        select distinct spells.user_id, looked_at.night_on
        from looked_at
        inner join
            {{ ref("int_paid_spell") }} as spells
            on spells.to_on > {{ days_after("looked_at.night_on", 1) }}
            and spells.from_on <= {{ days_after("looked_at.night_on", churn_days) }}
        where looked_at.is_settled
    ),
    placed as (
        select
            added_up.user_id,
            added_up.night_on,
            added_up.is_settled,
            coalesce(seen.was_there, 0) = 1 as was_there,
            case
                when added_up.is_settled then coalesce(seen.came_back, 0) = 0 and paid_up.user_id is null
            end as has_churned,
            {{ days_between("users.registered_on", "added_up.night_on") }} as tenure_days,
            added_up.days_there,
            added_up.value_amount,
            {#- The first and the last place of those who spent as much: their sum is twice the average rank. -#}
            rank() over (partition by added_up.night_on, value_amount > 0 order by value_amount)
            + count(*) over (partition by added_up.night_on, value_amount > 0 order by value_amount) as twice_the_rank,
            count(*) over (partition by added_up.night_on, value_amount > 0) as ranked_count
            {%- for name, measure, is_before in sums %}, added_up.{{ name }} {%- endfor %}
        from added_up
        inner join users on added_up.user_id = users.user_id and users.registered_on <= added_up.night_on
        left join seen on added_up.user_id = seen.user_id and added_up.night_on = seen.night_on
        left join paid_up on added_up.user_id = paid_up.user_id and added_up.night_on = paid_up.night_on
    )

select
    user_id,
    night_on,
    is_settled,
    was_there,
    has_churned,
    {{ band_of("tenure_days", rules["tenure_bounds"]) }} as tenure_band,
    {#- Groups of equal size by average rank, as in user_rfm; nothing spent is a group of its own. -#}
    case
        when value_amount > 0
        then cast(ceil(cast({{ rules["value_groups"] }} * twice_the_rank as double) / (2 * ranked_count)) as integer)
        else 0
    end as value_group,
    {{ band_of("days_there", rules["active_bounds"]) }} as active_band
    {%- for behaviour in rules["behaviours"] %}
        , coalesce({{ behaviour["when"] }}, false) as did_{{ behaviour["name"] }}
    {%- endfor %}
from placed
