{%- set risk, activity = churn_rules()["risk"], churn_rules()["risk"]["activity"] %}
{%- set by_gap = risk["by"] == "personal_gap" %}
{%- set behaviours = precursor_rules()["behaviours"] %}
{%- set done = {"active": ["any activity", "活动"], "purchase": ["a purchase", "购买"]}.get(
    activity, [activity, activity]
) %}
{%- set texts = {"precursors": [], "precursors_zh": [], "counted": []} %}
{%- for behaviour in behaviours %}
    {%- set shown = "shown.did_" ~ behaviour["name"] ~ " and known.is_" ~ behaviour["name"] ~ " = 1" %}
    {%- do texts["counted"].append(one_if(shown)) %}
    {%- do texts["precursors"].append(
        "case when "
        ~ shown
        ~ " then "
        ~ text_literal(", " ~ behaviour["name"] | replace("_", " "))
        ~ " else '' end"
    ) %}
    {%- do texts["precursors_zh"].append(
        "case when " ~ shown ~ " then " ~ text_literal("、" ~ behaviour["label"]) ~ " else '' end"
    ) %}
{%- endfor %}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    users as (
        select user_id, registered_on, late_gap_days, is_paid_up, days_to_paid_end from {{ ref("user_profile") }}
    ),
    dates as ({{ activity_dates([activity]) }}),
    lasts as (
        select user_id, max(activity_on) as last_on
        from dates
        where did_{{ activity }} = 1 and activity_on <= (select as_of from clock)
        group by user_id
    ),
    {%- if by_gap %}
        {#- The gap that nine of ten do not exceed, by nearest rank as in lifecycle_thresholds. -#}
        gaps as (
            select
                user_id,
                gap_days,
                row_number() over (partition by user_id order by gap_days) as place,
                count(*) over (partition by user_id) as gap_count
            from {{ ref("int_user_day") }}
            where gap_days is not null
        ),
        own_gaps as (
            select
                user_id,
                max(gap_count) as gap_count,
                min(case when place * 10 >= gap_count * 9 then gap_days end) as long_days
            from gaps
            group by user_id
        ),
    {%- endif %}
    known as (
        select
            {%- for behaviour in behaviours %}
                max(
                    case when behaviour = {{ text_literal(behaviour["name"]) }} and is_precursor then 1 else 0 end
                ) as is_{{ behaviour["name"] }} {{- "," if not loop.last }}
            {%- endfor %}
        from {{ ref("churn_precursors") }}
    ),
    shown as (
        select user_id {%- for behaviour in behaviours %}, did_{{ behaviour["name"] }} {%- endfor %}
        from {{ ref("int_user_lookback") }}
        where not is_settled
    ),
    measured as (
        select
            users.user_id,
            users.is_paid_up,
            users.days_to_paid_end,
            {{ days_between("lasts.last_on", "clock.as_of") }} as days_silent,
            {%- if by_gap %}
                cast(coalesce(own_gaps.gap_count, 0) as bigint) as gap_count,
                case
                    when own_gaps.gap_count >= {{ risk["min_gaps"] }} then 'own_gap' else 'category_gap'
                end as measured_by,
                cast(
                    greatest(
                        case
                            when own_gaps.gap_count >= {{ risk["min_gaps"] }}
                            then own_gaps.long_days
                            else users.late_gap_days
                        end,
                        {{ risk["least_days"] }}
                    ) as bigint
                ) as allowed_days
            {%- else %}
                cast(0 as bigint) as gap_count,
                'window' as measured_by,
                cast({{ churned_after(activity) }} as bigint) as allowed_days
            {%- endif %},
            cast({{ texts["counted"] | join(" + ") }} as bigint) as precursor_count,
            {{ texts["precursors"] | join(" || ") }} as precursors,
            {{ texts["precursors_zh"] | join(" || ") }} as precursors_zh
        from users
        cross join clock
        cross join known
        left join lasts on users.user_id = lasts.user_id
        {%- if by_gap %} left join own_gaps on users.user_id = own_gaps.user_id {%- endif %}
        left join shown on users.user_id = shown.user_id
    ),
    banded as (
        select
            user_id,
            is_paid_up,
            days_to_paid_end,
            days_silent,
            gap_count,
            case when days_silent is not null then measured_by end as measured_by,
            case when days_silent is not null then allowed_days end as allowed_days,
            precursor_count,
            precursors,
            precursors_zh,
            case
                when days_silent is null
                then null
                {#- Who has paid is not gone, only silent. #}
                when days_silent >= {{ churned_after(activity) }} and not is_paid_up
                then 'churned'
                when days_silent >= {{ risk["overdue_ratio"] }} * allowed_days and not is_paid_up
                then 'overdue'
                when days_silent >= {{ risk["late_ratio"] }} * allowed_days
                then 'late'
                else 'on_time'
            end as band
        from measured
    )

select
    user_id,
    case when band is null then 'not_eligible: never {{ done[0] }}' else 'eligible' end as eligibility,
    band,
    case
        band when 'on_time' then '正常' when 'late' then '逾期' when 'overdue' then '严重逾期' when 'churned' then '流失'
    end as label,
    band = 'churned' as has_churned,
    measured_by,
    days_silent,
    allowed_days,
    {{ ratio("days_silent", "allowed_days", 18, 4) }} as churn_ratio,
    gap_count,
    precursor_count,
    cast(days_silent as string)
    || ' days without {{ done[0] }}; '
    || case
        measured_by
        when 'own_gap'
        then
            'nine of ten of '
            || cast(gap_count as string)
            || ' own gaps took no more than '
            || cast(allowed_days as string)
            || ' days'
        when 'category_gap'
        then 'nine of ten who come back in the category do within ' || cast(allowed_days as string) || ' days'
        else cast(allowed_days as string) || ' days are churn'
    end
    || case
        when is_paid_up and days_to_paid_end is null
        then '; paid without an end'
        when is_paid_up and days_to_paid_end < 0
        then '; renewal late by ' || cast(- days_to_paid_end as string) || ' days'
        when is_paid_up
        then '; paid for ' || cast(days_to_paid_end as string) || ' more days'
        else ''
    end
    || case when precursor_count > 0 then '; lately: ' || substr(precursors, 3) else '' end as reason,
    '已'
    || cast(days_silent as string)
    || '天没有{{ done[1] }}；'
    || case
        measured_by
        when 'own_gap'
        then '本人' || cast(gap_count as string) || '次间隔中九成不超过' || cast(allowed_days as string) || '天'
        when 'category_gap'
        then '该品类复购者九成在' || cast(allowed_days as string) || '天内回购'
        else '满' || cast(allowed_days as string) || '天即为流失'
    end
    || case
        when is_paid_up and days_to_paid_end is null
        then '；付费长期有效'
        when is_paid_up and days_to_paid_end < 0
        then '；续费已迟' || cast(- days_to_paid_end as string) || '天'
        when is_paid_up
        then '；付费期还剩' || cast(days_to_paid_end as string) || '天'
        else ''
    end
    || case when precursor_count > 0 then '；近期：' || substr(precursors_zh, 2) else '' end as reason_zh
from banded
