{{ windowed("coalesce(to_on, cast('9999-12-31' as date))") }}

{%- set questions = [] %}
{%- for latch in latches() %}
    {%- do questions.append(
        [
            text_literal(latch["rule"]),
            "coalesce((" ~ latch["when"] ~ "), false)",
            "coalesce((" ~ latch["stays_when"] ~ "), false)",
        ]
    ) %}
{%- endfor %}

with
    clock as (select as_of, window_from from {{ ref("int_clock") }}),
    features as (select {{ columns_of("int_user_features") | join(", ") }} from {{ ref("int_user_features") }}),
    asked as (
        {{-
            as_rows(
                "features",
                ["rule", "enters", "stays"],
                questions or [["cast(null as string)", "false", "false"]],
                keep=["user_id", "night_on"],
            )
        }}
    ),

    {#- On the night before the window. #}
    opening as (
        {%- if is_incremental() %}
            select user_id, rule, (select window_from from clock) as night_on
            from {{ this }}
            where
                from_on < (select window_from from clock)
                and (to_on is null or to_on >= (select window_from from clock))
        {%- else %}select user_id, rule, night_on from asked where false
        {%- endif %}
    ),

    {#- A night that neither enters nor stays is left out, and so a gap; so is a night on which the user was not known. #}
    open_nights as (
        select
            asked.user_id,
            asked.rule,
            asked.night_on,
            case when asked.enters or opening.user_id is not null then 1 else 0 end as is_on_by_itself,
            lag(asked.night_on) over (partition by asked.user_id, asked.rule order by asked.night_on) as previous_on
        from asked
        left join
            opening
            on asked.user_id = opening.user_id
            and asked.rule = opening.rule
            and asked.night_on = opening.night_on
        where asked.enters or asked.stays
    ),

    {#- Who only stays is on if something switched it on since the last gap. #}
    switched as (
        select
            user_id,
            rule,
            night_on,
            max(case when is_on_by_itself = 1 then night_on end) over (
                partition by user_id, rule order by night_on rows unbounded preceding
            ) as on_at,
            max(
                case
                    when
                        is_on_by_itself = 0
                        and (previous_on is null or {{ days_between("previous_on", "night_on") }} > 1)
                    then night_on
                end
            ) over (partition by user_id, rule order by night_on rows unbounded preceding) as off_at
        from open_nights
    ),
    nights as (
        select user_id, night_on, rule from switched where on_at is not null and (off_at is null or on_at > off_at)
    ),
    {{ spells("nights", "rule") }}

select user_id, rule, from_on, to_on, days
from spells
