{#- Retention is that of the users known tonight, so all of it is written anew; the rest follows from its night. -#}
{{ windowed("case when family = 'retention' then cast('9999-12-31' as date) else night_on end") }}

{%- set names = ["family", "metric", "label", "adds", "needs", "numerator", "denominator"] -%}
{%- set counted, retained = [], [] -%}
{%- for metric in metrics() -%}
    {%- set texts = [
        text_literal(metric["family"]),
        text_literal(metric["name"]),
        text_literal(metric["label"]),
        text_literal(metric["adds"]),
        text_literal(metric["needs"]),
    ] -%}
    {%- if "retention" in metric -%} {%- do retained.append((metric, texts)) -%}
    {%- else -%}
        {%- do counted.append(
            texts
            + [
                "cast(" ~ metric["numerator"] ~ " as decimal(18, 2))",
                "cast(" ~ (metric["denominator"] or "null") ~ " as decimal(18, 2))",
            ]
        ) -%}
    {%- endif -%}
{%- endfor %}

with
    clock as (select window_from, first_on from {{ ref("int_clock") }}),
    counts as (
        select night_on, dimension, value, {{ (counts_of_users() + counts_of_metrics()) | join(", ") }}
        from {{ ref("metric_counts_daily") }}
        where night_on >= (select window_from from clock)
    ),
    counted as ({{ as_rows("counts", names, counted, keep=["night_on", "dimension", "value"]) }}),
    cohorts as (
        select retention, first_period, ends_on, dimension, value, returned_count, cohort_size
        from {{ ref("retention_cohorts") }}
        where is_complete
    ),
    chosen as (
        {%- for metric, texts in retained %}
            select
                {%- for text in texts %} {{ text }} as {{ names[loop.index0] }}, {%- endfor %}
                {{ text_literal(metric["retention"]) }} as retention,
                {{ metric["period"] }} as first_period {{ "union all" if not loop.last }}
        {%- endfor %}
    ),
    {#- Cohorts of a period may come to their end on one day. -#}
    retained as (
        select
            cohorts.ends_on as night_on,
            cohorts.dimension,
            cohorts.value,
            chosen.family,
            chosen.metric,
            chosen.label,
            chosen.adds,
            chosen.needs,
            cast(sum(cohorts.returned_count) as decimal(18, 2)) as numerator,
            cast(sum(cohorts.cohort_size) as decimal(18, 2)) as denominator
        from cohorts
        inner join chosen on cohorts.retention = chosen.retention and cohorts.first_period = chosen.first_period
        group by
            cohorts.ends_on,
            cohorts.dimension,
            cohorts.value,
            chosen.family,
            chosen.metric,
            chosen.label,
            chosen.adds,
            chosen.needs
    ),
    landed as (
        select table_name, min(arrived_on) as first_on
        from {{ ref("load_accounting") }}
        where rows_kept > 0
        group by table_name
    ),
    together as (
        select night_on, dimension, value, {{ names | join(", ") }}
        from counted
        union all
        select night_on, dimension, value, {{ names | join(", ") }}
        from retained
    )

select
    together.night_on,
    together.family,
    together.metric,
    together.label,
    together.adds,
    together.dimension,
    together.value,
    together.numerator,
    together.denominator,
    case
        when together.adds = 'rate'
        then {{ ratio("together.numerator", "together.denominator", 18, 6) }}
        else cast(together.numerator as decimal(18, 6))
    end as metric_value
from together
cross join clock
left join
    landed on together.needs = landed.table_name and landed.first_on <= greatest(together.night_on, clock.first_on)
where
    together.numerator <> 0
    or (
        landed.table_name is not null
        and (together.denominator <> 0 or (together.dimension = 'total' and together.adds <> 'rate'))
    )
