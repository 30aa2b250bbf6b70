with
    cells as (
        select
            retention,
            label,
            grain,
            kind,
            entry,
            dimension,
            value,
            first_period,
            last_period,
            cohort_size,
            returned_count,
            retention_share
        from {{ ref("retention_cohorts") }}
        where is_complete
    ),
    summed as (
        select
            retention,
            label,
            grain,
            kind,
            entry,
            dimension,
            value,
            first_period,
            last_period,
            count(*) as cohort_count,
            sum(cohort_size) as entry_count,
            sum(returned_count) as returned_count,
            sum(retention_share) as share_sum
        from cells
        group by retention, label, grain, kind, entry, dimension, value, first_period, last_period
    )

select
    retention,
    label,
    grain,
    kind,
    entry,
    dimension,
    value,
    first_period,
    last_period,
    cast(cohort_count as bigint) as cohort_count,
    cast(entry_count as bigint) as entry_count,
    cast(returned_count as bigint) as returned_count,
    {{ share("returned_count", "entry_count") }} as weighted_share,
    {{ share("share_sum", "cohort_count") }} as simple_share
from summed
