{#- Dates and times as each engine writes them. A model never spells one of these itself. -#}
{#- The business date of a UTC timestamp in the zone of that name. -#}
{% macro business_date(timestamp, zone) -%}
    {{ return(adapter.dispatch("business_date", "userops")(timestamp, zone)) }}
{%- endmacro %}

{% macro duckdb__business_date(timestamp, zone) -%}
    cast(timezone({{ zone }}, timezone('UTC', {{ timestamp }})) as date)
{%- endmacro %}

{% macro spark__business_date(timestamp, zone) -%}
    cast(convert_timezone('UTC', {{ zone }}, {{ timestamp }}) as date)
{%- endmacro %}

{#- The hour 0..23 of a UTC timestamp in the zone of that name. -#}
{% macro business_hour(timestamp, zone) -%}
    {{ return(adapter.dispatch("business_hour", "userops")(timestamp, zone)) }}
{%- endmacro %}

{% macro duckdb__business_hour(timestamp, zone) -%}
    cast(extract(hour from timezone({{ zone }}, timezone('UTC', {{ timestamp }}))) as integer)
{%- endmacro %}

{% macro spark__business_hour(timestamp, zone) -%}
    hour(convert_timezone('UTC', {{ zone }}, {{ timestamp }}))
{%- endmacro %}

{#- The day of the week of a date: Monday is 1, Sunday is 7. -#}
{% macro iso_weekday(date) -%} {{ return(adapter.dispatch("iso_weekday", "userops")(date)) }} {%- endmacro %}

{% macro duckdb__iso_weekday(date) -%} cast(isodow({{ date }}) as integer) {%- endmacro %}

{% macro spark__iso_weekday(date) -%} cast(weekday({{ date }}) + 1 as integer) {%- endmacro %}

{#- The date that many days later (earlier when negative). -#}
{% macro days_after(date, days) -%} {{ return(adapter.dispatch("days_after", "userops")(date, days)) }} {%- endmacro %}

{% macro duckdb__days_after(date, days) -%} cast({{ date }} + cast({{ days }} as integer) as date) {%- endmacro %}

{% macro spark__days_after(date, days) -%} date_add({{ date }}, cast({{ days }} as integer)) {%- endmacro %}

{#- Whole days from one date to another, as a bigint. -#}
{% macro days_between(from_date, to_date) -%}
    {{ return(adapter.dispatch("days_between", "userops")(from_date, to_date)) }}
{%- endmacro %}

{% macro duckdb__days_between(from_date, to_date) -%} cast({{ to_date }} - {{ from_date }} as bigint) {%- endmacro %}

{% macro spark__days_between(from_date, to_date) -%}
    cast(datediff({{ to_date }}, {{ from_date }}) as bigint)
{%- endmacro %}

{#-
    Every date from one to another as a relation with the column `night_on`, for each row of `relation`; both bounds are columns of it,
    and the columns in `keep` stand in front.
-#}
{% macro nights(relation, from_column, to_column, keep=[]) -%}
    {{ return(adapter.dispatch("nights", "userops")(relation, from_column, to_column, keep)) }}
{%- endmacro %}

{% macro duckdb__nights(relation, from_column, to_column, keep) -%}
    select
        {%- for column in keep %} {{ column }}, {%- endfor %}
        cast(unnest(generate_series({{ from_column }}, {{ to_column }}, interval 1 day)) as date) as night_on
    from {{ relation }}
{%- endmacro %}

{#- Spark's sequence refuses to run backwards. -#}
{% macro spark__nights(relation, from_column, to_column, keep) -%}
    select
        {%- for column in keep %} {{ column }}, {%- endfor %}
        explode(sequence({{ from_column }}, {{ to_column }}, interval 1 day)) as night_on
    from {{ relation }}
    where {{ from_column }} <= {{ to_column }}
{%- endmacro %}

{#- The date that many whole years later; a 29 February falls on the 28th in years without one. -#}
{% macro years_after(date, years) -%}
    {{ return(adapter.dispatch("years_after", "userops")(date, years)) }}
{%- endmacro %}

{% macro duckdb__years_after(date, years) -%} cast({{ date }} + to_years({{ years }}) as date) {%- endmacro %}

{% macro spark__years_after(date, years) -%} add_months({{ date }}, 12 * cast({{ years }} as integer)) {%- endmacro %}

{#- The date that many whole months later; the day of a shorter month is its last one. -#}
{% macro months_after(date, months) -%}
    {{ return(adapter.dispatch("months_after", "userops")(date, months)) }}
{%- endmacro %}

{% macro duckdb__months_after(date, months) -%}
    cast({{ date }} + to_months(cast({{ months }} as integer)) as date)
{%- endmacro %}

{% macro spark__months_after(date, months) -%} add_months({{ date }}, cast({{ months }} as integer)) {%- endmacro %}

{#- Microseconds since 1970-01-01 of a UTC timestamp, as a bigint. -#}
{% macro epoch_micros(timestamp) -%}
    {{ return(adapter.dispatch("epoch_micros", "userops")(timestamp)) }}
{%- endmacro %}

{% macro duckdb__epoch_micros(timestamp) -%} epoch_us({{ timestamp }}) {%- endmacro %}

{% macro spark__epoch_micros(timestamp) -%} unix_micros(cast({{ timestamp }} as timestamp_ltz)) {%- endmacro %}

{#-
    Stand for the end of what has none, and for its beginning, so that ends can be compared. A join that asks for null or a date instead compares
    every row with every other in some planners.
-#}
{% macro no_end() -%} cast('9999-12-31' as date) {%- endmacro %}

{% macro no_beginning() -%} cast('0001-01-01' as date) {%- endmacro %}
