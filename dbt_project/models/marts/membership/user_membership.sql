{%- set measure = level_measure() %}
{%- set daily = modules.re.sub("_[0-9]+d$", "", measure) %}
{%- set days = modules.re.sub("[^0-9]", "", measure[daily | length :]) | int %}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    tonight as (select night_on from {{ ref("int_night") }} where is_as_of),
    history as (select user_id, level, from_on, to_on, days from {{ ref("user_membership_history") }}),
    {{ present_spells("history", "level") }},
    places as (
        select ladders.user_id, ladders.level_reached_on, ladders.next_level_share, ladders.days_to_level_end
        from {{ ref("int_user_ladder") }} as ladders
        inner join tonight on ladders.night_on = tonight.night_on
    ),
    measures as (
        select features.user_id, cast(features.{{ measure }} as decimal(18, 2)) as ladder_amount
        from {{ ref("int_user_features") }} as features
        inner join tonight on features.night_on = tonight.night_on
    ),
    members as (
        select
            present_spells.user_id,
            present_spells.level,
            present_spells.since_on,
            present_spells.days_in_state,
            present_spells.previous_state,
            places.level_reached_on as reached_on,
            places.next_level_share,
            places.days_to_level_end,
            measures.ladder_amount,
            clock.as_of,
            {%- for name, key in [("place", "place"), ("keep", "keep"), ("grace_days", "grace_days")] %}
                case
                    present_spells.level
                    {%- for level in levels() %}
                        when {{ text_literal(level["name"]) }}
                        then {{ level.get(key, level["reach"] if key == "keep" else 0) }}
                    {%- endfor %}
                end as {{ name }},
            {%- endfor %}
            case
                present_spells.level
                {%- for level in levels() if level["above"] %}
                    when {{ text_literal(level["name"]) }} then {{ text_literal(level["above"]["name"]) }}
                {%- endfor %}
                else cast(null as string)
            end as next_level,
            case
                present_spells.level
                {%- for level in levels() if level["above"] %}
                    when {{ text_literal(level["name"]) }} then {{ level["above"]["reach"] }}
                {%- endfor %}
            end as next_reach,
            case
                {%- for level in levels() if "valid_months" in level or "valid_days" in level %}
                    when present_spells.level = {{ text_literal(level["name"]) }}
                    then
                        {% if "valid_months" in level -%}
                            {{ months_after("places.level_reached_on", level["valid_months"]) }}
                        {%- else -%} {{ days_after("places.level_reached_on", level["valid_days"]) }}
                        {%- endif %}
                {%- endfor %}
                else cast(null as date)
            end as valid_to_on
        from present_spells
        inner join places on present_spells.user_id = places.user_id
        inner join measures on present_spells.user_id = measures.user_id
        cross join clock
    ),

    {#- When those who have what keeps their level will no longer, if nothing follows: as days leave the window, one by one. -#}
    earned as (
        select user_id, activity_on, {{ points() if daily == "point_count" else daily }} as amount
        from {{ ref("int_user_day") }}
        where
            activity_on <= (select as_of from clock)
            and {{ "activity_on > " ~ days_after("(select as_of from clock)", -days) if days else "false" }}
    ),
    leaving as (
        select
            members.user_id,
            members.keep,
            earned.activity_on,
            sum(earned.amount) over (
                partition by members.user_id
                order by earned.activity_on desc
                rows between unbounded preceding and 1 preceding
            ) as remaining_amount
        from members
        inner join earned on members.user_id = earned.user_id
        where members.reached_on is not null and members.days_to_level_end is null and earned.amount <> 0
    ),
    losing as (
        select user_id, {{ days_after("min(activity_on)", days) }} as falls_below_on
        from leaving
        where coalesce(remaining_amount, 0) < keep
        group by user_id
    )

select
    members.user_id,
    members.level,
    {{ state_label("level", "members.level") }} as label,
    cast(members.place as bigint) as place,
    members.since_on,
    members.days_in_state as days_in_level,
    members.previous_state as previous_level,
    members.reached_on,
    members.valid_to_on,
    case
        when members.days_to_level_end is not null
        then {{ days_after("members.as_of", "members.days_to_level_end") }}
        when losing.falls_below_on is not null
        then
            {{
                days_after(
                    "greatest(losing.falls_below_on, coalesce(members.valid_to_on, losing.falls_below_on))",
                    "members.grace_days",
                )
            }}
    end as ends_on,
    members.reached_on is null or members.days_to_level_end is null as is_qualified,
    members.reached_on is not null and coalesce(members.days_to_level_end <= members.grace_days, false) as is_in_grace,
    members.ladder_amount,
    members.next_level,
    {{ state_label("level", "members.next_level") }} as next_label,
    cast(members.next_reach - members.ladder_amount as decimal(18, 2)) as missing_amount,
    members.next_level_share
from members
left join losing on members.user_id = losing.user_id
