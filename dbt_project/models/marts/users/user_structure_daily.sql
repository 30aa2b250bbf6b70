{{ windowed("night_on") }}

{%- set now = standings("idle_days") -%}
{%- set dimensions = user_dimensions() | map(attribute="name") | list -%}
{%- set declared_at_user = dimensions | reject("in", ["age_band", "stage"]) | list -%}
{%- set measures = [] -%}
{%- for stock in user_stocks() -%} {%- do measures.append(stock ~ "_change") -%} {%- endfor -%}
{%- do measures.extend(user_flows()) -%}
{%- do measures.extend(user_day_counts()) -%}

with
    clock as (
        select
            window_from,
            window_to,
            first_on,
            {{ days_after("window_from", -1) }} as before_on,
            {{ days_after("window_to", 1) }} as tomorrow_on
        from {{ ref("int_clock") }}
    ),
    users as (
        select
            user_id,
            known_from_on,
            known_to_on,
            registered_on,
            birth_date,
            age_band
            {%- for name in declared_at_user %}, {{ name }} {%- endfor %}
        from {{ ref("int_user") }}
    ),
    stages as (select user_id, stage, from_on, to_on from {{ ref("user_lifecycle_history") }}),
    standing_changes as {{ inlined() }} (
        select user_id, changed_on, idle_days_before, idle_days, move
        from {{ ref("int_user_standing") }}
        where changed_on <= (select window_to from clock)
    ),
    activity as (
        select
            user_id,
            activity_on,
            active_days,
            order_count,
            {%- for kind in activity_kinds() %} {{ kind }}_count{{ "," if not loop.last }} {%- endfor %}
        from {{ ref("int_user_day") }}
        where activity_on between (select window_from from clock) and (select window_to from clock)
    ),
    active_days as (
        select user_id, activity_on
        from {{ ref("int_active_day") }}
        where activity_on between (select window_from from clock) and (select window_to from clock)
    ),
    {#- Whose payment was the first is asked of those only who paid in the window. -#}
    payments as (
        select user_id, min(activity_on) as first_on
        from {{ ref("int_user_day") }}
        where order_count > 0 and user_id in (select user_id from activity where order_count > 0)
        group by user_id
    ),

    {#- Of the changes before the window the last one holds when it begins; the others are over. -#}
    held as (
        select user_id, max(changed_on) as changed_on
        from standing_changes
        where changed_on <= (select before_on from clock)
        group by user_id
    ),
    standing_since as (
        select changes.user_id, changes.changed_on, changes.idle_days_before, changes.idle_days, changes.move
        from standing_changes as changes
        inner join held on changes.user_id = held.user_id and changes.changed_on = held.changed_on
        union all
        select user_id, changed_on, idle_days_before, idle_days, move
        from standing_changes
        where changed_on > (select before_on from clock)
    ),
    standing as (
        select
            user_id,
            changed_on,
            lead(changed_on) over (partition by user_id order by changed_on) as until_on,
            idle_days_before,
            idle_days,
            move
        from standing_since
    ),

    {#- What was known of a user, from when until before when; the first night's knowledge holds for the time before it. -#}
    versions as (
        select
            users.user_id,
            case
                when users.known_from_on <= clock.first_on then cast('0001-01-01' as date) else users.known_from_on
            end as from_on,
            least(coalesce(users.known_to_on, clock.tomorrow_on), clock.tomorrow_on) as to_on,
            users.birth_date,
            users.age_band
            {%- for name in declared_at_user %}, users.{{ name }} {%- endfor %}
        from users
        cross join clock
        where users.known_to_on is null or users.known_to_on > greatest(clock.before_on, clock.first_on)
    ),
    aged as (
        select
            user_id,
            from_on,
            to_on,
            coalesce(age_band, 'unknown') as age_band
            {%- for name in declared_at_user %}, {{ name }} {%- endfor %}
        from versions
        where birth_date is null
        {%- for bound in [0] + age_bounds() %}
                {%- set next = (age_bounds() + [none])[loop.index0] %}
            union all
            select
                user_id,
                {% if loop.first %} from_on,
                {% else %} greatest(from_on, {{ years_after("birth_date", bound) }}) as from_on,
                {% endif %}
                {% if next %} least(to_on, {{ years_after("birth_date", next) }}) as to_on,
                {% else %} to_on,
                {% endif %}
                {% if loop.first %} 'under {{ next }}' as age_band
                {% elif next %} '{{ bound }}-{{ next - 1 }}' as age_band
                {% else %} '{{ bound }}+' as age_band
                {% endif %}
                {%- for name in declared_at_user %}, {{ name }} {%- endfor %}
            from versions
            where birth_date is not null
        {%- endfor %}
    ),
    staged as (
        select
            stages.user_id,
            stages.stage,
            case
                when stages.from_on <= clock.first_on then cast('0001-01-01' as date) else stages.from_on
            end as from_on,
            coalesce(stages.to_on, clock.tomorrow_on) as to_on
        from stages
        cross join clock
        where stages.to_on is null or stages.to_on > clock.before_on
    ),

    {#- Nights on which a user stays at one value of every dimension. -#}
    placed as (
        select
            aged.user_id,
            greatest(aged.from_on, staged.from_on) as from_on,
            least(aged.to_on, staged.to_on) as to_on,
            {%- for name in dimensions %}
                coalesce(
                    {{ "staged" if name == "stage" else "aged" }}.{{ name }}, 'unknown'
                ) as {{ name }}{{ "," if not loop.last }}
            {%- endfor %}
        from aged
        inner join
            staged on aged.user_id = staged.user_id and aged.from_on < staged.to_on and staged.from_on < aged.to_on
        where aged.from_on < aged.to_on and aged.to_on > (select before_on from clock)
    ),

    {#- Nights on which both the place and the standing of a user stay the same: what they add when they begin, and take when they end. -#}
    stays as (
        select
            standing.user_id,
            standing.idle_days,
            greatest(standing.changed_on, placed.from_on, (select before_on from clock)) as from_on,
            least(coalesce(standing.until_on, placed.to_on), placed.to_on) as to_on
            {%- for name in dimensions %}, placed.{{ name }} {%- endfor %}
        from standing
        inner join
            placed
            on standing.user_id = placed.user_id
            and standing.changed_on < placed.to_on
            and (standing.until_on is null or placed.from_on < standing.until_on)
        where standing.idle_days is not null
    ),
    moved as (
        select
            standing.changed_on,
            standing.idle_days_before,
            standing.idle_days,
            standing.move
            {%- for name in dimensions %}, placed.{{ name }} {%- endfor %}
        from standing
        inner join
            placed
            on standing.user_id = placed.user_id
            and case
                when standing.idle_days is null
                then {{ days_after("standing.changed_on", -1) }}
                else standing.changed_on
            end
            >= placed.from_on
            and case
                when standing.idle_days is null
                then {{ days_after("standing.changed_on", -1) }}
                else standing.changed_on
            end
            < placed.to_on
        where standing.changed_on >= (select window_from from clock)
    ),
    user_days as (
        select
            activity.activity_on,
            activity.active_days,
            activity.order_count,
            {%- for kind in activity_kinds() %} activity.{{ kind }}_count, {%- endfor %}
            active_days.user_id is not null as is_active,
            activity.activity_on = payments.first_on as is_first_payment
            {%- for name in dimensions %}, placed.{{ name }} {%- endfor %}
        from activity
        inner join
            users
            on activity.user_id = users.user_id
            and activity.activity_on >= users.known_from_on
            and activity.activity_on >= users.registered_on
            and (users.known_to_on is null or activity.activity_on < users.known_to_on)
        inner join
            placed
            on activity.user_id = placed.user_id
            and activity.activity_on >= placed.from_on
            and activity.activity_on < placed.to_on
        left join
            active_days on activity.user_id = active_days.user_id and activity.activity_on = active_days.activity_on
        left join payments on activity.user_id = payments.user_id
    ),

    pieces as (
        {%- for sign, date in [("", "from_on"), ("-", "to_on")] %}
            select
                {{ date }} as night_on,
                {%- for name in dimensions %} {{ name }}, {%- endfor %}
                {%- for stock in user_stocks() %}
                    {{ sign }} ({{ one_if(now[stock]) }}) as {{ stock }}_change,
                {%- endfor %}
                {%- for name in (user_flows() | list) + (user_day_counts() | list) %}
                    0 as {{ name }}{{ "," if not loop.last }}
                {%- endfor %}
            from stays
            union all
        {%- endfor %}
        select
            changed_on as night_on,
            {%- for name in dimensions %} {{ name }}, {%- endfor %}
            {%- for stock in user_stocks() %} 0 as {{ stock }}_change, {%- endfor %}
            {%- for flow, condition in user_flows().items() %} {{ one_if(condition) }} as {{ flow }}, {%- endfor %}
            {%- for name in user_day_counts() %} 0 as {{ name }}{{ "," if not loop.last }} {%- endfor %}
        from moved
        union all
        select
            activity_on as night_on,
            {%- for name in dimensions %} {{ name }}, {%- endfor %}
            {%- for stock in user_stocks() %} 0 as {{ stock }}_change, {%- endfor %}
            {%- for flow in user_flows() %} 0 as {{ flow }}, {%- endfor %}
            {%- for name, condition in user_day_counts().items() %}
                {{ one_if(condition) }} as {{ name }}{{ "," if not loop.last }}
            {%- endfor %}
        from user_days
    ),
    changes as (
        select
            night_on,
            case
                {%- for name in dimensions %} when {{ name }} is not null then {{ text_literal(name) }} {%- endfor %}
            end as dimension,
            coalesce({{ dimensions | join(", ") }}) as value,
            {%- for measure in measures %} sum({{ measure }}) as {{ measure }}{{ "," if not loop.last }} {%- endfor %}
        from pieces
        where night_on <= (select window_to from clock)
        group by
            grouping sets ({%- for name in dimensions %}(night_on, {{ name }}){{ "," if not loop.last }} {%- endfor %})
    ),
    seen as (select distinct dimension, value from changes),
    spine as (
        select night_on
        from {{ ref("int_night") }}
        where is_in_window
        union all
        select before_on as night_on
        from clock
    ),
    summed as (
        select
            spine.night_on,
            seen.dimension,
            seen.value,
            {%- for name in (user_day_counts() | list) + (user_flows() | list) %}
                coalesce(changes.{{ name }}, 0) as {{ name }},
            {%- endfor %}
            {%- for stock in user_stocks() %}
                sum(coalesce(changes.{{ stock }}_change, 0)) over until_then as {{ stock }},
                coalesce(changes.{{ stock }}_change, 0) as {{ stock }}_change{{ "," if not loop.last }}
            {%- endfor %}
        from spine
        cross join seen
        left join
            changes
            on spine.night_on = changes.night_on
            and seen.dimension = changes.dimension
            and seen.value = changes.value
        window until_then as (partition by seen.dimension, seen.value order by spine.night_on rows unbounded preceding)
    )

select
    night_on,
    dimension,
    value,
    cast(
        active_change - active_new - active_resurrected + active_dormant + active_removed as bigint
    ) as active_moved_count,
    cast(registered_change - registered_new + registered_removed as bigint) as registered_moved_count,
    {{ user_count_columns() }}
from summed
where
    night_on >= (select window_from from clock)
    and (registered > 0 or registered_change <> 0 or registered_new > 0 or registered_removed > 0)
