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
    clock as (select window_from, window_to from {{ ref("int_clock") }}),
    features as (select {{ columns_of_int_user_features() | join(", ") }} from {{ ref("int_user_features") }}),
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
            case when asked.enters or opening.user_id is not null then asked.night_on end as switched_on,
            {{ days_between("cast('1970-01-01' as date)", "asked.night_on") }}
            - row_number() over (partition by asked.user_id, asked.rule order by asked.night_on) as island
        from asked
        left join
            opening
            on asked.user_id = opening.user_id
            and asked.rule = opening.rule
            and asked.night_on = opening.night_on
        where asked.enters or asked.stays
    ),

    {#- Of nights without a gap, those from the one that first switched it on. #}
    islands as (
        select user_id, rule, min(switched_on) as from_on, {{ days_after("max(night_on)", 1) }} as to_on
        from open_nights
        group by user_id, rule, island
        having min(switched_on) is not null
    ),
    {{ spells_of("islands", "rule") }}

select user_id, rule, from_on, to_on, days
from spells
