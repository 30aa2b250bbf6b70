with
    accounting as (
        select source_name, table_name, arrived_on, rows_in, rows_kept, rows_quarantined, rows_duplicate
        from {{ ref("stg_load_accounting") }}
    )

select
    source_name,
    table_name,
    arrived_on,
    rows_in,
    rows_kept,
    rows_quarantined,
    rows_duplicate,
    rows_in = rows_kept + rows_quarantined + rows_duplicate as is_balanced
from accounting
