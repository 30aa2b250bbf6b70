{#- The retentions as declared at retention_cohorts. -#}
{% macro retentions() -%} {{ return(rules_of_retention_cohorts()["retentions"]) }} {%- endmacro %}

{#- Things a user does on a date that a retention or a survival may start from or ask for, as conditions on int_user_day. -#}
{% macro day_activities() -%}
    {%- set found = {"purchase": "order_count > 0"} -%}
    {%- for kind in activity_kinds() -%} {%- do found.update({kind: kind ~ "_count > 0"}) -%} {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#- The dates on which users did one of these, as a relation (user_id, activity_on) with one row per user and date. -#}
{% macro dates_of(activity) -%}
    {%- if activity == "active" -%} select user_id, activity_on from {{ ref("int_active_day") }}
    {%- elif activity == "registered" -%} select user_id, registered_on as activity_on from users
    {%- else -%} select user_id, activity_on from {{ ref("int_user_day") }} where {{ day_activities()[activity] }}
    {%- endif -%}
{%- endmacro %}

{#-
    Dates of users by what they did, of these activities: one row per user, date and origin with 1 or 0 in a column `did_<activity>` each.
    `active` is an active day, `registered` the date of registration. Expects a CTE `users` (user_id, registered_on).
-#}
{% macro activity_dates(activities) -%}
    {%- set user_days, active_days = ref("int_user_day"), ref("int_active_day") -%}
    {%- set asked = [] -%}
    {%- for name in day_activities() if name in activities -%} {%- do asked.append(name) -%} {%- endfor -%}
    {%- set parts = [] -%}
    {%- if asked -%} {%- do parts.append("day") -%} {%- endif -%}
    {%- for name in ["active", "registered"] if name in activities -%} {%- do parts.append(name) -%} {%- endfor -%}
    {%- for part in parts %}
        select
            {{ "days.user_id" if part == "day" else "user_id" }},
            {{ "registered_on" if part == "registered" else "activity_on" }} as activity_on
            {%- for name in activities %}
                ,
                {% if part == "day" and name in asked %} {{ one_if(day_activities()[name]) }}
                {% else %} {{ 1 if part == name else 0 }}
                {% endif %} as did_{{ name }}
            {%- endfor %}
        {% if part == "day" %}
            from {{ user_days }} as days
            where {% for name in asked %} days.{{ day_activities()[name] }} {{ "or" if not loop.last }} {% endfor %}
        {% elif part == "active" %} from {{ active_days }}
        {% else %} from users {% endif %} {{ "union all" if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{#- First and last periods of the brackets of a retention; the last bracket ends with its periods. -#}
{% macro retention_brackets(retention) -%}
    {%- set firsts = ([0] + retention["brackets"]) | unique | sort -%}
    {%- set found = [] -%}
    {%- for first in firsts -%}
        {%- do found.append((first, retention["periods"] if loop.last else firsts[loop.index0 + 1] - 1)) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#-
    The CTEs of one retention over relations `<grain>_<activity>` (user_id, period_number, first_on), `users`, their
    `versions`, and `bounds`, the last named <retention>_cells: one row per cohort, dimension, value and cell, with how many of the cohort came back
    in the cell.
-#}
{% macro retention_steps(retention) -%}
    {%- set name, grain, kind = retention["name"], retention["grain"], retention["kind"] -%}
    {%- set starts, returns = grain ~ "_" ~ retention["start"], grain ~ "_" ~ retention["returns"] -%}
    {%- set dimensions = retention.get("dimensions", []) -%}
    {{ name }}_starts as (
        select
            starts.user_id,
            {%- if retention["entry"] == "first_time" %}
                min(starts.first_on) as entry_on, min(starts.period_number) as entry_number
            {%- else %} starts.first_on as entry_on, starts.period_number as entry_number
            {%- endif %}
        from {{ starts }} as starts
        {%- if not dimensions %} inner join users on starts.user_id = users.user_id {%- endif %}
        {%- if retention["entry"] == "first_time" %} group by starts.user_id {%- endif %}
    ),
    {{ name }}_entries as (
        select
            starts.user_id,
            starts.entry_number,
            {{ period_on(grain, "starts.entry_on") }} as cohort_on
            {%- for dimension in dimensions %}
                , {{ value_on(dimension, "starts.entry_on", "versions") }} as {{ dimension }}
            {%- endfor %}
        from {{ name }}_starts as starts
        {%- if dimensions %}
            inner join versions on starts.user_id = versions.user_id and {{ known_on("versions", "starts.entry_on") }}
        {%- endif %}
    ),
    {{ name }}_sizes as (
        select entry_number, cohort_on, {{ grouped_dimension(dimensions) }}, count(*) as cohort_size
        from {{ name }}_entries
        group by
            grouping sets (
                (entry_number, cohort_on)
                {%- for dimension in dimensions %}, (entry_number, cohort_on, {{ dimension }}) {%- endfor %}
            )
    ),
    {{ name }}_found as (
        select
            entries.user_id,
            entries.entry_number,
            {%- for dimension in dimensions %} entries.{{ dimension }}, {%- endfor %}
            {%- if kind == "on_or_after" %} max(returned.period_number - entries.entry_number) as first_period
            {%- elif kind == "brackets" %}
                case
                    {%- for first, last in retention_brackets(retention) | reverse %}
                        when returned.period_number - entries.entry_number >= {{ first }} then {{ first }}
                    {%- endfor %}
                end as first_period
            {%- else %} returned.period_number - entries.entry_number as first_period
            {%- endif %}
        from {{ name }}_entries as entries
        inner join
            {{ returns }} as returned
            on entries.user_id = returned.user_id
            and returned.period_number
            between entries.entry_number and entries.entry_number + {{ retention["periods"] }}
        {%- if kind == "on_or_after" %}
            group by
                entries.user_id,
                entries.entry_number
                {%- for dimension in dimensions %}, entries.{{ dimension }} {%- endfor %}
        {%- elif kind == "brackets" %}
            group by 1, 2, 3 {%- for dimension in dimensions %}, {{ loop.index + 3 }} {%- endfor %}
        {%- endif %}
    ),
    {{ name }}_returned as (
        select entry_number, first_period, {{ grouped_dimension(dimensions) }}, count(*) as returned_count
        from {{ name }}_found
        group by
            grouping sets (
                (entry_number, first_period)
                {%- for dimension in dimensions %}, (entry_number, first_period, {{ dimension }}) {%- endfor %}
            )
    ),
    {{ name }}_periods as (
        {% if kind == "brackets" %}
            {%- for first, last in retention_brackets(retention) %}
                select {{ first }} as first_period, {{ last }} as last_period {{ "union all" if not loop.last }}
            {%- endfor %}
        {% else %}
            {%- for period in range(retention["periods"] + 1) %}
                select
                    {{ period }} as first_period,
                    {{ period if kind == "on_period" else retention["periods"] }} as last_period
                    {{ "union all" if not loop.last }}
            {%- endfor %}
        {% endif %}
    ),
    {{ name }}_cells as (
        select
            {{ text_literal(name) }} as retention,
            {{ text_literal(retention["label"]) }} as label,
            {{ text_literal(grain) }} as grain,
            {{ text_literal(kind) }} as kind,
            {{ text_literal(retention["entry"]) }} as entry,
            sizes.cohort_on,
            sizes.dimension,
            sizes.value,
            periods.first_period,
            periods.last_period,
            sizes.cohort_size,
            {%- if kind == "on_or_after" %}
                sum(coalesce(returned.returned_count, 0)) over (
                    partition by sizes.entry_number, sizes.dimension, sizes.value
                    order by periods.first_period desc
                    rows unbounded preceding
                ) as returned_count,
            {%- else %} coalesce(returned.returned_count, 0) as returned_count,
            {%- endif %}
            {{ period_end_after(grain, "sizes.cohort_on", "periods.last_period") }} as ends_on,
            sizes.entry_number + periods.last_period < bounds.{{ grain }}_number as is_complete
        from {{ name }}_sizes as sizes
        cross join bounds
        inner join
            {{ name }}_periods as periods on sizes.entry_number + periods.first_period <= bounds.last_{{ grain }}_number
        left join
            {{ name }}_returned as returned
            on sizes.entry_number = returned.entry_number
            and sizes.dimension = returned.dimension
            and sizes.value = returned.value
            and periods.first_period = returned.first_period
    ),
{%- endmacro %}

{#- Name and value of the dimension a row of grouping sets is of; `total` where it is of none. -#}
{% macro grouped_dimension(dimensions) -%}
    {%- if dimensions -%}
        case
            {%- for name in dimensions %} when {{ name }} is not null then {{ text_literal(name) }} {%- endfor %}
            else 'total'
        end as dimension,
        coalesce({{ dimensions | join(", ") }}, 'total') as value
    {%- else -%} 'total' as dimension, 'total' as value
    {%- endif -%}
{%- endmacro %}
