{#-
    What is paid for when nobody says so: how late a renewal may be, and for how long an order pays that is for a plan, as declared at
    user_plan_state. `periods` are tried from the top; one that has a word of the plan's name is the plan's.
-#}
{% macro paid_rules() -%} {{ return(rules_of_user_plan_state()["paid"]) }} {%- endmacro %}

{#- True where the name of a plan has one of these words: a whole one where it is written with spaces, a part of it in Chinese. -#}
{% macro has_a_word(plan, words) -%}
    {%- set name = "' ' || lower(replace(replace(" ~ plan ~ ", '_', ' '), '-', ' ')) || ' '" -%}
    {%- set found = [] -%}
    {%- for word in words -%}
        {%- set part = " " ~ word | lower ~ " " if word.isascii() else word -%}
        {%- do found.append(name ~ " like " ~ text_literal("%" ~ part ~ "%")) -%}
    {%- endfor -%}
    ({{ found | join(" or ") or "false" }})
{%- endmacro %}

{#- The date so many periods later, a period being `count` of a unit (day, week, month, year), both expressions. -#}
{% macro periods_after(date, unit, count) -%}
    case
        {{ unit }}
        when 'day'
        then {{ days_after(date, count) }}
        when 'week'
        then {{ days_after(date, "7 * (" ~ count ~ ")") }}
        when 'month'
        then {{ months_after(date, count) }}
        when 'year'
        then {{ months_after(date, "12 * (" ~ count ~ ")") }}
    end
{%- endmacro %}

{#- How many whole periods lie between two dates; null without a unit. Months have as many days as they have: the 31st is a month before the 28th of February. -#}
{% macro whole_periods(from_date, to_date, unit, count) -%}
    {%- set months -%}
    (
        {{ month_number(to_date) }} - {{ month_number(from_date) }}
        - case
            when {{ months_after(from_date, month_number(to_date) ~ " - " ~ month_number(from_date)) }} > {{ to_date }}
            then 1
            else 0
        end
    )
    {%- endset -%}
    cast(
        floor(
            cast(
                case
                    {{ unit }}
                    when 'day'
                    then {{ days_between(from_date, to_date) }}
                    when 'week'
                    then {{ days_between(from_date, to_date) }}
                    when 'month'
                    then {{ months }}
                    when 'year'
                    then {{ months }}
                end as double
            )
            / (case {{ unit }} when 'week' then 7 when 'year' then 12 else 1 end * {{ count }})
        ) as bigint
    )
{%- endmacro %}

{#- What a price by period is by month, as recurring revenue is counted (ChartMogul's MRR): a year is 12 months, 52 weeks or 365 days. -#}
{% macro monthly(price, unit, count) -%}
    {{
        ratio(
            price
            ~ " * case "
            ~ unit
            ~ " when 'day' then 365 when 'week' then 52 when 'month' then 12 when 'year' then 1 end",
            "(12 * " ~ count ~ ")",
            18,
            2,
        )
    }}
{%- endmacro %}
