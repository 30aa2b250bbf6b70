{{ windowed("started_on", start="sessions_from") }}

{%- set rules = rules_of_int_sessions() -%}
{%- set timeout_micros = rules["timeout_minutes"] * 60000000 -%}
{%- set cut_on_campaign = rules["cut_on_campaign"] %}
{%- set across_midnight = rules["across_midnight"] %}
{#- Of a session that goes on over midnight, what it was by then: a day is never changed by the next one. -#}
{%- set on_first_day = days_between("chain_from_on", "event_on") ~ " <> 1" if across_midnight else "1 = 1" %}

with
    clock as (select facts_from, sessions_from from {{ ref("int_clock") }}),
    -- A session that starts the day before the window may go on in it; whether it does is decided by the two days
    -- before that.
    events as (
        select
            event_id,
            user_id,
            device_id,
            visit_id,
            event_at,
            event_on,
            event_name,
            page,
            campaign_id,
            {{ epoch_micros("event_at") }} as event_micros
        from {{ ref("int_event") }}
        where event_on >= (select {{ days_after("facts_from", -3) }} from clock)
    ),
    {%- if cut_on_campaign %}
        named as (
            select
                event_id,
                campaign_id,
                event_on,
                lag(campaign_id) over before as previous_campaign_id,
                lag(event_on) over before as previous_on
            from events
            where campaign_id is not null
            window before as (partition by device_id, user_id, visit_id order by event_at, event_id)
        ),
        campaign_changes as (
            select event_id
            from named
            where previous_campaign_id is distinct from campaign_id or {{ days_between("previous_on", "event_on") }} > 1
        ),
    {%- endif %}
    parts as (
        select
            events.event_id,
            events.user_id,
            events.device_id,
            events.visit_id,
            events.event_at,
            events.event_on,
            events.event_name,
            events.page,
            events.campaign_id,
            events.event_micros,
            {%- if cut_on_campaign %}
                count(campaign_changes.event_id) over (
                    partition by events.device_id, events.user_id, events.visit_id
                    order by events.event_at, events.event_id
                    rows unbounded preceding
                ) as segment
            {%- else %} 0 as segment
            {%- endif %}
        from events
        {%- if cut_on_campaign %} left join campaign_changes on events.event_id = campaign_changes.event_id {%- endif %}
    ),
    -- Events of one stretch as long as the time-out cannot be in two sessions, so they are added up first, without
    -- sorting them.
    stretches as (
        select
            device_id,
            user_id,
            visit_id,
            event_on,
            segment,
            event_micros - mod(event_micros, {{ timeout_micros }}) as stretch,
            min(event_at) as first_at,
            max(event_at) as last_at,
            min(event_micros) as first_micros,
            max(event_micros) as last_micros,
            sum(case when event_name <> 'heartbeat' then 1 else 0 end) as event_count,
            sum(case when event_name in ({{ text_list(rules["views"]) }}) then 1 else 0 end) as view_count,
            sum(case when event_name = 'heartbeat' then 1 else 0 end) as heartbeat_count,
            sum(case when event_name in ({{ text_list(rules["conversions"]) }}) then 1 else 0 end) as conversion_count,
            {%- for step in rules["steps"] %}
                max(case when event_name = {{ text_literal(step) }} then 1 else 0 end) as has_{{ step }},
            {%- endfor %}
            min_by(page, case when page is not null then {{ in_order(["event_at", "event_id"]) }} end) as entry_page,
            max_by(page, case when page is not null then {{ in_order(["event_at", "event_id"]) }} end) as exit_page,
            min_by(
                campaign_id, case when campaign_id is not null then {{ in_order(["event_at", "event_id"]) }} end
            ) as campaign_id
        from parts
        group by device_id, user_id, visit_id, event_on, segment, event_micros - mod(event_micros, {{ timeout_micros }})
    ),
    compared as (
        select
            device_id,
            user_id,
            visit_id,
            event_on,
            stretch,
            segment,
            first_micros,
            lag(last_micros) over before as previous_micros,
            lag(segment) over before as previous_segment,
            first_at,
            last_at,
            last_micros,
            event_count,
            view_count,
            heartbeat_count,
            conversion_count,
            {%- for step in rules["steps"] %} has_{{ step }}, {%- endfor %}
            entry_page,
            exit_page,
            campaign_id
        from stretches
        window before as (partition by device_id, user_id, visit_id order by stretch, event_on, segment)
    ),
    broken as (
        select
            device_id,
            user_id,
            visit_id,
            event_on,
            stretch,
            segment,
            first_micros,
            case
                when
                    previous_micros is null
                    or first_micros - previous_micros >= {{ timeout_micros }}
                    or segment <> previous_segment
                then 1
                else 0
            end as breaks,
            first_at,
            last_at,
            last_micros,
            event_count,
            view_count,
            heartbeat_count,
            conversion_count,
            {%- for step in rules["steps"] %} has_{{ step }}, {%- endfor %}
            entry_page,
            exit_page,
            campaign_id
        from compared
    ),
    chained as (
        select
            device_id,
            user_id,
            visit_id,
            event_on,
            first_micros,
            sum(breaks) over so_far as chain_number,
            max(case when breaks = 1 then event_on end) over so_far as chain_from_on,
            first_at,
            last_at,
            last_micros,
            event_count,
            view_count,
            heartbeat_count,
            conversion_count,
            {%- for step in rules["steps"] %} has_{{ step }}, {%- endfor %}
            entry_page,
            exit_page,
            campaign_id
        from broken
        window
            so_far as (
                partition by device_id, user_id, visit_id order by stretch, event_on, segment rows unbounded preceding
            )
    ),
    sessions as (
        select
            device_id,
            user_id,
            visit_id,
            min(first_at) as started_at,
            max(last_at) as ended_at,
            min(event_on) as started_on,
            min(first_micros) as first_micros,
            max(last_micros) as last_micros,
            max(case when {{ on_first_day }} then last_micros end) as first_day_last_micros,
            sum(event_count) as event_count,
            sum(view_count) as view_count,
            sum(heartbeat_count) as heartbeat_count,
            sum(conversion_count) as conversion_count,
            sum(case when {{ on_first_day }} then view_count else 0 end) as first_day_view_count,
            sum(case when {{ on_first_day }} then heartbeat_count else 0 end) as first_day_heartbeat_count,
            sum(case when {{ on_first_day }} then conversion_count else 0 end) as first_day_conversion_count,
            {%- for step in rules["steps"] %} max(has_{{ step }}) as has_{{ step }}, {%- endfor %}
            min_by(entry_page, case when entry_page is not null then first_micros end) as entry_page,
            max_by(exit_page, case when exit_page is not null then first_micros end) as exit_page,
            min_by(campaign_id, case when campaign_id is not null then first_micros end) as campaign_id
        from chained
        group by
            device_id,
            user_id,
            visit_id,
            chain_number,
            {%- if across_midnight %} greatest({{ days_between("chain_from_on", "event_on") }} - 1, 0)
            {%- else %} {{ days_between("chain_from_on", "event_on") }}
            {%- endif %}
    )

select
    md5(
        coalesce(sessions.device_id, '')
        || '|'
        || coalesce(sessions.user_id, '')
        || '|'
        || coalesce(sessions.visit_id, '')
        || '|'
        || cast(sessions.first_micros as string)
    ) as session_id,
    sessions.user_id,
    sessions.device_id,
    sessions.visit_id,
    sessions.started_at,
    sessions.ended_at,
    sessions.started_on,
    cast(sessions.event_count as bigint) as event_count,
    cast(sessions.view_count as bigint) as view_count,
    cast(sessions.heartbeat_count as bigint) as heartbeat_count,
    sessions.entry_page,
    sessions.exit_page,
    sessions.campaign_id,
    {%- for step in rules["steps"] %} sessions.has_{{ step }} = 1 as has_{{ step }}, {%- endfor %}
    sessions.view_count >= 2 or sessions.heartbeat_count >= 2 or sessions.conversion_count > 0 as is_engaged,
    case
        when
            sessions.first_day_view_count >= 2
            or sessions.first_day_heartbeat_count >= 2
            or sessions.first_day_conversion_count > 0
        then sessions.started_on
        when sessions.view_count >= 2 or sessions.heartbeat_count >= 2 or sessions.conversion_count > 0
        then {{ days_after("sessions.started_on", 1) }}
    end as engaged_on,
    cast(floor((sessions.last_micros - sessions.first_micros) / 1000000) as bigint) as duration_seconds,
    cast(floor((sessions.first_day_last_micros - sessions.first_micros) / 1000000) as bigint) as first_day_seconds,
    cast(sessions.heartbeat_count * {{ rules["heartbeat_seconds"] }} as bigint) as heartbeat_seconds
from sessions
cross join clock
where sessions.started_on >= clock.sessions_from
