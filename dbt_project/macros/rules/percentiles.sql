{#-
    A percentile of each of many small groups (of every user): the linearly interpolated one, R's type 7, as percentile_cont has it. `place`
    numbers the `count` values of a group in their order; the sum over the group is the percentile. Two passes of a sort, where
    percentile_cont keeps the values of every group apart: less than half of the CPU seconds for a million users.
-#}
{% macro percentile_at(percent, value, place, count) -%}
    {#- How far a value lies from the percentile, in hundredths of a place: the two less than one place away weigh what they are near. -#}
    {%- set away = "abs((" ~ count ~ " - 1) * " ~ percent ~ " - (" ~ place ~ " - 1) * 100)" -%}
    sum(case when {{ away }} < 100 then {{ value }} * cast(1 - {{ away }} * 0.01 as double) end)
{%- endmacro %}

{#-
    The same of few values that occur often: `value` occurs `count` times and has the places up to `place` of `total`. As counts add up,
    nothing the size of the values is sorted.
-#}
{% macro percentile_of_counts(percent, value, count, place, total) -%}
    {%- set below = "cast(floor((" ~ total ~ " - 1) * " ~ percent ~ " * 0.01) as bigint) + 1" -%}
    {%- set above_share = "mod((" ~ total ~ " - 1) * " ~ percent ~ ", 100) * 0.01" -%}
    sum(
        case
            when {{ below }} > {{ place }} - {{ count }} and {{ below }} <= {{ place }}
            then {{ value }} * cast(1 - {{ above_share }} as double)
            else 0
        end + case
            when {{ below }} + 1 > {{ place }} - {{ count }} and {{ below }} + 1 <= {{ place }}
            then {{ value }} * cast({{ above_share }} as double)
            else 0
        end
    )
{%- endmacro %}

{#- A relation of counts of values by `groups`, as percentile_of_counts reads it: value, value_count, place and total. -#}
{% macro counted_values(relation, groups, value, count) -%}
    select
        {{ groups }},
        {{ value }} as value,
        sum({{ count }}) as value_count,
        cast(
            sum(sum({{ count }})) over (
                partition by {{ groups }} order by {{ value }} rows unbounded preceding
            ) as bigint
        ) as place,
        cast(sum(sum({{ count }})) over (partition by {{ groups }}) as bigint) as total
    from {{ relation }}
    where {{ value }} is not null
    group by {{ groups }}, {{ value }}
{%- endmacro %}
