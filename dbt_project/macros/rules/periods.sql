{#- Calendar periods of business dates: day, ISO week (from Monday), month. Numbered without gaps, so that periods can be subtracted. -#}
{% macro grains() -%} {{ return(["day", "week", "month"]) }} {%- endmacro %}

{#- The first day of the period a date lies in. -#}
{% macro period_on(grain, date) -%}
    {%- if grain == "day" -%} {{ date }} {%- else -%} cast(date_trunc('{{ grain }}', {{ date }}) as date) {%- endif -%}
{%- endmacro %}

{#- The last day of the period a date lies in. -#}
{% macro period_end(grain, date) -%}
    {%- if grain == "day" -%} {{ date }}
    {%- elif grain == "week" -%} {{ days_after(period_on("week", date), 6) }}
    {%- else -%} {{ days_after(period_on("month", days_after(period_on("month", date), 31)), -1) }}
    {%- endif -%}
{%- endmacro %}

{#- The last day of the period that lies so many periods after the one that begins on a date. -#}
{% macro period_end_after(grain, period_on, periods) -%}
    {%- if grain == "day" -%} {{ days_after(period_on, periods) }}
    {%- elif grain == "week" -%} {{ days_after(period_on, "7 * (" ~ periods ~ ") + 6") }}
    {%- else -%} {{ days_after(months_after(period_on, periods ~ " + 1"), -1) }}
    {%- endif -%}
{%- endmacro %}

{#- The running number of the period a date lies in, as a bigint. -#}
{% macro period_number(grain, date) -%}
    {%- if grain == "day" -%} {{ days_between("cast('1970-01-01' as date)", date) }}
    {%- elif grain == "week" -%}
        cast({{ days_between("cast('1970-01-05' as date)", period_on("week", date)) }} / 7 as bigint)
    {%- else -%} cast({{ month_number(date) }} as bigint)
    {%- endif -%}
{%- endmacro %}

{#-
    What makes a user new, as declared at period_lifecycle, and after how many silent periods a user has churned: the days declared at
    user_churn_risk in weeks of 7 and months of 30 days, rounded up.
-#}
{% macro period_rules() -%}
    {%- set days = churned_after("active") -%}
    {%- set silent = {"day": days, "week": (days + 6) // 7, "month": (days + 29) // 30} -%}
    {%- set rules = rules_of_period_lifecycle()["periods"] -%}
    {{ return(dict(rules, churned_after=silent)) }}
{%- endmacro %}

{#-
    Ages of silence in periods, as pairs of first and last (none: without end): 1 is dormancy, the others double; an age that makes
    a user churned begins a pair too.
-#}
{% macro silence_ages(grain) -%}
    {%- set firsts = ([1, 2, 4, 8, 16] + [period_rules()["churned_after"][grain]]) | unique | sort -%}
    {%- set found = [] -%}
    {%- for first in firsts -%}
        {%- do found.append((first, none if loop.last else firsts[loop.index0 + 1] - 1)) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#- Users of a period, as conditions on a row of int_user_period_state. -#}
{% macro period_counts() -%}
    {%- set churned = [] -%}
    {%- for grain in grains() -%}
        {%- do churned.append(
            "(grain= '" ~ grain ~ "' and age_from >= " ~ period_rules()["churned_after"][grain] ~ ")"
        ) -%}
    {%- endfor -%}
    {{
        return(
            {
                "new": "state = 'new'",
                "returning": "state = 'returning'",
                "resurrecting": "state = 'resurrecting'",
                "late_start": "state = 'resurrecting' and is_first",
                "dormant": "state = 'dormant'",
                "idle_2_3": "age_from between 2 and 3",
                "idle_4_7": "age_from between 4 and 7",
                "idle_8_15": "age_from between 8 and 15",
                "idle_16": "age_from >= 16",
                "churned": churned | join(" or "),
            }
        )
    }}
{%- endmacro %}

{#- The dimensions of users that are known the day a user is first seen: those of user_structure_daily without the stage. -#}
{% macro entry_dimensions() -%}
    {{ return(user_dimensions() | map(attribute="name") | reject("equalto", "stage") | list) }}
{%- endmacro %}

{#- Those of them that are columns of int_user. -#}
{% macro declared_dimensions() -%}
    {{ return(entry_dimensions() | reject("equalto", "age_band") | list) }}
{%- endmacro %}

{#- The band of an age on a date, from the date of birth where it is known, else as declared. -#}
{% macro age_band_on(date, birth_date, age_band) -%}
    case
        when {{ birth_date }} is null
        then coalesce({{ age_band }}, 'unknown')
        {%- for bound in age_bounds() %}
            when {{ date }} < {{ years_after(birth_date, bound) }}
            then
                {{
                    text_literal(
                        "under " ~ bound if loop.first else age_bounds()[loop.index0 - 1] ~ "-" ~ (bound - 1)
                    )
                }}
        {%- endfor %}
        else {{ text_literal(age_bounds()[-1] ~ "+") }}
    end
{%- endmacro %}

{#- The value of a dimension on a date, from a row of int_user_version; who has none is `unknown`. -#}
{% macro value_on(dimension, date, version) -%}
    {%- if dimension == "age_band" -%} {{ age_band_on(date, version ~ ".birth_date", version ~ ".age_band") }}
    {%- else -%} coalesce({{ version }}.{{ dimension }}, 'unknown')
    {%- endif -%}
{%- endmacro %}

{#- A row of int_user_version that tells what was known of a user on a date. -#}
{% macro known_on(version, date) -%}
    {{ version }}.from_on <= {{ date }} and {{ date }} < coalesce({{ version }}.to_on, {{ no_end() }})
{%- endmacro %}
