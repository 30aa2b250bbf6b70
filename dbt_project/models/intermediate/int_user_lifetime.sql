{{ config(materialized="table") }}

{%- set activities = [] -%}
{%- for survival in survivals() -%}
    {%- do activities.append(survival["activity"]) -%}
    {%- if survival["entry"] == "registered" -%} {%- do activities.append("registered") -%} {%- endif -%}
{%- endfor -%}
{%- set activities = activities | unique | sort %}

with
    clock as (select as_of from {{ ref("int_clock") }}),
    users as (
        select user_id, registered_on
        from {{ ref("int_user") }}
        where known_to_on is null and registered_on <= (select as_of from clock)
    ),
    versions as (
        select
            user_id,
            from_on,
            to_on,
            birth_date,
            age_band
            {%- for name in declared_dimensions() %}, {{ name }} {%- endfor %}
        from {{ ref("int_user_version") }}
    ),
    {#- What is paid for runs as activity does: who has a contract lives until it ends. -#}
    paid as (
        select stretches.user_id, stretches.held_from_on as from_on, {{ days_after("stretches.to_on", -1) }} as last_on
        from {{ ref("int_paid_stretch") }} as stretches
        inner join users on stretches.user_id = users.user_id
    ),
    paid_until_now as (
        select paid.user_id, paid.from_on, least(paid.last_on, clock.as_of) as until_on
        from paid
        cross join clock
        where paid.from_on <= clock.as_of
    ),
    {#- Nobody's life is known before something was: who entered earlier was seen only because still there. -#}
    observed as (select min(activity_on) as from_on from {{ ref("int_user_day") }}),
    dates as ({{ activity_dates(activities) }}),
    known_dates as (
        select
            dates.user_id,
            dates.activity_on,
            {{ days_between("cast('0001-01-01' as date)", "dates.activity_on") }} as day_number,
            users.registered_on
            {%- for name in activities %}, dates.did_{{ name }} {%- endfor %}
        from dates
        inner join users on dates.user_id = users.user_id
        where dates.activity_on <= (select as_of from clock)
    ),
    {%- for survival in survivals() %}
        {%- set name, days = survival["name"], survival["churned_after_days"] %}
        {#- Days in one block lie no more than the silence apart: only from one block to the next can a life have ended. -#}
        {{ name }}_blocks as (
            select user_id, min(activity_on) as from_on, max(activity_on) as until_on
            from known_dates
            where
                {% if survival["entry"] == "registered" %}
                    did_registered = 1 or (did_{{ survival["activity"] }} = 1 and activity_on >= registered_on)
                {% else %} did_{{ survival["activity"] }} = 1
                {% endif %}
            group by user_id, day_number - mod(day_number, {{ days }})
        ),
        {{ name }}_entries as (select user_id, min(from_on) as entry_on from {{ name }}_blocks group by user_id),
        {{ name }}_held as (
            select user_id, from_on, until_on
            from {{ name }}_blocks
            union all
            select
                paid_until_now.user_id,
                greatest(paid_until_now.from_on, entries.entry_on) as from_on,
                paid_until_now.until_on
            from paid_until_now
            inner join {{ name }}_entries as entries on paid_until_now.user_id = entries.user_id
            where paid_until_now.until_on >= entries.entry_on
        ),
        {{ name }}_spaced as (
            select
                user_id,
                from_on,
                max(until_on) over (
                    partition by user_id order by from_on, until_on rows unbounded preceding
                ) as until_on,
                lead(from_on) over (partition by user_id order by from_on, until_on) as next_on
            from {{ name }}_held
        ),
        {{ name }}_lives as (
            select
                user_id,
                min(from_on) as entry_on,
                min(
                    case
                        when next_on is null or {{ days_between("until_on", "next_on") }} > {{ days }}
                        then {{ days_after("until_on", days) }}
                    end
                ) as churned_on
            from {{ name }}_spaced
            group by user_id
        ),
    {%- endfor %}
    lives as (
        {%- for survival in survivals() %}
            select {{ text_literal(survival["name"]) }} as survival, user_id, entry_on, churned_on
            from {{ survival["name"] }}_lives {{ "union all" if not loop.last }}
        {%- endfor %}
    )

select
    lives.survival,
    lives.user_id,
    lives.entry_on,
    case when lives.churned_on <= clock.as_of then lives.churned_on end as churned_on,
    lives.entry_on >= observed.from_on as is_observed
    {%- for name in entry_dimensions() %}
        , {{ value_on(name, "lives.entry_on", "versions") }} as {{ name }}
    {%- endfor %}
from lives
cross join clock
cross join observed
inner join versions on lives.user_id = versions.user_id and {{ known_on("versions", "lives.entry_on") }}
