with
    accounting as (
        select source_name, table_name, arrived_on, rows_in, rows_kept, rows_quarantined, rows_duplicate
        from {{ source("run", "load_accounting") }}
        where arrived_on <= (select as_of from {{ ref("int_clock") }})
    )

select source_name, table_name, arrived_on, rows_in, rows_kept, rows_quarantined, rows_duplicate
from accounting
