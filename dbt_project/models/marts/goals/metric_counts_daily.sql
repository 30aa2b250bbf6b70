{{ windowed("night_on") }}

{%- set rules = metric_rules() -%}
{%- set journeys = {"activation": "activated_count", "first_purchase": "first_purchase_count"} -%}
{%- set longest = [rules["activation"]["within_days"], rules["first_purchase"]["within_days"]] | max -%}
{%- set dimensions = user_dimensions() | map(attribute="name") | list -%}
{%- set declared_at_user = dimensions | reject("in", ["age_band", "stage"]) | list -%}

with
    clock as (
        select
            window_from,
            window_to,
            first_on,
            {{ days_after("window_from", 1 - longest) }} as entries_from,
            {{ days_after("window_from", 1 - 2 * longest) }} as behaviour_from,
            {{ days_after("window_from", -rules["invited_within_days"]) }} as invited_from
        from {{ ref("int_clock") }}
    ),
    totals as (
        select night_on, {{ counts_of_users() | join(", ") }}
        from {{ ref("user_counts_daily") }}
        where night_on >= (select window_from from clock)
    ),
    structure as (
        select night_on, dimension, value, {{ counts_of_users() | join(", ") }}
        from {{ ref("user_structure_daily") }}
        where night_on >= (select window_from from clock)
    ),

    {#- What was known of a user, from when until before when; the first night's knowledge holds for the time before it. -#}
    versions as (
        select
            users.user_id,
            case
                when users.known_from_on <= clock.first_on then cast('0001-01-01' as date) else users.known_from_on
            end as from_on,
            users.known_to_on as to_on,
            users.registered_on,
            users.birth_date,
            users.age_band
            {%- for name in declared_at_user %}, users.{{ name }} {%- endfor %}
        from {{ ref("int_user") }} as users
        cross join clock
    ),
    stages as (
        select
            history.user_id,
            history.stage,
            case
                when history.from_on <= clock.first_on then cast('0001-01-01' as date) else history.from_on
            end as from_on,
            history.to_on
        from {{ ref("user_lifecycle_history") }} as history
        cross join clock
    ),
    entries as (
        select standing.user_id, standing.changed_on as entered_on, versions.registered_on
        from {{ ref("int_user_standing") }} as standing
        cross join clock
        inner join versions on standing.user_id = versions.user_id and {{ known_on("versions", "standing.changed_on") }}
        where standing.idle_days_before is null and standing.changed_on between clock.entries_from and clock.window_to
    ),
    days as (
        select
            user_id,
            activity_on,
            {%- for journey in journeys %}
                {{ did_any(rules[journey]["behaviours"]) }} as did_{{ journey }},
            {%- endfor %}
            referral_count
        from {{ ref("int_user_day") }}
        where activity_on between (select behaviour_from from clock) and (select window_to from clock)
    ),
    devices as (
        select first_on
        from {{ ref("int_device_first") }}
        where first_of = 'seen' and first_on between (select window_from from clock) and (select window_to from clock)
    ),
    orders as (
        select user_id, ordered_on, amount
        from {{ ref("user_orders") }}
        where is_purchase and ordered_on between (select window_from from clock) and (select window_to from clock)
    ),
    merges as (select user_id, survivor_id from {{ ref("int_user_merge") }}),
    exclusions as (select subject_id as user_id, from_on, to_on from {{ ref("int_exclusion") }} where subject = 'user'),
    {#- Who names themself is invited by nobody. -#}
    invitations as (
        select coalesce(merges.survivor_id, invited.object_id) as user_id, invited.activity_on
        from {{ ref("int_activity") }} as invited
        left join merges on invited.object_id = merges.user_id
        where
            invited.source_table = 'referrals'
            and invited.user_id <> coalesce(merges.survivor_id, invited.object_id)
            and invited.activity_on between (select invited_from from clock) and (select window_to from clock)
    ),
    answers as (
        select user_id, activity_on, activity, value
        from {{ ref("int_activity") }}
        where
            source_table in ('feedback', 'tickets')
            and activity in ('feedback_nps', 'feedback_csat', 'ticket_resolved')
            and value is not null
            and activity_on between (select window_from from clock) and (select window_to from clock)
    ),
    kept_answers as (
        select answers.user_id, answers.activity_on, answers.activity, answers.value
        from answers
        left join
            exclusions
            on answers.user_id = exclusions.user_id
            and answers.activity_on >= exclusions.from_on
            and answers.activity_on < coalesce(exclusions.to_on, {{ no_end() }})
        where exclusions.user_id is null
    ),

    {#- Those whose days are over that night, and who of them has done it. What they did before they were known counts, as far back again. -#}
    {%- for journey, done in journeys.items() %}
        {%- set within = rules[journey]["within_days"] %}
        {{ journey }}_journeys as (
            select
                entries.user_id,
                entries.entered_on,
                {{ days_after("entries.entered_on", within - 1) }} as night_on,
                max({{ one_if("days.did_" ~ journey) }}) as is_done
            from entries
            left join
                days
                on entries.user_id = days.user_id
                and days.did_{{ journey }}
                and days.activity_on >= entries.registered_on
                and days.activity_on > {{ days_after("entries.entered_on", -within) }}
                and days.activity_on < {{ days_after("entries.entered_on", within) }}
            group by entries.user_id, entries.entered_on
        ),
    {%- endfor %}
    newcomers as (
        select entries.user_id, entries.entered_on, max({{ one_if("invitations.user_id is not null") }}) as is_invited
        from entries
        left join
            invitations
            on entries.user_id = invitations.user_id
            and invitations.activity_on <= entries.entered_on
            and invitations.activity_on >= {{ days_after("entries.entered_on", -rules["invited_within_days"]) }}
        where entries.entered_on >= (select window_from from clock)
        group by entries.user_id, entries.entered_on
    ),

    {#- Of a user as known on `at_on`, what counts for the night. -#}
    pieces as (
        {%- for journey, done in journeys.items() %}
            select
                user_id,
                entered_on as at_on,
                night_on,
                {{ metric_counts({journey ~ "_due_count": 1, done: "is_done"}) }}
            from {{ journey }}_journeys
            where night_on between (select window_from from clock) and (select window_to from clock)
            union all
        {%- endfor %}
        select user_id, entered_on as at_on, entered_on as night_on, {{ metric_counts({"invited_new_count": 1}) }}
        from newcomers
        where is_invited = 1
        union all
        select
            days.user_id,
            days.activity_on as at_on,
            days.activity_on as night_on,
            {{ metric_counts({"inviting_count": 1}) }}
        from days
        inner join
            versions
            on days.user_id = versions.user_id
            and {{ known_on("versions", "days.activity_on") }}
            and days.activity_on >= versions.registered_on
        where days.referral_count > 0 and days.activity_on >= (select window_from from clock)
        union all
        select
            user_id,
            ordered_on as at_on,
            ordered_on as night_on,
            {{
                metric_counts(
                    {
                        "order_count": "count(*)",
                        "priced_order_count": "count(amount)",
                        "revenue_amount": "coalesce(sum(amount), 0)",
                    }
                )
            }}
        from orders
        group by user_id, ordered_on
        union all
        select
            cast(null as string) as user_id,
            first_on as at_on,
            first_on as night_on,
            {{ metric_counts({"new_device_count": "count(*)"}) }}
        from devices
        group by first_on
        union all
        {%- set nps, csat, ticket = (
            "activity = 'feedback_nps'",
            "activity = 'feedback_csat'",
            "activity = 'ticket_resolved'",
        ) %}
        select
            user_id,
            activity_on as at_on,
            activity_on as night_on,
            {{
                metric_counts(
                    {
                        "nps_answer_count": one_if(nps),
                        "nps_net_count": "case when not ("
                        ~ nps
                        ~ ") then 0 when value >= 9 then 1 when value <= 6 then -1 else 0 end",
                        "csat_answer_count": one_if(csat),
                        "csat_satisfied_count": one_if(csat ~ " and value >= " ~ rules["satisfied_from"]["csat"]),
                        "ticket_rated_count": one_if(ticket),
                        "ticket_satisfied_count": one_if(
                            ticket ~ " and value >= " ~ rules["satisfied_from"]["ticket"]
                        ),
                    }
                )
            }}
        from kept_answers
    ),
    placed as (
        select
            pieces.night_on,
            {%- for name in dimensions %}
                {% if name == "stage" %} coalesce(stages.stage, 'unknown') as stage,
                {% else %} coalesce({{ value_on(name, "pieces.at_on", "versions") }}, 'unknown') as {{ name }},
                {% endif %}
            {%- endfor %}
            {%- for name in counts_of_metrics() %} pieces.{{ name }}{{ "," if not loop.last }} {%- endfor %}
        from pieces
        left join versions on pieces.user_id = versions.user_id and {{ known_on("versions", "pieces.at_on") }}
        left join stages on pieces.user_id = stages.user_id and {{ known_on("stages", "pieces.at_on") }}
    ),
    counted as (
        select
            night_on,
            {{ grouped_dimension(dimensions) }},
            {%- for name in counts_of_metrics() %} sum({{ name }}) as {{ name }}{{ "," if not loop.last }} {%- endfor %}
        from placed
        group by grouping sets ((night_on) {%- for name in dimensions %}, (night_on, {{ name }}) {%- endfor %})
    ),
    together as (
        select
            night_on,
            'total' as dimension,
            'total' as value,
            {{ counts_of_users() | join(", ") }},
            {{ metric_counts({}) }}
        from totals
        union all
        select night_on, dimension, value, {{ counts_of_users() | join(", ") }}, {{ metric_counts({}) }}
        from structure
        union all
        select
            night_on,
            dimension,
            value,
            {%- for name in counts_of_users() %} cast(0 as bigint) as {{ name }}, {%- endfor %}
            {{ counts_of_metrics() | join(", ") }}
        from counted
    )

select
    night_on,
    dimension,
    value,
    {%- for name in counts_of_users() + counts_of_metrics() %}
        {% if name == "revenue_amount" %} cast(sum({{ name }}) as decimal(18, 2)) as {{ name }}
        {% else %} cast(sum({{ name }}) as bigint) as {{ name }}
        {% endif %} {{- "," if not loop.last }}
    {%- endfor %}
from together
group by night_on, dimension, value
